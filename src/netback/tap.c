/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "netback/tap.h"
#include "control/rtnl.h"

/* An earlier daemon left a program, or the kernel failed to change it. */
#define STEERED_BY_UNKNOWN (-2)
/* Until a guest connects and says what it takes. */
#define FIRST_QUEUE_LEN 256

static const uint8_t tap_mac[6] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff };

static int check(int ret)
{
	return ret < 0 ? -errno : 0;
}

/* Open one more descriptor of the interface `name`, which is created if it does not exist. */
static int open_queue(const char *name, bool multi_queue, int *ret_fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_NO_CARRIER };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	if (multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	err = check(ioctl(fd, TUNSETIFF, &ifr));
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int set_attached(int fd, bool attached)
{
	struct ifreq ifr = { .ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return check(ioctl(fd, TUNSETQUEUE, &ifr));
}

/* The queues beyond the first stay detached until a guest uses them. */
static int open_others(struct tap *tap, const char *name, unsigned int max_queues)
{
	int err = 0;

	while (!err && tap->nr_fds < max_queues) {
		err = open_queue(name, true, &tap->fds[tap->nr_fds]);
		if (!err)
			err = set_attached(tap->fds[tap->nr_fds++], false);
	}
	return err;
}

/* An existing interface may have been made for several queues or for one. Ask for what it is. */
static int open_queues(struct tap *tap, const char *name, unsigned int max_queues)
{
	bool multi_queue = max_queues > 1;
	int err = open_queue(name, multi_queue, &tap->fds[0]);

	if (err == -EINVAL && tap->adopted) {
		multi_queue = !multi_queue;
		err = open_queue(name, multi_queue, &tap->fds[0]);
	}
	if (err)
		return err;
	tap->nr_fds = tap->nr_queues = 1;
	return multi_queue ? open_others(tap, name, max_queues) : 0;
}

static int set_format(struct tap *tap)
{
	int hdr_size = (int)sizeof(struct virtio_net_hdr), little = 1;
	int err = check(ioctl(tap->fds[0], TUNSETVNETHDRSZ, &hdr_size));

	if (!err)
		err = check(ioctl(tap->fds[0], TUNSETVNETLE, &little));
	if (!err) /* older kernels turn the carrier on */
		err = tap_set_carrier(tap, false);
	return err;
}

/* For a new interface only: later, scripts and admins may change these. */
static int set_link(struct tap *tap, struct rtnl *rtnl)
{
	int err = rtnl_set_mac(rtnl, tap->ifindex, tap_mac);

	if (!err)
		err = rtnl_set_txqueuelen(rtnl, tap->ifindex, FIRST_QUEUE_LEN);
	/*
	 * The driver takes every frame at once, so a qdisc would never hold one. And an interface for several queues
	 * would have 256 qdiscs: 2 MB and more of kernel memory for each vif.
	 */
	if (!err)
		err = rtnl_set_noqueue(rtnl, tap->ifindex);
	if (!err)
		err = rtnl_set_addr_gen_mode_none(rtnl, tap->ifindex);
	if (!err)
		tap->queue_len = FIRST_QUEUE_LEN;
	return err;
}

static void begin(struct tap *tap)
{
	*tap = (struct tap){ .open = true, .steered_by = STEERED_BY_UNKNOWN };
	for (unsigned int i = 0; i < TAP_MAX_QUEUES; i++)
		tap->fds[i] = -1;
}

static int find_or_make(struct tap *tap, const char *name, unsigned int max_queues,
			struct rtnl *rtnl)
{
	int err = rtnl_get_ifindex(rtnl, name, &tap->ifindex);

	/* After any other error, an interface that exists and is in its bridge would be taken for new. */
	if (err && err != -ENODEV)
		return err;
	tap->adopted = !err;
	err = open_queues(tap, name, max_queues);
	if (err)
		return err;
	if (!tap->adopted)
		err = rtnl_get_ifindex(rtnl, name, &tap->ifindex);
	if (!err)
		err = set_format(tap);
	if (!err && !tap->adopted)
		err = set_link(tap, rtnl);
	if (!err) /* last: a daemon that dies earlier leaves no half-made interface */
		err = check(ioctl(tap->fds[0], TUNSETPERSIST, 1));
	return err;
}

int tap_open(struct tap *tap, const char *name, unsigned int max_queues)
{
	struct rtnl *rtnl;
	int err = rtnl_new(&rtnl);

	begin(tap);
	if (!err) {
		err = find_or_make(tap, name, max_queues, rtnl);
		rtnl_free(rtnl);
	}
	if (err)
		tap_close(tap, !tap->adopted);
	return err;
}

/* An index is used again only when somebody asks for it. An interface that is not a tap is never used. */
static int name_of(int ifindex, char ret_name[IFNAMSIZ])
{
	struct rtnl_info info = { 0 };
	struct rtnl *rtnl;
	int err = rtnl_new(&rtnl);

	if (err)
		return err;
	err = rtnl_get(rtnl, ifindex, &info);
	rtnl_free(rtnl);
	if (err)
		return err;
	return !strcmp(info.kind, "tun") && if_indextoname((unsigned int)ifindex, ret_name)
		       ? 0
		       : -ENODEV;
}

int tap_adopt(struct tap *tap, int ifindex, unsigned int max_queues)
{
	char name[IFNAMSIZ];
	int err = name_of(ifindex, name);

	if (!err)
		err = tap_open(tap, name, max_queues);
	if (!err && tap->ifindex != ifindex) { /* it was renamed meanwhile */
		tap_close(tap, !tap->adopted);
		err = -ENODEV;
	}
	return err;
}

bool tap_is_here(const struct tap *tap)
{
	int fd = ioctl(tap->fds[0], TUNGETDEVNETNS);
	struct stat its, ours;
	bool here;

	if (fd < 0)
		return errno != EPERM; /* EPERM: it is elsewhere; else the kernel cannot tell */
	here = fstat(fd, &its) < 0 || stat("/proc/self/ns/net", &ours) < 0 ||
	       (its.st_ino == ours.st_ino && its.st_dev == ours.st_dev);
	close(fd);
	return here;
}

/* For a tap in this network namespace only: by its index. */
static int open_rtnl(const struct tap *tap, struct rtnl **ret_rtnl)
{
	return tap_is_here(tap) ? rtnl_new(ret_rtnl) : -EXDEV;
}

/* Find out which queues are attached. *ret_ifr has the tap's name and flags. */
static int look_at_fds(struct tap *tap, struct ifreq *ret_ifr)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < tap->nr_fds; i++) {
		*ret_ifr = (struct ifreq){ 0 };
		err = check(ioctl(tap->fds[i], TUNGETIFF, ret_ifr));
		if (!err && !(ret_ifr->ifr_flags & IFF_DETACH_QUEUE))
			tap->nr_queues = i + 1;
	}
	return err;
}

