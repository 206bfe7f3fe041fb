/* SPDX-License-Identifier: MIT */
/* Set the lengths of the taps' queues, so that all taps together stay within one budget. Control thread only. */
#ifndef PVB_NETBACK_TAP_SHARE_H
#define PVB_NETBACK_TAP_SHARE_H

#include <stdint.h>
#include <sys/queue.h>

#include "netback/tap.h"

/* A tap's share; zero-initialise. */
struct tap_share {
	LIST_ENTRY(tap_share) link;
	struct tap *tap; /* NULL while it has no share */
	uint32_t frame_bytes, nr_queues, nr_frames;
};

/*
 * Set how many frames up to `frame_bytes` the tap's `nr_queues` queues (1 or more) may hold. It may have a share
 * already. Others whose queues are then too long get shorter ones. -errno when its length cannot be set: it has a share
 * all the same.
 */
int tap_share_take(struct tap_share *share, struct tap *tap, uint32_t frame_bytes,
		   uint32_t nr_queues);
/* Idempotent. */
void tap_share_drop(struct tap_share *share);

#endif
