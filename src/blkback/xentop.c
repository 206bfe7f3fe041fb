/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <sys/mman.h>

#include "blkback/xentop.h"

_Static_assert(sizeof(struct xentop_stats) == 96, "xentop's layout");
_Static_assert(offsetof(struct xentop_stats, read) == 16, "xentop's layout");
_Static_assert(offsetof(struct xentop_stats, write) == 48, "xentop's layout");
_Static_assert(offsetof(struct xentop_stats, io_errors) == 80, "xentop's layout");

struct xentop_stats *xentop_map(int fd)
{
	void *addr =
		mmap(NULL, sizeof(struct xentop_stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

void xentop_unmap(struct xentop_stats *stats)
{
	if (stats)
		munmap(stats, sizeof(*stats));
}

/* The rings of a disk may be on several workers, so the counters are atomic. */
static void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static struct xentop_flow *flow_of(struct xentop_stats *stats, const struct blk_request *req)
{
	if (req->op == BLKIF_READ)
		return &stats->read;
	return req->op == BLKIF_DISCARD ? NULL : &stats->write;
}

void xentop_taken(struct xentop_stats *stats, const struct blk_request *req)
{
	struct xentop_flow *flow = flow_of(stats, req);

	if (flow)
		add(&flow->submitted, 1);
}

void xentop_answered(struct xentop_stats *stats, const struct blk_request *req, bool ok,
		     uint64_t bytes, uint64_t ns)
{
	struct xentop_flow *flow = flow_of(stats, req);

	if (!ok)
		add(&stats->io_errors, 1);
	if (!flow)
		return;
	add(&flow->completed, 1);
	add(&flow->ticks, ns / 1000);
	if (ok)
		add(&flow->sectors, bytes / BLKIF_SECTOR_SIZE);
}
