/* SPDX-License-Identifier: MIT */
/*
 * How the disks of one worker share a medium; bufshare.h is about their buffers. A medium serves its requests in an
 * order of its own: those of a disk that sends few wait behind the hundreds of another. So a disk that has few in
 * flight, and no more to send, asks the others for room. For the next SHARE_WINDOW requests of the worker, each ring of
 * the others keeps at most SHARE_REQUESTS in flight, a little less than a ring of one page holds.
 *
 * Disks that all have many in flight do not ask, and the rings of one disk never ask each other. Pure; single-threaded,
 * one for each worker.
 */
#ifndef PVB_SHARE_H
#define PVB_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define SHARE_REQUESTS 24u
#define SHARE_WINDOW   256u

/* Zero-initialise. */
struct share {
	uint64_t taken;       /* requests of all disks so far: the clock */
	const void *asker[2]; /* the last two that asked; only compared */
	uint64_t asked_at[2];
};

/* Some disk took a request. */
static inline void share_take(struct share *share)
{
	share->taken++;
}

/* A ring of `disk` has few requests in flight, and no more to be taken. */
void share_ask(struct share *share, const void *disk);

/* Whether another disk has asked `disk` for room. */
bool share_is_asked(const struct share *share, const void *disk);

#endif
