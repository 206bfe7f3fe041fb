/* SPDX-License-Identifier: MIT */
/*
 * Sets the lengths of the taps' queues, so that all taps together stay within one budget. Control thread only.
 */
#ifndef PVB_NETBACK_TAP_SHARE_H
#define PVB_NETBACK_TAP_SHARE_H

#include <stdint.h>
#include <sys/queue.h>

#include "netback/tap.h"

/* A tap's part; begins as all zero. */
struct tap_share {
	LIST_ENTRY(tap_share) link;
	struct tap *tap; /* NULL while it has none */
	uint32_t frame_bytes, nr_queues, nr_frames;
};

/*
 * Give the tap's `nr_queues` queues (1 or more) what they may hold of frames up to `frame_bytes`; it may have a share
 * already. The others give up what is then too much. -errno when its length cannot be set; it has its share all the same.
 */
int tap_share_take(struct tap_share *share, struct tap *tap, uint32_t frame_bytes,
		   uint32_t nr_queues);
/* Idempotent. */
void tap_share_drop(struct tap_share *share);

#endif
