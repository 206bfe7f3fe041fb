/* SPDX-License-Identifier: MIT */
/*
 * The counters of a vbd3 disk that xentop shows: /dev/shm/td3-PID/vbd-DOMID-DEVID, where PID is in the disk's key
 * `kthread-pid` (Xen's tools/libs/stat, xenstat_linux.c; the layout is that of blktap, version 1).
 */
#ifndef PVB_XENTOP_H
#define PVB_XENTOP_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/blkif.h"

struct xentop_flow {
	uint64_t submitted, completed; /* requests */
	uint64_t sectors;
	uint64_t ticks; /* microseconds, the sum of all completed requests */
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

/* Make the file, for our process. 0 with *ret_fd the caller's, or -errno. */
int xentop_create(uint32_t domid, uint32_t devid, int *ret_fd);
/* Remove the file that process `pid` made for this disk, if there is one. */
void xentop_forget(uint32_t pid, uint32_t domid, uint32_t devid);

/* --- the data side --- */

/* Map the file to count in it; the descriptor is then not needed any more. NULL when it cannot be mapped. */
struct xentop_stats *xentop_map(int fd);
/* NULL is fine. */
void xentop_unmap(struct xentop_stats *stats);

/* Any worker: a request was taken; a request was answered, after `ns`. */
void xentop_taken(struct xentop_stats *stats, const struct blk_request *req);
void xentop_answered(struct xentop_stats *stats, const struct blk_request *req, bool ok,
		     uint64_t bytes, uint64_t ns);

#endif
