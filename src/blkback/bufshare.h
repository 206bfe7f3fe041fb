/* SPDX-License-Identifier: MIT */
/*
 * A ring's share in its worker's buffers. A medium that hangs gives nothing back, so no number of them may
 * take what the next ring needs:
 *
 * - of the common buffers a ring takes more only as long as it has no more of them than it leaves free;
 *   alone it gets half of all;
 * - the room of one largest buffer is its own. So when it finds none it has some of its own out, and gets
 *   any buffer at the latest when these came back.
 *
 * Worker thread only.
 */
#ifndef PVB_BUFSHARE_H
#define PVB_BUFSHARE_H

#include "blkback/bufpool.h"

struct bufshare {
	struct bufpool *common; /* borrowed */
	struct bufpool *own;    /* owned; memory only once it is used */
	size_t taken;           /* bytes of the common ones */
};

/* 0 or -ENOMEM. `common` is borrowed until bufshare_close(). */
int bufshare_open(struct bufshare *share, struct bufpool *common);
/* Nothing may be out. Idempotent; fine for one that is zero. */
void bufshare_close(struct bufshare *share);

/* As bufpool_get(). NULL: one that is out comes back first. */
void *bufshare_get(struct bufshare *share, size_t bytes);
void bufshare_put(struct bufshare *share, void *buf, size_t bytes);

#endif
