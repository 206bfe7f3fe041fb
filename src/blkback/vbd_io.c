/* SPDX-License-Identifier: MIT */
/* The way of one request: segments, buffer, data in, I/O, data out. Worker thread only. */
#include <errno.h>
#include <string.h>

#include "blkback/disk.h"

/* The steps of an operation, in this order. has_step() says which ones it has. */
enum vbd_step { STEP_FLUSH, STEP_DATA, STEP_END };

/* For VBD_WAITING, find_place() and pay() set another stage if the request waits for a buffer or a limit. */
static const enum vbd_stage stages[VBD_NR_STATES] = {
	[VBD_TURN] = VBD_STAGE_ORDER,     [VBD_WAITING] = VBD_STAGE_ORDER,
	[VBD_CLAIMING] = VBD_STAGE_ORDER, [VBD_READY] = VBD_STAGE_ORDER,
	[VBD_COPYING] = VBD_STAGE_COPY,   [VBD_FETCHED] = VBD_STAGE_COPY,
	[VBD_GIVING] = VBD_STAGE_COPY,    [VBD_SUBMITTED] = VBD_STAGE_MEDIUM,
	[VBD_HELD] = VBD_STAGE_HELD,      [VBD_FINISHED] = VBD_STAGE_ANSWER,
};

static void enter_stage(struct vbd_io *io, enum vbd_stage stage)
{
	if (io->times.taken_ns)
		vbd_times_enter(&io->times, stage, worker_now(io->queue->part.worker));
}

static void forget_times(struct vbd_io *io)
{
	if (!io->times.taken_ns)
		return;
	TAILQ_REMOVE(&io->queue->timed, io, timed_link);
	io->times.taken_ns = 0;
}

/* An idle slot goes to the head of its list: the slot that was used last is used again first, still in the cache. */
void vbd_io_move(struct vbd_io *io, enum vbd_state state)
{
	struct vbd_io_list *from = &io->queue->in[io->state], *to = &io->queue->in[state];

	TAILQ_REMOVE(&from->ios, io, link);
	from->nr--;
	io->state = state;
	to->nr++;
	if (state == VBD_IDLE) {
		TAILQ_INSERT_HEAD(&to->ios, io, link);
		forget_times(io);
		return;
	}
	TAILQ_INSERT_TAIL(&to->ios, io, link);
	if (io->times.stage != stages[state])
		enter_stage(io, stages[state]);
}

void vbd_io_finish(struct vbd_io *io, enum blkif_status status)
{
	io->status = status;
	vbd_io_move(io, VBD_FINISHED);
}

void vbd_io_release(struct vbd_io *io)
{
	vbd_place_end(io);
	if (io->buf)
		aio_put_buffer(&io->queue->client, io->buf, io->buf_bytes);
	io->buf = NULL;
	io->segments = NULL;
	vbd_blocks_end(io);
}

/* The request starts anew. A barrier waits for its turn again. */
void vbd_io_again(struct vbd_io *io)
{
	vbd_io_release(io);
	vbd_io_prepare(io);
	vbd_io_move(io, io->queue->barrier == io ? VBD_TURN : VBD_WAITING);
}

void vbd_io_abandon(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	if (q->barrier == io)
		q->barrier = NULL;
	vbd_io_release(io);
	vbd_io_move(io, VBD_IDLE);
}

bool vbd_io_came_back(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	queue_mark(&q->part.queue);
	if (!q->abandoned)
		return true;
	vbd_io_abandon(io);
	vbd_queue_settle(q);
	return false;
}

/*
 * The error if an admin can cure it, else 0. A short write means that there is no more space. After a failed flush of
 * the page cache nobody knows what was lost, and the next flush would report success.
 */
static int mendable(const struct vbd_io *io, long result)
{
	if (io->image.op == IMAGE_FLUSH && !io->queue->disk->image.direct)
		return 0;
	if (result >= 0)
		return io->entry->req.op == BLKIF_READ ? 0 : -ENOSPC;
	return result == -ENOSPC || result == -EDQUOT || result == -EIO ? (int)result : 0;
}