/*
 * A daemon with more workers offers more queues. In another network namespace the name may be that of another
 * interface: then nothing is opened.
 */
static int take_place(struct tap *tap, const struct ifreq *ifr, unsigned int max_queues)
{
	struct rtnl *rtnl;
	int err = open_rtnl(tap, &rtnl);

	if (err)
		return err == -EXDEV ? 0 : err;
	err = rtnl_get_ifindex(rtnl, ifr->ifr_name, &tap->ifindex);
	rtnl_free(rtnl);
	return err || !(ifr->ifr_flags & IFF_MULTI_QUEUE)
		       ? err
		       : open_others(tap, ifr->ifr_name, max_queues);
}

int tap_take(struct tap *tap, const int *fds, unsigned int nr_fds, unsigned int max_queues)
{
	struct ifreq ifr;
	int err;

	begin(tap);
	tap->adopted = true;
	memcpy(tap->fds, fds, nr_fds * sizeof(fds[0]));
	tap->nr_fds = nr_fds;
	err = look_at_fds(tap, &ifr);
	if (!err)
		err = take_place(tap, &ifr, max_queues);
	if (err)
		tap_close(tap, false);
	return err;
}

/* When a queue is detached, the kernel gives its number to the last one. So always detach the last. */
int tap_set_queues(struct tap *tap, unsigned int nr)
{
	int err = 0;

	if (nr > tap->nr_fds)
		return -EOPNOTSUPP;
	while (!err && tap->nr_queues > nr) {
		err = set_attached(tap->fds[tap->nr_queues - 1], false);
		tap->nr_queues -= !err;
	}
	while (!err && tap->nr_queues < nr) {
		err = set_attached(tap->fds[tap->nr_queues], true);
		tap->nr_queues += !err;
	}
	return err;
}

