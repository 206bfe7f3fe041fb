/* SPDX-License-Identifier: MIT */
/*
 * What a worker's disks leave each other of the medium; bufshare.h has the buffers. A medium serves in some
 * order of its own what it was given, so whoever has hundreds of requests in flight makes one that has few
 * wait behind them. A
 * disk that has all it wants with few in flight asks the others to have no more than SHARE_REQUESTS in
 * each ring, a little less than one of one page holds; they go on so for SHARE_WINDOW requests of the
 * worker's.
 *
 * Two deep disks ask nothing of each other, nor do the rings of one. Pure; single-threaded, one per worker.
 */
#ifndef PVB_SHARE_H
#define PVB_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define SHARE_REQUESTS 24u
#define SHARE_WINDOW   256u

/* Zero-initialise. */
struct share {
	uint64_t taken;       /* requests of all disks: the clock */
	const void *asker[2]; /* the last two that asked; never followed */
	uint64_t asked_at[2];
};

/* Some disk took a request. */
static inline void share_take(struct share *share)
{
	share->taken++;
}

/* A ring of `disk` has nothing more to be taken, and has few in flight. */
void share_ask(struct share *share, const void *disk);

/* Whether another one wants `disk` to be modest. */
bool share_is_asked(const struct share *share, const void *disk);

#endif