void vbd_io_failed(struct vbd_io *io, long result)
{
	struct vbd_queue *q = io->queue;
	int err = mendable(io, result);
	bool hold = err && q->tuning.stall && !q->unbound;

	stat_add(&q->stats->io_errors, 1);
	stat_add(&q->stats->no_space, err == -ENOSPC || err == -EDQUOT);
	if (hold && !q->stopping)
		vbd_stall(io, err);
	else if (hold && q->part.queue.halted)
		vbd_io_abandon(io);
	else
		vbd_io_answer_failed(io, result < 0 ? (int)result : -EIO);
}

void vbd_io_answer_failed(struct vbd_io *io, int err)
{
	uint8_t op = io->entry->req.op;

	if (op == BLKIF_FLUSH || op == BLKIF_BARRIER)
		vbd_flush_failed(io, err);
	vbd_io_finish(io, BLKIF_ERROR);
}

static bool moves_data_in(const struct vbd_io *io)
{
	return io->bytes && io->entry->req.op != BLKIF_READ;
}

/* --- I/O, step by step --- */

static bool has_step(const struct vbd_io *io, unsigned int step)
{
	uint8_t op = io->entry->req.op;

	if (step == STEP_FLUSH) /* writes that were answered before reach the medium first */
		return op == BLKIF_FLUSH || op == BLKIF_BARRIER;
	return io->bytes > 0;
}

/* The medium has not done the request, and does not have it any more: the rings halt or stop. */
static void given_back(struct image_request *image)
{
	struct vbd_io *io = (struct vbd_io *)(void *)image;
	struct vbd_queue *q = io->queue;

	trace(q->trace, TRACE_BLK, &q->id, "given-back id=%llu",
	      (unsigned long long)io->entry->req.id);
	if (!vbd_io_came_back(io))
		return;
	if (q->part.queue.halted || !q->stopping) /* else another ring of the disk was told first */
		vbd_io_again(io);
	else
		vbd_io_failed(io, -EIO);
}

void vbd_io_submit(struct vbd_io *io, enum image_op op, image_fn done)
{
	if (io->queue->part.queue.halted) {
		vbd_io_again(io);
		return;
	}
	io->image.op = op;
	io->image.done = done;
	io->image.given_back = given_back;
	vbd_io_move(io, VBD_SUBMITTED);
	image_submit(io->queue->aio, &io->queue->disk->image, &io->image);
}

static void step_done(struct image_request *image, long result);

static void start_data(struct vbd_io *io)
{
	io->image.buf = io->buf;
	io->image.vec = io->vec;
	io->image.nr_vec = io->nr_vec;
	io->image.bytes = io->span;
	io->image.offset = vbd_blocks_offset(io);
	io->image.durable = io->entry->req.op == BLKIF_BARRIER;
	vbd_io_submit(io, io->entry->req.op == BLKIF_READ ? IMAGE_READ : IMAGE_WRITE, step_done);
}

static void all_done(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	if (io->entry->req.op != BLKIF_READ) {
		stat_add(&q->stats->bytes_written, io->bytes);
		vbd_io_finish(io, BLKIF_OKAY);
	} else if (io->vec) {
		vbd_io_given(io);
	} else {
		vbd_io_move(io, VBD_FETCHED);
	}
}

static void next_step(struct vbd_io *io)
{
	while (io->step < STEP_END && !has_step(io, io->step))
		io->step++;
	if (io->step == STEP_END)
		all_done(io);
	else if (io->step == STEP_DATA)
		start_data(io);
	else
		vbd_io_submit(io, IMAGE_FLUSH, step_done);
}

/* The kernel cannot use these pages for the medium, or not all of them. The request then goes through a buffer. */
static bool place_refused(const struct vbd_io *io, long result)
{
	return io->vec && io->step == STEP_DATA &&
	       (result == -EFAULT || result == -EINVAL || (result >= 0 && result < (long)io->span));
}

static void copy_instead(struct vbd_io *io, long result)
{
	struct vbd_queue *q = io->queue;

	trace(q->trace, TRACE_BLK, &q->id, "copy-instead id=%llu result=%ld",
	      (unsigned long long)io->entry->req.id, result);
	q->copies_only = true;
	vbd_io_again(io);
}

