/* SPDX-License-Identifier: MIT */
/* Network interfaces by rtnetlink; see rtnl.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/socket.h>

#include "control/rtnl.h"

struct rtnl {
	struct nl_sock *sock; /* owned */
};

/* A change to make to a link, applied by link_change(). */
typedef void (*link_edit_fn)(struct rtnl_link *change, const void *arg);

/*
 * libnl has its own error numbers, and one of them stands for several errnos. This returns the errno that the kernel most
 * likely gave for a link.
 */
static int errno_from_nl(int nl_err)
{
	switch (nl_err < 0 ? -nl_err : nl_err) {
	case NLE_SUCCESS:
		return 0;
	case NLE_INTR:
		return -EINTR;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_INVAL:
		return -EINVAL;
	case NLE_RANGE:
		return -ERANGE;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return -ENODEV;
	case NLE_PERM:
		return -EPERM;
	case NLE_NOACCESS:
		return -EACCES;
	case NLE_BUSY:
		return -EBUSY;
	default:
		return -EIO;
	}
}

int rtnl_new(struct rtnl **ret_rtnl)
{
	const struct timeval limit = { .tv_sec = RTNL_TIMEOUT_MS / 1000,
				       .tv_usec = RTNL_TIMEOUT_MS % 1000 * 1000 };
	struct rtnl *rtnl = calloc(1, sizeof(*rtnl));
	int err = -ENOMEM;

	if (!rtnl)
		return err;

	rtnl->sock = nl_socket_alloc();
	if (!rtnl->sock)
		goto fail;

	err = errno_from_nl(nl_connect(rtnl->sock, NETLINK_ROUTE));
	if (err)
		goto fail;

	/* The daemon's main thread must not hang if no answer comes. */
	if (setsockopt(nl_socket_get_fd(rtnl->sock), SOL_SOCKET, SO_RCVTIMEO, &limit,
		       sizeof(limit)) < 0) {
		err = -errno;
		goto fail;
	}

	*ret_rtnl = rtnl;
	return 0;

fail:
	rtnl_free(rtnl);
	return err;
}

void rtnl_free(struct rtnl *rtnl)
{
	if (!rtnl)
		return;
	nl_socket_free(rtnl->sock);
	free(rtnl);
}

bool rtnl_name_is_valid(const char *name)
{
	size_t len = strnlen(name, IFNAMSIZ);

	if (len == 0 || len >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || isspace((unsigned char)*name))
			return false;
	return true;
}

/* Get one link from the kernel, by index or, if that is 0, by name. The caller puts it. */
static int link_get(struct rtnl *rtnl, int ifindex, const char *name, struct rtnl_link **ret_link)
{
	struct rtnl_link *link = NULL;
	int err;

	err = errno_from_nl(rtnl_link_get_kernel(rtnl->sock, ifindex, name, &link));
	if (err)
		return err;
	if (!link)
		return -ENODEV;
	*ret_link = link;
	return 0;
}

static void info_from_link(struct rtnl_link *link, struct rtnl_info *info)
{
	const char *kind = rtnl_link_get_type(link);

	*info = (struct rtnl_info){
		.ifindex = rtnl_link_get_ifindex(link),
		.master = rtnl_link_get_master(link),
		.mtu = rtnl_link_get_mtu(link),
		.txqueuelen = rtnl_link_get_txqlen(link),
		.up = (rtnl_link_get_flags(link) & IFF_UP) != 0,
	};
	if (kind)
		strncpy(info->kind, kind, sizeof(info->kind) - 1);
}

static int info_get(struct rtnl *rtnl, int ifindex, const char *name, struct rtnl_info *ret_info)
{
	struct rtnl_link *link;
	int err;

	err = link_get(rtnl, ifindex, name, &link);
	if (err)
		return err;
	info_from_link(link, ret_info);
	rtnl_link_put(link);
	return 0;
}

int rtnl_get_by_name(struct rtnl *rtnl, const char *name, struct rtnl_info *ret_info)
{
	if (!rtnl_name_is_valid(name))
		return -EINVAL;
	return info_get(rtnl, 0, name, ret_info);
}

