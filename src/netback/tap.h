/* SPDX-License-Identifier: MIT */
/*
 * The tap interface behind a vif: it carries a struct virtio_net_hdr (10 bytes, little endian) before
 * each frame, has one file descriptor per queue, and outlives the daemon unless removed.
 *
 * Scripts rename it and change its MTU and address, so it is known by its fd and its
 * index, never by a remembered name. Silent.
 */
#ifndef PVB_NETBACK_TAP_H
#define PVB_NETBACK_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define TAP_MAX_QUEUES 8u

struct tap {
	bool open;               /* when not, nothing is held and the rest means nothing */
	int fds[TAP_MAX_QUEUES]; /* owned; -1 when closed; the first lives as long as the tap */
	int ifindex;             /* 0 when there is none */
	bool multi_queue;
	bool adopted;   /* it was there before us */
	int steered_by; /* the program that chooses the queue of a frame, or below 0 */
};

/*
 * Create the tap `name`, or take over one that a previous life of the daemon left. A new one
 * has MAC fe:ff:ff:ff:ff:ff, no automatic IPv6 address, and no carrier.
 * 0, or -errno with nothing open: -EBUSY when another process holds it, -EINVAL when the name is
 * some other interface's, -ENOENT without /dev/net/tun.
 */
int tap_open(struct tap *tap, const char *name, bool multi_queue);

/* Have exactly `nr` queues open (1..TAP_MAX_QUEUES). 0 or -errno with one queue left open. */
int tap_set_queues(struct tap *tap, unsigned int nr);

/* What the kernel may leave undone in frames that we read (TUN_F_*). 0 or -errno. */
int tap_set_offload(struct tap *tap, unsigned int flags);

/*
 * Have the program behind `prog_fd` (borrowed) choose the queue of each frame for the guest. With TAP_STEER_NONE the
 * kernel chooses: the queue that the flow was last sent on. 0, also when it was so already, or -errno.
 */
#define TAP_STEER_NONE (-1)
int tap_steer(struct tap *tap, int prog_fd);

/* How many frames may wait in the kernel, per queue, for a guest that takes none. */
int tap_set_queue_len(struct tap *tap, unsigned int nr_frames);

int tap_set_carrier(struct tap *tap, bool on);
int tap_set_mtu(struct tap *tap, unsigned int mtu);
int tap_get_mtu(const struct tap *tap, unsigned int *ret_mtu);

/* The name it has now. 0 or -errno. */
int tap_name(const struct tap *tap, char ret_name[IFNAMSIZ]);

/* Throw away what waits to be read on a queue; at most `max` frames. Returns how many. */
unsigned int tap_drain(int fd, unsigned int max);

/* Close; `remove`: the interface goes too. Idempotent. */
void tap_close(struct tap *tap, bool remove);

#endif
