/* SPDX-License-Identifier: MIT */
/*
 * Network interfaces by rtnetlink: the few changes a vif needs, one at a time.
 *
 * Every call is one or two synchronous round trips to the kernel on a socket
 * of its own, which is a few microseconds; there is no cache, so the cost does
 * not grow with the number of interfaces on the host. Every call is bounded:
 * if the kernel has not answered after RTNL_TIMEOUT_MS it returns -EAGAIN.
 *
 * Unless a call says otherwise it returns 0, or a negative errno: -ENODEV if
 * there is no such interface (any more), -EPERM without CAP_NET_ADMIN, -EINVAL
 * for an argument outside its range, -ENOMEM, or what the kernel said (-EEXIST,
 * -EBUSY, -ERANGE, -EOPNOTSUPP…). Nothing here logs.
 *
 * A handle belongs to one thread at a time.
 */
#ifndef PVB_RTNL_H
#define PVB_RTNL_H

#include <stdbool.h>
#include <stdint.h>

#define RTNL_TIMEOUT_MS 5000
#define RTNL_MTU_MIN    68
#define RTNL_MTU_MAX    65521 /* what a tap can take: 65535 less an Ethernet header */
#define RTNL_KIND_MAX   16

struct rtnl;

/* What one look at an interface tells. */
struct rtnl_info {
	int ifindex;
	int master;               /* ifindex of its bridge, 0 without one */
	unsigned int mtu;         /* bytes */
	unsigned int txqueuelen;  /* packets */
	bool up;                  /* administratively up */
	char kind[RTNL_KIND_MAX]; /* "bridge", "tun", …; "" for hardware */
};

/* Open a handle. On success *ret_rtnl is the caller's, to be closed by rtnl_free. */
int rtnl_new(struct rtnl **ret_rtnl);

/* Close a handle. NULL is fine. */
void rtnl_free(struct rtnl *rtnl);

/*
 * Whether the kernel can have an interface of this name: 1 to 15 bytes, no '/', no ':', no
 * white space, neither "." nor "..".
 */
bool rtnl_name_is_valid(const char *name);

/* Send a request that another module has built (it is freed), and wait for its answer. */
struct nl_msg;
int rtnl_request(struct rtnl *rtnl, struct nl_msg *msg);

/* Look at an interface, by name (-EINVAL if no interface can have it) or by index (> 0). */
int rtnl_get_by_name(struct rtnl *rtnl, const char *name, struct rtnl_info *ret_info);
int rtnl_get(struct rtnl *rtnl, int ifindex, struct rtnl_info *ret_info);

/* The same for one value. */
int rtnl_get_ifindex(struct rtnl *rtnl, const char *name, int *ret_ifindex);
int rtnl_get_mtu(struct rtnl *rtnl, int ifindex, unsigned int *ret_mtu);
int rtnl_get_master(struct rtnl *rtnl, int ifindex, int *ret_master);

/* Administratively up or down; other flags stay as they are. */
int rtnl_set_up(struct rtnl *rtnl, int ifindex);
int rtnl_set_down(struct rtnl *rtnl, int ifindex);

/* MTU in bytes, RTNL_MTU_MIN to RTNL_MTU_MAX. */
int rtnl_set_mtu(struct rtnl *rtnl, int ifindex, unsigned int mtu);

/* Hardware address, six bytes. */
int rtnl_set_mac(struct rtnl *rtnl, int ifindex, const uint8_t mac[6]);

/* Make it a port of the bridge `master` (> 0). Success if it is that already. */
int rtnl_set_master(struct rtnl *rtnl, int ifindex, int master);

/* Take it out of its bridge. Success if it is in none. */
int rtnl_set_nomaster(struct rtnl *rtnl, int ifindex);

/* Remove the interface from the host. */
int rtnl_delete(struct rtnl *rtnl, int ifindex);

/*
 * Rename. Kernels before 6.3 refuse this (-EBUSY) while the interface is up. -EEXIST if the name is
 * taken by another interface.
 */
int rtnl_rename(struct rtnl *rtnl, int ifindex, const char *name);

/* Length of its transmit queue in packets. */
int rtnl_set_txqueuelen(struct rtnl *rtnl, int ifindex, unsigned int nr_packets);

/* Remove the queueing discipline in front of the driver's own queue. */
int rtnl_set_noqueue(struct rtnl *rtnl, int ifindex);

/*
 * Which offloads its owner wants (ethtool -K), whether the driver can do them now or not. Read it before a call that
 * overwrites it, and set it after. By name, as ethtool does it.
 */
#define RTNL_WISH_WORDS 4u
struct rtnl_wishes {
	uint32_t nr; /* words */
	uint32_t may_change[RTNL_WISH_WORDS], wanted[RTNL_WISH_WORDS];
};
int rtnl_get_wishes(struct rtnl *rtnl, const char *name, struct rtnl_wishes *ret_wishes);
int rtnl_set_wishes(struct rtnl *rtnl, const char *name, const struct rtnl_wishes *wishes);

/*
 * Turn automatic IPv6 addresses off on it. Success, too, if the kernel has no IPv6. Call it before the interface first
 * comes up.
 */
int rtnl_set_addr_gen_mode_none(struct rtnl *rtnl, int ifindex);

#endif