static void step_done(struct image_request *image, long result)
{
	struct vbd_io *io = (struct vbd_io *)(void *)image;
	struct vbd_queue *q = io->queue;
	const struct blk_request *req = &io->entry->req;
	long wanted = io->step == STEP_DATA ? (long)io->span : 0;

	trace(q->trace, TRACE_BLK, &q->id, "done op=%s id=%llu result=%ld", blkif_op_name(req->op),
	      (unsigned long long)req->id, result);
	if (!vbd_io_came_back(io))
		return;
	if (place_refused(io, result)) {
		copy_instead(io, result);
		return;
	}
	if (result != wanted) {
		vbd_io_failed(io, result);
		return;
	}
	io->step++;
	next_step(io);
}

/* --- discard --- */

static void discard_done(struct image_request *image, long result)
{
	struct vbd_io *io = (struct vbd_io *)(void *)image;

	if (!vbd_io_came_back(io))
		return;
	if (result == 0 || result == -EOPNOTSUPP)
		vbd_io_finish(io, result ? BLKIF_NOT_SUPPORTED : BLKIF_OKAY);
	else
		vbd_io_failed(io, result);
}

static void start_discard(struct vbd_io *io)
{
	const struct blk_request *req = &io->entry->req;

	io->image.offset = req->sector * BLKIF_SECTOR_SIZE;
	io->image.bytes = req->nr_sectors * BLKIF_SECTOR_SIZE;
	io->image.secure = req->secure != 0;
	vbd_io_submit(io, IMAGE_DISCARD, discard_done);
}

/* --- copies --- */

static void copy_failed(struct vbd_io *io)
{
	stat_add(&io->queue->stats->copy_errors, 1);
	vbd_io_finish(io, BLKIF_ERROR);
}

static void begin_copies(struct vbd_io *io)
{
	io->first_copy = io->queue->part.worker->copies.nr;
	io->nr_copies = 0;
}

/* Copy at once if the page is kept mapped; else add the copy to the batch. False when the batch cannot take it. */
static bool add_copy(struct vbd_io *io, const struct grant_copy *copy)
{
	uint8_t *page = kept_find(&io->queue->kept, copy->ref);

	if (!page) {
		io->nr_copies++;
		return grant_batch_add(&io->queue->part.worker->copies, copy) >= 0;
	}
	if (copy->direction == GRANT_FROM_GUEST)
		memcpy(copy->local, page + copy->offset, copy->len);
	else
		memcpy(page + copy->offset, copy->local, copy->len);
	return true;
}

/* Add a copy for every segment. */
static bool add_copies(struct vbd_io *io, enum grant_direction direction)
{
	uint8_t *at = io->buf + io->lead;

	begin_copies(io);
	for (unsigned int i = 0; i < io->entry->req.nr_segments; i++) {
		struct grant_copy copy = {
			.direction = direction,
			.domid = io->queue->id.domid,
			.ref = io->segments[i].ref,
			.offset = blkif_segment_offset(&io->segments[i]),
			.len = blkif_segment_bytes(&io->segments[i]),
			.local = at,
		};

		if (!add_copy(io, &copy))
			return false;
		at += copy.len;
	}
	return true;
}

static bool copies_ok(const struct vbd_io *io)
{
	for (unsigned int i = 0; i < io->nr_copies; i++)
		if (!grant_batch_ok(&io->queue->part.worker->copies, io->first_copy + i))
			return false;
	return true;
}

/* Copies in the batch are done when the batch is. Without any, the request goes on now. */
static void copies_added(struct vbd_io *io)
{
	if (io->nr_copies)
		vbd_io_move(io, VBD_COPYING);
	else
		vbd_io_copied_in(io);
}

static void fetch_data(struct vbd_io *io)
{
	if (io->vec)
		next_step(io);
	else if (add_copies(io, GRANT_FROM_GUEST))
		copies_added(io);
	else
		copy_failed(io);
}

