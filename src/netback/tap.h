/* SPDX-License-Identifier: MIT */
/*
 * The tap interface behind a vif. It carries a struct virtio_net_hdr (10 bytes, little endian) before each frame, has
 * one file descriptor per queue, and outlives the daemon unless it is removed.
 *
 * Scripts rename it and change its MTU and address. So we identify it by its fds and its index, never by a name that we
 * remember. An admin may move it to another network namespace. Its fds still work then, but its index and name may
 * belong to another interface here, or to none: calls that need them return -EXDEV. What an admin has set on it does
 * not change when guests come and go. Silent.
 */
#ifndef PVB_NETBACK_TAP_H
#define PVB_NETBACK_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define TAP_MAX_QUEUES 8u

struct tap {
	bool open;               /* if not, it owns nothing, and the other members mean nothing */
	int fds[TAP_MAX_QUEUES]; /* owned; -1 beyond nr_fds */
	unsigned int nr_fds;     /* the most queues that it can have */
	unsigned int nr_queues;  /* the queues that it has now, those of the first fds */
	int ifindex;             /* 0 when there is none */
	bool adopted;            /* it existed before this daemon opened it */
	int steered_by;          /* the program that chooses the queue of a frame, or below 0 */
	uint32_t queue_len;      /* as we have set it; 0: unknown */
	uint32_t *noted_len;     /* borrowed: where to write queue_len, too; NULL: nowhere */
};

/*
 * Create the tap `name`, or take over one that an earlier daemon left. It can have `max_queues` (1..TAP_MAX_QUEUES)
 * queues, or fewer if it was made for fewer, and has one now. It has no carrier. A new one has MAC fe:ff:ff:ff:ff:ff
 * and no automatic IPv6 address. 0, or -errno with nothing open: -EBUSY when another process holds it, -EINVAL when the
 * name is that of another interface, -ENOENT without /dev/net/tun.
 */
int tap_open(struct tap *tap, const char *name, unsigned int max_queues);

/*
 * Take over the tap with that index, whatever its name is now. As above; -ENODEV when there is none, or it is not a
 * tap.
 */
int tap_adopt(struct tap *tap, int ifindex, unsigned int max_queues);

/*
 * Take over the descriptors of a tap that an earlier daemon left (owned from now on, also after a failure). Its
 * carrier, queues and namespace do not change. As above; -EBADFD when the tap is gone.
 */
int tap_take(struct tap *tap, const int *fds, unsigned int nr_fds, unsigned int max_queues);

/* Set the number of its queues to `nr` (1..nr_fds). 0 or -errno; -EOPNOTSUPP when it cannot have so many. */
int tap_set_queues(struct tap *tap, unsigned int nr);

/*
 * Set what the kernel may leave undone in frames that we read (TUN_F_*), except for what an admin has turned off
 * (ethtool -K). 0 or -errno.
 */
int tap_set_offload(struct tap *tap, unsigned int flags);

/*
 * Let the program `prog_fd` (borrowed) choose the queue of each frame for the guest. With TAP_STEER_NONE the kernel chooses
 * the queue that the flow was last sent on. 0, also when nothing changes; or -errno.
 */
#define TAP_STEER_NONE (-1)
int tap_steer(struct tap *tap, int prog_fd);

/*
 * Set how many frames may wait in the kernel, per queue, for a guest that takes none. If somebody else has set this, or
 * the tap is in another namespace, nothing changes, and 0 is returned.
 */
int tap_set_queue_len(struct tap *tap, unsigned int nr_frames);

int tap_set_carrier(struct tap *tap, bool on);
int tap_set_mtu(struct tap *tap, unsigned int mtu);
int tap_get_mtu(const struct tap *tap, unsigned int *ret_mtu);

/* Its name now, in whatever namespace. 0 or -errno. */
int tap_name(const struct tap *tap, char ret_name[IFNAMSIZ]);

/* The bridge that the interface of that name is in, "" for none. Reads "/sys/class/net", which takes no lock. */
void tap_master(const char *class_net, const char *name, char ret_name[IFNAMSIZ]);

/* Whether it is in our network namespace. */
bool tap_is_here(const struct tap *tap);

/* Close the tap; `remove`: delete the interface, too. Idempotent. */
void tap_close(struct tap *tap, bool remove);

#endif
