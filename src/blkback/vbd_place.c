/* SPDX-License-Identifier: MIT */
/*
 * Transfers without a copy. If the frontend agreed to persistent grants, its pages are mapped here, and the medium
 * reads and writes them directly. A guest that changes its pages meanwhile harms only its own data. A request that is
 * not aligned to the medium's blocks, on the disk and in memory, goes through a buffer. Worker thread only.
 */
#include <sys/uio.h>

#include "blkback/disk.h"

_Static_assert(BLKIF_INDIRECT_SEGMENTS * sizeof(struct iovec) <= GRANT_PAGE_SIZE,
	       "one page lists all");

bool vbd_place_fits(const struct vbd_io *io)
{
	const struct vbd_queue *q = io->queue;

	return q->kept.max && !q->copies_only && q->disk->image.ops->takes_pieces &&
	       io->lead == 0 && io->span == io->bytes;
}

static bool hold_segment(struct vbd_io *io, const struct blk_segment *segment)
{
	uint32_t offset = blkif_segment_offset(segment), bytes = blkif_segment_bytes(segment);
	uint8_t *page;

	if ((offset | bytes) % io->queue->disk->image.block)
		return false;
	page = kept_hold(&io->queue->kept, segment->ref);
	if (!page)
		return false;
	io->vec[io->nr_vec++] = (struct iovec){ .iov_base = page + offset, .iov_len = bytes };
	return true;
}

bool vbd_place_hold(struct vbd_io *io)
{
	io->vec = io->vec_page;
	for (unsigned int i = 0; i < io->entry->req.nr_segments; i++) {
		if (!hold_segment(io, &io->segments[i])) {
			vbd_place_end(io);
			return false;
		}
	}
	io->nr_copies = 0;
	stat_add(&io->queue->stats->in_place, 1);
	return true;
}

void vbd_place_end(struct vbd_io *io)
{
	if (!io->vec)
		return;
	for (uint32_t i = 0; i < io->nr_vec; i++)
		kept_let_go(&io->queue->kept, io->segments[i].ref);
	io->vec = NULL;
	io->nr_vec = 0;
}
