/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "control/rtnl_bridge.h"

/* Room for the worst case: 4094 VLANs, an attribute of eight bytes for each. */
#define VLAN_MSG_SIZE 65536u

static struct nl_msg *port_message(int type, int ifindex, size_t size)
{
	struct ifinfomsg info = { .ifi_family = AF_BRIDGE, .ifi_index = ifindex };
	struct nl_msg *msg = nlmsg_alloc_size(size);

	if (!msg)
		return NULL;
	if (!nlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, 0) ||
	    nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int put_vlan(struct nl_msg *msg, unsigned int id, unsigned int flags)
{
	struct bridge_vlan_info info = { .flags = (uint16_t)flags, .vid = (uint16_t)id };

	return nla_put(msg, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
}

static int put_range(struct nl_msg *msg, unsigned int first, unsigned int last, unsigned int flags)
{
	if (first == last)
		return put_vlan(msg, first, flags);
	return put_vlan(msg, first, flags | BRIDGE_VLAN_INFO_RANGE_BEGIN) ||
	       put_vlan(msg, last, flags | BRIDGE_VLAN_INFO_RANGE_END);
}

static unsigned int flags_of(uint8_t kind)
{
	switch ((enum rtnl_vlan)kind) {
	case RTNL_VLAN_PVID:
		return BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;
	case RTNL_VLAN_UNTAGGED:
		return BRIDGE_VLAN_INFO_UNTAGGED;
	case RTNL_VLAN_NONE:
	case RTNL_VLAN_TAGGED:
		break;
	}
	return 0;
}

/* Put neighbouring VLANs of one kind as one range. */
static int put_vlans(struct nl_msg *msg, const struct rtnl_vlans *vlans)
{
	unsigned int last;
	int err = 0;

	for (unsigned int id = 1; !err && id <= RTNL_VLAN_MAX; id = last + 1) {
		uint8_t kind = vlans->kind[id];

		for (last = id; last < RTNL_VLAN_MAX && vlans->kind[last + 1] == kind; last++)
			;
		if (kind != RTNL_VLAN_NONE)
			err = put_range(msg, id, last, flags_of(kind));
	}
	return err;
}

/* Put every VLAN, also those that the port is not in. */
static int put_all(struct nl_msg *msg, const struct rtnl_vlans *vlans)
{
	(void)vlans;
	return put_range(msg, 1, RTNL_VLAN_MAX, 0);
}

static int send_vlans(struct rtnl *rtnl, int type, int ifindex, const struct rtnl_vlans *vlans,
		      int (*put)(struct nl_msg *msg, const struct rtnl_vlans *vlans))
{
	struct nl_msg *msg = port_message(type, ifindex, VLAN_MSG_SIZE);
	struct nlattr *nest = msg ? nla_nest_start(msg, IFLA_AF_SPEC) : NULL;

	if (!nest || put(msg, vlans)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	nla_nest_end(msg, nest);
	return rtnl_request(rtnl, msg);
}

int rtnl_set_vlans(struct rtnl *rtnl, int ifindex, const struct rtnl_vlans *vlans)
{
	int err = send_vlans(rtnl, RTM_DELLINK, ifindex, vlans, put_all);

	return err ? err : send_vlans(rtnl, RTM_SETLINK, ifindex, vlans, put_vlans);
}

int rtnl_set_port(struct rtnl *rtnl, int ifindex, const struct rtnl_port *port)
{
	const struct {
		int attr, value;
	} options[] = {
		{ IFLA_BRPORT_ISOLATED, port->isolated },
		{ IFLA_BRPORT_LEARNING, port->learning },
		{ IFLA_BRPORT_UNICAST_FLOOD, port->flood },
		{ IFLA_BRPORT_MCAST_FLOOD, port->mcast_flood },
		{ IFLA_BRPORT_BCAST_FLOOD, port->bcast_flood },
		{ IFLA_BRPORT_NEIGH_SUPPRESS, port->neigh_suppress },
		{ IFLA_BRPORT_MODE, port->hairpin },
	};
	struct nl_msg *msg = port_message(RTM_SETLINK, ifindex, 512);
	struct nlattr *nest = msg ? nla_nest_start(msg, IFLA_PROTINFO | NLA_F_NESTED) : NULL;
	unsigned int nr = 0;
	int err = nest ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].value < 0)
			continue;
		err = nla_put_u8(msg, options[i].attr, options[i].value != 0) ? -ENOMEM : 0;
		nr++;
	}
	if (err || !nr) {
		nlmsg_free(msg);
		return err;
	}
	nla_nest_end(msg, nest);
	return rtnl_request(rtnl, msg);
}
