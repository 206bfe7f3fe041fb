/* SPDX-License-Identifier: MIT */
/*
 * Requests on a medium whose blocks are larger than the ring's sectors (4Kn). All I/O is in whole blocks. A write that
 * begins or ends inside a block first reads the blocks at its edges into its buffer. Then the guest's data is copied
 * over them, and all is written. Claims (blocks.h) keep other writes off these blocks meanwhile, also those of other
 * processes. If the daemon dies in between, the medium has old or new blocks, and the journal has the request: the next
 * daemon starts it anew and reads again. Worker thread only.
 */
#include <errno.h>

#include "core/container_of.h"
#include "blkback/disk.h"

/* How long to wait for blocks that another process has locked: at first, and at most. */
#define LOCK_WAIT_MIN_NS 1000000ull
#define LOCK_WAIT_MAX_NS 16000000ull

void vbd_blocks_span(struct vbd_io *io)
{
	uint64_t block = io->queue->disk->image.block;
	uint64_t offset = io->entry->req.sector * BLKIF_SECTOR_SIZE;

	io->lead = (uint32_t)(offset % block);
	io->span = (uint32_t)((io->lead + io->bytes + block - 1) / block * block);
	io->edge = 0;
}

uint64_t vbd_blocks_offset(const struct vbd_io *io)
{
	return io->entry->req.sector * BLKIF_SECTOR_SIZE - io->lead;
}

/* The next pass may fetch the data: copies are made only there. */
static void ready(struct vbd_io *io)
{
	vbd_io_move(io, VBD_READY);
	queue_mark(&io->queue->part.queue);
}

static bool read_edge(struct vbd_io *io);

static void edge_came(struct image_request *image, long result)
{
	struct vbd_io *io = (struct vbd_io *)(void *)image;
	struct vbd_queue *q = io->queue;

	trace(q->trace, TRACE_BLK, &q->id, "edge id=%llu result=%ld",
	      (unsigned long long)io->entry->req.id, result);
	if (!vbd_io_came_back(io))
		return;
	if (result != (long)q->disk->image.block)
		vbd_io_failed(io, result);
	else if (!read_edge(io))
		ready(io);
}

static void read_block(struct vbd_io *io, uint32_t at)
{
	io->image.buf = io->buf + at;
	io->image.nr_vec = 0;
	io->image.bytes = io->queue->disk->image.block;
	io->image.offset = vbd_blocks_offset(io) + at;
	vbd_io_submit(io, IMAGE_READ, edge_came);
}

/* Begin to read the next block that is written in part: the first, then the last. False when there is none. */
static bool read_edge(struct vbd_io *io)
{
	uint32_t last = io->span - io->queue->disk->image.block;
	bool tail = io->lead + io->bytes < io->span;

	if (io->edge == 0) {
		io->edge = 1;
		if (io->lead || (tail && last == 0)) {
			read_block(io, 0);
			return true;
		}
	}
	if (io->edge == 1) {
		io->edge = 2;
		if (tail && last > 0) {
			read_block(io, last);
			return true;
		}
	}
	return false;
}

static bool covers_whole_blocks(const struct vbd_io *io)
{
	return io->lead == 0 && io->bytes == io->span;
}

static void try_lock_again(void *user);

/* False when another process has locked the blocks: a timer tries again. */
static bool lock_blocks(struct vbd_io *io)
{
	if (blocks_lock(io->queue->disk->image.blocks, &io->claim))
		return true;
	loop_timer_set(io->queue->part.worker->loop, &io->lock, io->lock_wait_ns, try_lock_again,
		       io);
	if (io->lock_wait_ns < LOCK_WAIT_MAX_NS)
		io->lock_wait_ns *= 2;
	return false;
}

/*
 * Runs in the worker's loop, outside of a pass. Another process may keep the blocks locked for long. A queue that is
 * halted does not wait for that.
 */
static void go_on(struct vbd_io *io)
{
	if (!vbd_io_came_back(io)) /* it also marks the queue: the next pass submits */
		return;
	if (io->queue->part.queue.halted) {
		vbd_io_again(io);
		return;
	}
	if (!lock_blocks(io))
		return;
	if (io->entry->req.op == BLKIF_DISCARD || !read_edge(io))
		ready(io);
}

static void try_lock_again(void *user)
{
	go_on(user);
}

static void run_granted(struct loop_task *task)
{
	go_on(container_of(task, struct vbd_io, granted));
}

/* Runs on the thread that gave up the blocks, perhaps another worker. */
static void claim_granted(struct block_claim *claim)
{
	struct vbd_io *io = container_of(claim, struct vbd_io, claim);

	io->granted.run = run_granted;
	loop_post(io->queue->part.worker->loop, &io->granted);
}

bool vbd_blocks_begin(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	const struct blk_request *req = &io->entry->req;
	uint64_t first = req->sector * BLKIF_SECTOR_SIZE;

	if (q->disk->image.block == BLKIF_SECTOR_SIZE)
		return true;
	if (req->op == BLKIF_DISCARD && req->nr_sectors == 0)
		return true; /* it has no blocks, whatever its first sector */
	io->claim = (struct block_claim){ .first = first - first % q->disk->image.block,
					  .granted = claim_granted };
	if (req->op == BLKIF_DISCARD) {
		io->claim.last = first + req->nr_sectors * BLKIF_SECTOR_SIZE - 1;
	} else {
		io->claim.last = io->claim.first + io->span - 1;
		io->claim.alone = !covers_whole_blocks(io);
	}
	io->claimed = true;
	io->lock_wait_ns = LOCK_WAIT_MIN_NS;
	vbd_io_move(io, VBD_CLAIMING);
	if (!blocks_claim(q->disk->image.blocks, &io->claim) || !lock_blocks(io))
		return false;
	return req->op == BLKIF_DISCARD || !read_edge(io);
}

void vbd_blocks_end(struct vbd_io *io)
{
	if (io->claimed)
		blocks_give_up(io->queue->disk->image.blocks, &io->claim);
	io->claimed = false;
}