/* Copy the page of indirect segments into private memory before anything looks at it. */
static void fetch_segments(struct vbd_io *io)
{
	const struct blk_request *req = &io->entry->req;
	struct grant_copy copy = {
		.direction = GRANT_FROM_GUEST,
		.domid = io->queue->id.domid,
		.ref = req->indirect_ref,
		.len = req->nr_segments * BLKIF_WIRE_SEGMENT,
		.local = io->page,
	};

	begin_copies(io);
	if (add_copy(io, &copy))
		copies_added(io);
	else
		copy_failed(io);
}

/* The checked form has the wire's size and replaces it in place. */
static void segments_came(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	struct blk_segment checked[BLKIF_INDIRECT_SEGMENTS];
	struct blk_request req = io->entry->req; /* the journal's copy stays as it was taken */
	enum blkif_fault fault = blkif_parse_indirect(io->page, &q->limits, &req, checked);

	if (fault) {
		vbd_stats_refuse(q->stats, fault);
		vbd_io_finish(io, blkif_fault_status(fault));
		return;
	}
	memcpy(io->page, checked, req.nr_segments * sizeof(checked[0]));
	io->segments = (const struct blk_segment *)(const void *)io->page;
	io->bytes = (uint32_t)req.nr_sectors * BLKIF_SECTOR_SIZE;
	if (!vbd_io_advance(io))
		vbd_io_move(io, VBD_WAITING);
}

void vbd_io_copied_in(struct vbd_io *io)
{
	if (!copies_ok(io))
		copy_failed(io);
	else if (io->segments)
		next_step(io);
	else
		segments_came(io);
}

void vbd_io_give(struct vbd_io *io)
{
	if (!add_copies(io, GRANT_TO_GUEST))
		copy_failed(io);
	else if (io->nr_copies)
		vbd_io_move(io, VBD_GIVING);
	else
		vbd_io_given(io);
}

void vbd_io_given(struct vbd_io *io)
{
	if (!copies_ok(io)) {
		copy_failed(io);
		return;
	}
	stat_add(&io->queue->stats->bytes_read, io->bytes);
	vbd_io_finish(io, BLKIF_OKAY);
}

void vbd_io_ready(struct vbd_io *io)
{
	if (io->entry->req.op == BLKIF_DISCARD)
		start_discard(io);
	else
		fetch_data(io);
}

/* --- forward --- */

/* Find a place for the data: the guest's own pages, or a buffer. */
static bool find_place(struct vbd_io *io)
{
	vbd_blocks_span(io);
	if (vbd_place_fits(io) && vbd_place_hold(io))
		return true;
	io->buf = aio_get_buffer(&io->queue->client, io->span);
	io->buf_bytes = io->span;
	if (io->buf)
		return true;
	stat_add(&io->queue->stats->buffer_waits, 1);
	enter_stage(io, VBD_STAGE_BUFFER);
	return false;
}

static void may_go(void *user)
{
	struct vbd_queue *q = user;

	queue_mark(&q->part.queue);
}

/* A ring that stops finishes its requests without a limit: the guest waits for them. */
static bool pay(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	uint64_t wait_ns = 0;

	if (io->paid || q->stopping)
		return true;
	if (q->unbound)
		q->unbound--;
	else if (rate_pair_is_set(&q->disk->rates))
		wait_ns = rate_pair_take(&q->disk->rates, 1, io->bytes, loop_now_ns());
	io->paid = wait_ns == 0;
	if (io->paid)
		return true;
	stat_add(&q->stats->throttled, 1);
	enter_stage(io, VBD_STAGE_LIMIT);
	loop_timer_set(q->part.worker->loop, &q->throttle, wait_ns, may_go, q);
	return false;
}

bool vbd_io_advance(struct vbd_io *io)
{
	const struct blk_request *req = &io->entry->req;

	if (vbd_is_refused(io)) {
		vbd_io_finish(io, BLKIF_ERROR);
		return true;
	}
	if (!io->segments && req->op != BLKIF_DISCARD) {
		fetch_segments(io);
		return true;
	}
	if (!pay(io))
		return false;
	if (req->op == BLKIF_DISCARD) {
		if (vbd_blocks_begin(io))
			start_discard(io);
		return true;
	}
	if (io->bytes && !find_place(io))
		return false;
	if (!moves_data_in(io))
		next_step(io);
	else if (vbd_blocks_begin(io))
		fetch_data(io);
	return true;
}
