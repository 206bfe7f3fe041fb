/* SPDX-License-Identifier: MIT */
/*
 * The data side of a disk: its image, its rings and what these share. Control's side is vbd.h; the two exchange messages
 * only (core/messages.h). Everything belongs to the guest's loop ("home"), except where the rings' workers are named.
 */
#ifndef PVB_DISK_H
#define PVB_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkback/image.h"
#include "blkback/vbd_queue.h"
#include "blkback/xentop.h"
#include "core/messages.h"
#include "core/rate.h"
#include "core/slow.h"
#include "guest/guest.h"
#include "guest/ringset.h"

/* What changes while the rings are attached. */
struct disk_state {
	struct message_disk_tuning tuning;
	uint64_t nr_sectors; /* of the medium */
	uint32_t flow_nr;    /* a new number asks the rings: does the medium still answer? */
};

struct disk {
	struct guest_device device;             /* first */
	const struct message_start_disk *start; /* as control sent it */
	struct ringset rings;
	struct vbd_queue queues[MESSAGE_DISK_RINGS];
	struct image image; /* constant while rings are attached, except for `bytes` */
	struct slow *slow;  /* owned: for what the medium may hold up */
	uint32_t max_kept_by_worker;
	struct rate_pair rates;      /* of all rings together; `packets` limits requests */
	struct xentop_stats *xentop; /* owned mapping, used by all rings; NULL: none */
	_Atomic bool refuses;        /* everything but reads, on all rings: see vbd_stall.c */

	struct disk_state
		now; /* the rings read it in their sync(); it changes only between two of them */
	struct disk_state next; /* the state after the next sync() */
	bool syncing, changed;  /* a sync() is under way; `next` is not yet `now` */
	uint64_t flow_ns,
		flow_next_ns; /* the question that the rings have (0: none); the last one asked */
	uint64_t told;        /* the sectors that every ring knows of, as control was told */

	/* set by workers; then `notice` runs at home */
	_Atomic int stall_err, flush_err;
	atomic_uint nr_unflowed; /* rings that have not answered the question */
	atomic_bool flowed, dials, noticed;
	struct loop_task notice, nbd_ended;

	atomic_bool abandoned; /* its guest is gone: see vbd_queue.c */
	bool stopped;          /* no ring is left */
	struct loop_timer
		patience; /* armed: the image may close in time, so that control need not be told */

	int stalled_by; /* the error for which requests are held, as control was told; 0: none */
	int err;        /* why it did not start, until control is told */
	char why[MESSAGE_WHY_MAX];

	struct loop_timer look; /* armed while it is started */
	struct slow_request asking, closing;
	bool asked, closes;    /* its size is being asked; its image is being closed */
	unsigned int nr_looks; /* since either began */
	bool late;             /* control was told that the medium does not answer */
	uint64_t bytes;        /* the answer to the question, or size_err */
	int size_err;
	uint64_t answers; /* responses at the last look */
	uint32_t rest_s;  /* seconds until the next look */
};

extern const struct guest_device_ops disk_device_ops;

/* --- called by the rings, on their workers --- */

/* Requests are held after `err`. */
void disk_stalled(struct disk *disk, int err);
/* All but reads fail from now on. */
void disk_flush_failed(struct disk *disk, int err);
/* The guest is gone, but the medium still moves data from or to its pages: they stay mapped. */
void disk_keeps_pages(struct disk *disk);
/* Called at home: the medium has given back all requests of an abandoned ring. */
void disk_ring_gone(struct disk *disk, struct vbd_queue *q);
/* The medium has given back all requests that a ring had when it was asked. */
void disk_flows(struct disk *disk);

#endif
