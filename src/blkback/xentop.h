/* SPDX-License-Identifier: MIT */
/*
 * The counters that xentop shows of a vbd3 disk: /dev/shm/td3-PID/vbd-DOMID-DEVID, where PID is what
 * the disk's `kthread-pid` says (Xen's tools/libs/stat, xenstat_linux.c; the layout is blktap's
 * version 1).
 */
#ifndef PVB_XENTOP_H
#define PVB_XENTOP_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/blkif.h"

struct xentop_flow {
	uint64_t submitted, completed; /* requests */
	uint64_t sectors;
	uint64_t ticks; /* microseconds, of all completed ones together */
};

struct xentop_stats {
	uint32_t version;
	uint32_t zero;
	uint64_t starved; /* requests that had to wait for memory */
	struct xentop_flow read, write;
	uint64_t io_errors;
	uint64_t flags;
};

/* --- by name: control (xentop_file.c) --- */

/* Make the file, of our process. 0 with *ret_fd the caller's, or -errno. */
int xentop_create(uint32_t domid, uint32_t devid, int *ret_fd);
/* Remove what that process made of this disk, if it did. */
void xentop_forget(uint32_t pid, uint32_t domid, uint32_t devid);

/* --- the data side --- */

/* Count in the file; the descriptor is needed no more. NULL when that cannot be. */
struct xentop_stats *xentop_map(int fd);
/* NULL is fine. */
void xentop_unmap(struct xentop_stats *stats);

/* Any worker: a request was taken; answered, after so long. */
void xentop_taken(struct xentop_stats *stats, const struct blk_request *req);
void xentop_answered(struct xentop_stats *stats, const struct blk_request *req, bool ok,
		     uint64_t bytes, uint64_t ns);

#endif