int rtnl_get(struct rtnl *rtnl, int ifindex, struct rtnl_info *ret_info)
{
	if (ifindex <= 0)
		return -EINVAL;
	return info_get(rtnl, ifindex, NULL, ret_info);
}

int rtnl_get_ifindex(struct rtnl *rtnl, const char *name, int *ret_ifindex)
{
	struct rtnl_info info;
	int err = rtnl_get_by_name(rtnl, name, &info);

	if (!err)
		*ret_ifindex = info.ifindex;
	return err;
}

int rtnl_get_mtu(struct rtnl *rtnl, int ifindex, unsigned int *ret_mtu)
{
	struct rtnl_info info;
	int err = rtnl_get(rtnl, ifindex, &info);

	if (!err)
		*ret_mtu = info.mtu;
	return err;
}

int rtnl_get_master(struct rtnl *rtnl, int ifindex, int *ret_master)
{
	struct rtnl_info info;
	int err = rtnl_get(rtnl, ifindex, &info);

	if (!err)
		*ret_master = info.master;
	return err;
}

/*
 * Fetch the link, let `edit` fill in an otherwise empty change, send it and wait for the answer.
 * The link is fetched first because libnl computes the flags to send from what is set now.
 */
static int link_change(struct rtnl *rtnl, int ifindex, link_edit_fn edit, const void *arg)
{
	struct rtnl_link *link = NULL;
	struct rtnl_link *change = NULL;
	int err;

	if (ifindex <= 0)
		return -EINVAL;
	err = link_get(rtnl, ifindex, NULL, &link);
	if (err)
		return err;

	change = rtnl_link_alloc();
	if (!change) {
		err = -ENOMEM;
		goto out;
	}
	edit(change, arg);
	err = errno_from_nl(rtnl_link_change(rtnl->sock, link, change, 0));

out:
	rtnl_link_put(change);
	rtnl_link_put(link);
	return err;
}

static void edit_up(struct rtnl_link *change, const void *arg)
{
	(void)arg;
	rtnl_link_set_flags(change, IFF_UP);
}

static void edit_down(struct rtnl_link *change, const void *arg)
{
	(void)arg;
	rtnl_link_unset_flags(change, IFF_UP);
}

static void edit_mtu(struct rtnl_link *change, const void *arg)
{
	rtnl_link_set_mtu(change, *(const unsigned int *)arg);
}

static void edit_txqueuelen(struct rtnl_link *change, const void *arg)
{
	rtnl_link_set_txqlen(change, *(const unsigned int *)arg);
}

static void edit_name(struct rtnl_link *change, const void *arg)
{
	rtnl_link_set_name(change, arg);
}

static void edit_master(struct rtnl_link *change, const void *arg)
{
	rtnl_link_set_master(change, *(const int *)arg);
}

int rtnl_set_up(struct rtnl *rtnl, int ifindex)
{
	return link_change(rtnl, ifindex, edit_up, NULL);
}

int rtnl_set_down(struct rtnl *rtnl, int ifindex)
{
	return link_change(rtnl, ifindex, edit_down, NULL);
}

int rtnl_delete(struct rtnl *rtnl, int ifindex)
{
	struct rtnl_link *link;
	int err;

	if (ifindex <= 0)
		return -EINVAL;
	link = rtnl_link_alloc();
	if (!link)
		return -ENOMEM;
	rtnl_link_set_ifindex(link, ifindex);
	err = errno_from_nl(rtnl_link_delete(rtnl->sock, link));
	rtnl_link_put(link);
	return err;
}

int rtnl_set_mtu(struct rtnl *rtnl, int ifindex, unsigned int mtu)
{
	if (mtu < RTNL_MTU_MIN || mtu > RTNL_MTU_MAX)
		return -EINVAL;
	return link_change(rtnl, ifindex, edit_mtu, &mtu);
}

int rtnl_set_txqueuelen(struct rtnl *rtnl, int ifindex, unsigned int nr_packets)
{
	return link_change(rtnl, ifindex, edit_txqueuelen, &nr_packets);
}

int rtnl_request(struct rtnl *rtnl, struct nl_msg *msg)
{
	return errno_from_nl(nl_send_sync(rtnl->sock, msg));
}

