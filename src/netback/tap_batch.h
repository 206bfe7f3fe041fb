/* SPDX-License-Identifier: MIT */
/*
 * Write many frames into a tap with one system call. For each request of an io_submit(), the kernel calls the tap's
 * write, in order, before io_submit() returns. That write does not block. In a PV Dom0 a system call goes through the
 * hypervisor, and is most of the cost of a small frame. Each worker has one batch. Silent.
 */
#ifndef PVB_NETBACK_TAP_BATCH_H
#define PVB_NETBACK_TAP_BATCH_H

#include <linux/virtio_net.h>
#include <stdint.h>
#include <sys/uio.h>

#include "netback/frame.h"
#include "ring/netif.h"

#define TAP_BATCH_MAX 64u

/* A frame on its way. The caller fills in all members except `err`. */
struct tap_frame {
	struct virtio_net_hdr hdr;
	uint8_t head[FRAME_HEAD_MAX];          /* room for headers that are not in one piece */
	struct iovec iov[NETIF_MAX_SLOTS + 2]; /* `hdr`, then the frame */
	int nr_iov;
	void *user; /* the caller's */
	int err;    /* afterwards: 0 or a positive errno */
};

struct tap_batch;

/* NULL without memory. Without a context for aio (fs.aio-max-nr) frames are written one by one. */
struct tap_batch *tap_batch_new(void);
/* NULL is fine. Returns NULL. */
struct tap_batch *tap_batch_free(struct tap_batch *batch);

/* Forget all frames. */
void tap_batch_reset(struct tap_batch *batch);

/* The next frame, which the caller fills in. It belongs to the batch from tap_batch_add() on. At most TAP_BATCH_MAX. */
struct tap_frame *tap_batch_next(struct tap_batch *batch);
void tap_batch_add(struct tap_batch *batch);

/* Write the added frames to a tap's queue. Returns how many; tap_batch_get() returns each with its result. */
uint32_t tap_batch_write(struct tap_batch *batch, int fd);
const struct tap_frame *tap_batch_get(const struct tap_batch *batch, uint32_t index);

/* Read and drop frames that wait in a queue, at most `max`. Returns how many. */
unsigned int tap_drain(int fd, unsigned int max);

#endif
