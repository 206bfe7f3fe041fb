/* SPDX-License-Identifier: MIT */
/* What a bridge lets a port do, by rtnetlink. Returns and limits are those of rtnl.h. */
#ifndef PVB_RTNL_BRIDGE_H
#define PVB_RTNL_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "control/rtnl.h"

#define RTNL_VLAN_MAX 4094u

enum rtnl_vlan {
	RTNL_VLAN_NONE,
	RTNL_VLAN_TAGGED,
	RTNL_VLAN_UNTAGGED, /* leaves untagged */
	RTNL_VLAN_PVID,     /* likewise, and what comes untagged is in it */
};

struct rtnl_vlans {
	uint8_t kind[RTNL_VLAN_MAX + 1]; /* enum rtnl_vlan, by number */
};

/* Make the port a member of exactly these VLANs. */
int rtnl_set_vlans(struct rtnl *rtnl, int ifindex, const struct rtnl_vlans *vlans);

/* Options of a port, named as bridge(8) does; -1: as it is. */
struct rtnl_port {
	int isolated;       /* reaches no other isolated port */
	int learning;       /* addresses of what it sends are learnt */
	int flood;          /* gets frames for unknown addresses */
	int mcast_flood;    /* for groups that nobody asked for */
	int bcast_flood;    /* for everybody */
	int neigh_suppress; /* ARP and ND are answered in its place */
	int hairpin;        /* may get back what it sent */
};

#define RTNL_PORT_AS_IT_IS                                                                         \
	{                                                                                          \
		-1, -1, -1, -1, -1, -1, -1                                                         \
	}

/* Set what is not -1. Without any: success, and no call. */
int rtnl_set_port(struct rtnl *rtnl, int ifindex, const struct rtnl_port *port);

#endif
