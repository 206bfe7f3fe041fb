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
	uint32_t flow_nr;    /* another one: the rings are asked whether the medium gives back */
};

struct disk {
	struct guest_device device;             /* first */
	const struct message_start_disk *start; /* as control sent it */
	struct ringset rings;
	struct vbd_queue queues[MESSAGE_DISK_RINGS];
	struct image image; /* but for `bytes` constant while rings are attached */
	struct slow *slow;  /* owned: for what the medium may hold up */
	uint32_t max_kept_by_worker;
	struct rate_pair rates; /* of all rings together: requests are its packets */
	struct xentop_stats
		*xentop;      /* owned mapping, counted in by all rings; NULL: nobody looks */
	_Atomic bool refuses; /* all but reads, on all rings: see vbd_stall.c */

	struct disk_state
		now; /* read by the rings in their sync(), and written between two of them */
	struct disk_state next; /* what that is to be */
	bool syncing, changed;  /* the rings are on the way to `now`; `next` is another one */
	uint64_t flow_ns,
		flow_next_ns; /* the question they have; 0: none; and the last that was asked */
	uint64_t told;        /* control: sectors that every ring knows of */

	/* by workers; then `notice` runs at home */
	_Atomic int stall_err, flush_err;
	atomic_uint nr_unflowed; /* rings that have not given back */
	atomic_bool flowed, dials, noticed;
	struct loop_task notice, nbd_ended;

	atomic_bool abandoned; /* its guest is no more: see vbd_queue.c */
	bool stopped;          /* all rings are let go of */
	struct loop_timer
		patience; /* armed: the image may still be closed before control is told */

	int stalled_by; /* requests are held after this, as control was told; 0: none */
	int err;        /* why it did not start, until control is told */
	char why[MESSAGE_WHY_MAX];

	struct loop_timer look; /* from the start on */
	struct slow_request asking, closing;
	bool asked, closes;    /* the medium for its size; the image */
	unsigned int nr_looks; /* since it was asked for either */
	bool late;             /* and control was told */
	uint64_t bytes;        /* the answer; or */
	int size_err;
	uint64_t answers; /* at the last look */
	uint32_t rest_s;  /* until the next */
};

extern const struct guest_device_ops disk_device_ops;

/* --- by the rings, on their workers --- */

/* Requests are held after `err`. */
void disk_stalled(struct disk *disk, int err);
/* All but reads fail from now on. */
void disk_flush_failed(struct disk *disk, int err);
/* The rings' guest is no more, and the medium moves data from or to its pages: they stay mapped. */
void disk_keeps_pages(struct disk *disk);
/* At home: an abandoned ring has back what it had with the medium. */
void disk_ring_gone(struct disk *disk, struct vbd_queue *q);
/* A ring has back what it had with the medium when it was asked. */
void disk_flows(struct disk *disk);

#endif
