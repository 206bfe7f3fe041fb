/* SPDX-License-Identifier: MIT */
/*
 * A ring's share in its worker's buffers. A medium that hangs returns no buffer. So rings on such media must leave
 * enough for the others:
 *
 * - A ring gets another common buffer only if it then has no more of them than it leaves free. A ring alone gets half
 * of all.
 * - Each ring also has room of its own for one largest buffer. If a ring gets no buffer, some of its own room is in
 * use, so it gets one at the latest when that is returned.
 *
 * Worker thread only.
 */
#ifndef PVB_BUFSHARE_H
#define PVB_BUFSHARE_H

#include "blkback/bufpool.h"

struct bufshare {
	struct bufpool *common; /* borrowed */
	struct bufpool *own;    /* owned; uses memory only when it is needed */
	size_t taken;           /* bytes of the common ones */
};

/* 0 or -ENOMEM. `common` is borrowed until bufshare_close(). */
int bufshare_open(struct bufshare *share, struct bufpool *common);
/* No buffer may be in use. Idempotent; a zeroed share is fine. */
void bufshare_close(struct bufshare *share);

/* As bufpool_get(). NULL: a buffer in use must be returned first. */
void *bufshare_get(struct bufshare *share, size_t bytes);
void bufshare_put(struct bufshare *share, void *buf, size_t bytes);

#endif
