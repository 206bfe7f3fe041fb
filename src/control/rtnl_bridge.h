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
	RTNL_VLAN_PVID,     /* likewise, and untagged frames belong to it */
};

struct rtnl_vlans {
	uint8_t kind[RTNL_VLAN_MAX + 1]; /* enum rtnl_vlan, by number */
};

/* Make the port a member of exactly these VLANs. */
int rtnl_set_vlans(struct rtnl *rtnl, int ifindex, const struct rtnl_vlans *vlans);

/* Options of a port, named as in bridge(8); -1: unchanged. */
struct rtnl_port {
	int isolated;       /* reaches no other isolated port */
	int learning;       /* the addresses in its frames are learnt */
	int flood;          /* gets frames for unknown addresses */
	int mcast_flood;    /* gets multicast that nobody asked for */
	int bcast_flood;    /* gets broadcasts */
	int neigh_suppress; /* the bridge answers ARP and ND for it */
	int hairpin;        /* may get back its own frames */
};

#define RTNL_PORT_AS_IT_IS                                                                         \
	{                                                                                          \
		-1, -1, -1, -1, -1, -1, -1                                                         \
	}

/* Set the options that are not -1. Without any: success, and no call. */
int rtnl_set_port(struct rtnl *rtnl, int ifindex, const struct rtnl_port *port);

#endif