/* The kernel resets the admin's offload settings to what the guest accepts. So they are read before, and set again. */
static int set_offload(struct tap *tap, unsigned int flags, struct rtnl *rtnl)
{
	struct rtnl_wishes wishes;
	char name[IFNAMSIZ];
	bool known = !tap_name(tap, name) && !rtnl_get_wishes(rtnl, name, &wishes);
	int err = check(ioctl(tap->fds[0], TUNSETOFFLOAD, flags));

	if (!err && known)
		rtnl_set_wishes(rtnl, name,
				&wishes); /* a failure here is no reason to refuse a guest */
	return err;
}

int tap_set_offload(struct tap *tap, unsigned int flags)
{
	struct rtnl *rtnl;
	int err = open_rtnl(tap, &rtnl);

	if (err == -EXDEV)
		return check(ioctl(tap->fds[0], TUNSETOFFLOAD, flags));
	if (err)
		return err;
	err = set_offload(tap, flags, rtnl);
	rtnl_free(rtnl);
	return err;
}

int tap_steer(struct tap *tap, int prog_fd)
{
	int err = 0;

	if (tap->steered_by != prog_fd)
		err = check(ioctl(tap->fds[0], TUNSETSTEERINGEBPF, &prog_fd));
	tap->steered_by = err ? STEERED_BY_UNKNOWN : prog_fd;
	return err;
}

static int set_queue_len(struct tap *tap, unsigned int nr_frames, struct rtnl *rtnl)
{
	struct rtnl_info info;
	int err = rtnl_get(rtnl, tap->ifindex, &info);

	if (err || (tap->queue_len && info.txqueuelen != tap->queue_len))
		return err;
	err = rtnl_set_txqueuelen(rtnl, tap->ifindex, nr_frames);
	if (err)
		return err;
	tap->queue_len = nr_frames;
	if (tap->noted_len)
		*tap->noted_len = nr_frames;
	return 0;
}

int tap_set_queue_len(struct tap *tap, unsigned int nr_frames)
{
	struct rtnl *rtnl;
	int err = open_rtnl(tap, &rtnl);

	if (err)
		return err == -EXDEV ? 0 : err;
	err = set_queue_len(tap, nr_frames, rtnl);
	rtnl_free(rtnl);
	return err;
}

int tap_set_carrier(struct tap *tap, bool on)
{
	int value = on;

	return check(ioctl(tap->fds[0], TUNSETCARRIER, &value));
}

int tap_set_mtu(struct tap *tap, unsigned int mtu)
{
	struct rtnl *rtnl;
	int err = open_rtnl(tap, &rtnl);

	if (err)
		return err;
	err = rtnl_set_mtu(rtnl, tap->ifindex, mtu);
	rtnl_free(rtnl);
	return err;
}

int tap_get_mtu(const struct tap *tap, unsigned int *ret_mtu)
{
	struct rtnl *rtnl;
	int err = open_rtnl(tap, &rtnl);

	if (err)
		return err;
	err = rtnl_get_mtu(rtnl, tap->ifindex, ret_mtu);
	rtnl_free(rtnl);
	return err;
}

int tap_name(const struct tap *tap, char ret_name[IFNAMSIZ])
{
	struct ifreq ifr = { 0 };
	int err = check(ioctl(tap->fds[0], TUNGETIFF, &ifr));

	if (!err)
		memcpy(ret_name, ifr.ifr_name, IFNAMSIZ);
	return err;
}

void tap_master(const char *class_net, const char *name, char ret_name[IFNAMSIZ])
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *master;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/%s/master", class_net, name);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = '\0';
	master = strrchr(target, '/');
	snprintf(ret_name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, master ? master + 1 : target);
}

static void delete_interface(const struct tap *tap)
{
	struct rtnl *rtnl;

	if (!tap->ifindex || open_rtnl(tap, &rtnl))
		return;
	rtnl_delete(rtnl, tap->ifindex);
	rtnl_free(rtnl);
}

void tap_close(struct tap *tap, bool remove)
{
	if (!tap->open)
		return;
	/* In another namespace, the interface goes with its last descriptor, which another process may hold. */
	if (remove && tap->fds[0] >= 0) {
		ioctl(tap->fds[0], TUNSETPERSIST, 0);
		delete_interface(tap);
	}
	for (unsigned int i = 0; i < tap->nr_fds; i++)
		close(tap->fds[i]);
	*tap = (struct tap){ 0 };
}
