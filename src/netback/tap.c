/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "netback/tap.h"
#include "rtnl.h"

/* An earlier life of the daemon has left it, or the kernel did not do as it was told. */
#define STEERED_BY_UNKNOWN (-2)
/* Until a guest is there to say what it takes. */
#define FIRST_QUEUE_LEN 256

static const uint8_t tap_mac[6] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff };

static int check(int ret)
{
	return ret < 0 ? -errno : 0;
}

/* One more descriptor on the interface `name`, which is created when there is none. */
static int open_queue(const char *name, bool multi_queue, int *ret_fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
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

/* The interface remembers whether it was made for several queues; ask for what it is. */
static int open_first(struct tap *tap, const char *name)
{
	int err = open_queue(name, tap->multi_queue, &tap->fds[0]);

	if (err != -EINVAL || !tap->adopted)
		return err;
	tap->multi_queue = !tap->multi_queue;
	return open_queue(name, tap->multi_queue, &tap->fds[0]);
}

static int set_format(struct tap *tap)
{
	int hdr_size = (int)sizeof(struct virtio_net_hdr), little = 1;
	int err = check(ioctl(tap->fds[0], TUNSETVNETHDRSZ, &hdr_size));

	if (!err)
		err = check(ioctl(tap->fds[0], TUNSETVNETLE, &little));
	if (!err)
		err = tap_set_offload(tap, 0);
	return err;
}

/* For a new interface only: later these belong to the scripts and the admin. */
static int set_link(struct tap *tap, struct rtnl *rtnl)
{
	int err = rtnl_set_mac(rtnl, tap->ifindex, tap_mac);

	if (!err)
		err = rtnl_set_txqueuelen(rtnl, tap->ifindex, FIRST_QUEUE_LEN);
	/*
	 * The driver takes every frame at once, so a qdisc would never hold one; and an interface for
	 * several queues comes with 256 of them, which is 2 MB and more of kernel memory for each vif.
	 */
	if (!err)
		err = rtnl_set_noqueue(rtnl, tap->ifindex);
	if (!err)
		err = rtnl_set_addr_gen_mode_none(rtnl, tap->ifindex);
	if (!err)
		err = tap_set_carrier(tap, false);
	return err;
}

static int find_or_make(struct tap *tap, const char *name, struct rtnl *rtnl)
{
	int err = rtnl_get_ifindex(rtnl, name, &tap->ifindex);

	/* Not to know is not to have: what is there and in its bridge would be taken for new. */
	if (err && err != -ENODEV)
		return err;
	tap->adopted = !err;
	tap->steered_by = tap->adopted ? STEERED_BY_UNKNOWN : TAP_STEER_NONE;
	err = open_first(tap, name);
	if (err)
		return err;
	if (!tap->adopted)
		err = rtnl_get_ifindex(rtnl, name, &tap->ifindex);
	if (!err)
		err = set_format(tap);
	if (!err && !tap->adopted)
		err = set_link(tap, rtnl);
	if (!err) /* last: a death before it leaves no half-made interface to be taken over */
		err = check(ioctl(tap->fds[0], TUNSETPERSIST, 1));
	return err;
}

int tap_open(struct tap *tap, const char *name, bool multi_queue)
{
	struct rtnl *rtnl;
	int err;

	*tap = (struct tap){ .open = true, .multi_queue = multi_queue };
	for (unsigned int i = 0; i < TAP_MAX_QUEUES; i++)
		tap->fds[i] = -1;
	err = rtnl_new(&rtnl);
	if (!err) {
		err = find_or_make(tap, name, rtnl);
		rtnl_free(rtnl);
	}
	if (err)
		tap_close(tap, !tap->adopted);
	return err;
}

static void close_extra(struct tap *tap, unsigned int keep)
{
	for (unsigned int i = keep; i < TAP_MAX_QUEUES; i++) {
		if (tap->fds[i] >= 0)
			close(tap->fds[i]);
		tap->fds[i] = -1;
	}
}

int tap_set_queues(struct tap *tap, unsigned int nr)
{
	char name[IFNAMSIZ];
	int err = tap_name(tap, name);

	if (!err && nr > 1 && !tap->multi_queue)
		err = -EOPNOTSUPP;
	for (unsigned int i = 1; !err && i < nr; i++)
		if (tap->fds[i] < 0)
			err = open_queue(name, true, &tap->fds[i]);
	close_extra(tap, err ? 1 : nr);
	return err;
}

int tap_set_offload(struct tap *tap, unsigned int flags)
{
	return check(ioctl(tap->fds[0], TUNSETOFFLOAD, flags));
}

int tap_steer(struct tap *tap, int prog_fd)
{
	int err = 0;

	if (tap->steered_by != prog_fd)
		err = check(ioctl(tap->fds[0], TUNSETSTEERINGEBPF, &prog_fd));
	tap->steered_by = err ? STEERED_BY_UNKNOWN : prog_fd;
	return err;
}

int tap_set_queue_len(struct tap *tap, unsigned int nr_frames)
{
	struct rtnl *rtnl;
	int err = rtnl_new(&rtnl);

	if (err)
		return err;
	err = rtnl_set_txqueuelen(rtnl, tap->ifindex, nr_frames);
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
	int err = rtnl_new(&rtnl);

	if (err)
		return err;
	err = rtnl_set_mtu(rtnl, tap->ifindex, mtu);
	rtnl_free(rtnl);
	return err;
}

int tap_get_mtu(const struct tap *tap, unsigned int *ret_mtu)
{
	struct rtnl *rtnl;
	int err = rtnl_new(&rtnl);

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

unsigned int tap_drain(int fd, unsigned int max)
{
	uint8_t scrap[64]; /* the kernel frees the whole frame, however little of it is read */
	unsigned int nr = 0;

	while (nr < max && (read(fd, scrap, sizeof(scrap)) >= 0 || errno != EAGAIN))
		nr++;
	return nr;
}

static void delete_interface(int ifindex)
{
	struct rtnl *rtnl;

	if (rtnl_new(&rtnl))
		return;
	rtnl_delete(rtnl, ifindex);
	rtnl_free(rtnl);
}

void tap_close(struct tap *tap, bool remove)
{
	if (!tap->open)
		return;
	/* The last descriptor of an interface that is not persistent takes it along. */
	if (remove && tap->fds[0] >= 0 && ioctl(tap->fds[0], TUNSETPERSIST, 0))
		delete_interface(tap->ifindex);
	close_extra(tap, 0);
	*tap = (struct tap){ 0 };
}