int rtnl_set_noqueue(struct rtnl *rtnl, int ifindex)
{
	struct tcmsg tcm = { .tcm_family = AF_UNSPEC,
			     .tcm_ifindex = ifindex,
			     .tcm_parent = TC_H_ROOT };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);

	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, &tcm, sizeof(tcm), NLMSG_ALIGNTO) ||
	    nla_put_string(msg, TCA_KIND, "noqueue")) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return rtnl_request(rtnl, msg);
}

int rtnl_rename(struct rtnl *rtnl, int ifindex, const char *name)
{
	if (!rtnl_name_is_valid(name))
		return -EINVAL;
	return link_change(rtnl, ifindex, edit_name, name);
}

int rtnl_set_master(struct rtnl *rtnl, int ifindex, int master)
{
	if (master <= 0)
		return -EINVAL;
	return link_change(rtnl, ifindex, edit_master, &master);
}

int rtnl_set_nomaster(struct rtnl *rtnl, int ifindex)
{
	const int none = 0;

	return link_change(rtnl, ifindex, edit_master, &none);
}

static void edit_mac(struct rtnl_link *change, const void *arg)
{
	rtnl_link_set_addr(change, (struct nl_addr *)(uintptr_t)arg);
}

int rtnl_set_mac(struct rtnl *rtnl, int ifindex, const uint8_t mac[6])
{
	struct nl_addr *addr = nl_addr_build(AF_LLC, mac, 6);
	int err;

	if (!addr)
		return -ENOMEM;
	err = link_change(rtnl, ifindex, edit_mac, addr);
	nl_addr_put(addr);
	return err;
}

static void edit_addr_gen_mode_none(struct rtnl_link *change, const void *arg)
{
	(void)arg;
	rtnl_link_inet6_set_addr_gen_mode(change, IN6_ADDR_GEN_MODE_NONE);
}

int rtnl_set_addr_gen_mode_none(struct rtnl *rtnl, int ifindex)
{
	int err = link_change(rtnl, ifindex, edit_addr_gen_mode_none, NULL);

	return err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err;
}

/* The ioctl takes a socket of any kind. */
static int ask_ethtool(struct rtnl *rtnl, const char *name, void *request)
{
	struct ifreq ifr = { .ifr_data = request };

	if (!rtnl_name_is_valid(name))
		return -EINVAL;
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	return ioctl(nl_socket_get_fd(rtnl->sock), SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

int rtnl_get_wishes(struct rtnl *rtnl, const char *name, struct rtnl_wishes *ret_wishes)
{
	union {
		struct ethtool_gfeatures head;
		char room[sizeof(struct ethtool_gfeatures) +
			  RTNL_WISH_WORDS * sizeof(struct ethtool_get_features_block)];
	} request = { .head = { .cmd = ETHTOOL_GFEATURES, .size = RTNL_WISH_WORDS } };
	struct rtnl_wishes wishes;
	int err = ask_ethtool(rtnl, name, &request);

	if (!err && request.head.size > RTNL_WISH_WORDS)
		err = -EOPNOTSUPP; /* the kernel is too old for it */
	if (err)
		return err;
	wishes.nr = request.head.size;
	for (uint32_t i = 0; i < wishes.nr; i++) {
		wishes.may_change[i] = request.head.features[i].available;
		wishes.wanted[i] = request.head.features[i].requested;
	}
	*ret_wishes = wishes;
	return 0;
}

int rtnl_set_wishes(struct rtnl *rtnl, const char *name, const struct rtnl_wishes *wishes)
{
	union {
		struct ethtool_sfeatures head;
		char room[sizeof(struct ethtool_sfeatures) +
			  RTNL_WISH_WORDS * sizeof(struct ethtool_set_features_block)];
	} request = { .head = { .cmd = ETHTOOL_SFEATURES, .size = wishes->nr } };

	for (uint32_t i = 0; i < wishes->nr; i++) {
		request.head.features[i].valid = wishes->may_change[i];
		request.head.features[i].requested = wishes->wanted[i] & wishes->may_change[i];
	}
	return ask_ethtool(rtnl, name, &request);
}
