/* SPDX-License-Identifier: MIT */
/*
 * The life of a request: take (copy its data in), act (start the I/O), give
 * (copy data out), answer. Worker thread only.
 */
#include <errno.h>

#include "blkback/vbd_queue.h"

#define TAKE_BUDGET 64u /* per pass, so that one deep ring does not hold up the others */

static struct vbd_queue *vbd_queue_of(struct queue *queue)
{
	return (struct vbd_queue *)(void *)queue;
}

static bool moves_data_in(const struct vbd_io *io)
{
	return io->bytes && io->entry->req.op != BLKIF_READ;
}

static void finish(struct vbd_io *io, enum blkif_status status)
{
	io->status = status;
	STAILQ_INSERT_TAIL(&io->queue->finished, io, link);
}

/* --- I/O --- */

static void transfer_done(struct aio_request *aio, long result)
{
	struct vbd_io *io = (struct vbd_io *)(void *)aio;
	struct vbd_queue *q = io->queue;
	const struct blk_request *req = &io->entry->req;

	trace(q->trace, TRACE_BLK, &q->id, "done op=%s id=%llu result=%ld", blkif_op_name(req->op),
	      (unsigned long long)req->id, result);
	queue_mark(&q->queue);
	if (result != (long)io->bytes) {
		q->stats.io_errors++;
		finish(io, BLKIF_ERROR);
	} else if (req->op == BLKIF_READ) {
		STAILQ_INSERT_TAIL(&q->fetched, io, link);
	} else {
		q->stats.bytes_written += io->bytes;
		finish(io, BLKIF_OKAY);
	}
}

static void start_write(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	aio_write(q->aio, &io->aio, q->image->fd, io->buf, io->bytes,
		  io->entry->req.sector * BLKIF_SECTOR_SIZE, transfer_done);
}

/* A flush with segments: what was answered before goes to the medium first, then its own data. */
static void flush_done(struct aio_request *aio, long result)
{
	struct vbd_io *io = (struct vbd_io *)(void *)aio;

	if (result == 0 && io->bytes) {
		start_write(io);
		queue_mark(&io->queue->queue); /* so that a pass submits it */
		return;
	}
	io->bytes = 0;
	transfer_done(aio, result);
}

static void start_io(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	const struct blk_request *req = &io->entry->req;

	switch (req->op) {
	case BLKIF_READ:
		aio_read(q->aio, &io->aio, q->image->fd, io->buf, io->bytes,
			 req->sector * BLKIF_SECTOR_SIZE, transfer_done);
		break;
	case BLKIF_FLUSH:
		aio_flush(q->aio, &io->aio, q->image->fd, flush_done);
		break;
	default:
		start_write(io);
		break;
	}
}

/* --- copies --- */

/* Add a copy for every segment. False when the batch cannot take them. */
static bool add_copies(struct vbd_io *io, enum grant_direction direction)
{
	struct grant_batch *batch = &io->queue->worker->copies;
	const struct blk_request *req = &io->entry->req;
	uint8_t *at = io->buf;

	io->first_copy = batch->nr;
	for (unsigned int i = 0; i < req->nr_segments; i++) {
		const struct blk_segment *segment = &req->segments[i];
		struct grant_copy copy = {
			.direction = direction,
			.domid = io->queue->id.domid,
			.ref = segment->ref,
			.offset = blkif_segment_offset(segment),
			.len = blkif_segment_bytes(segment),
			.local = at,
		};

		if (grant_batch_add(batch, &copy) < 0)
			return false;
		at += copy.len;
	}
	return true;
}

static bool copies_ok(const struct vbd_io *io)
{
	const struct grant_batch *batch = &io->queue->worker->copies;

	for (unsigned int i = 0; i < io->entry->req.nr_segments; i++)
		if (!grant_batch_ok(batch, io->first_copy + i))
			return false;
	return true;
}

static void copy_failed(struct vbd_io *io)
{
	io->queue->stats.copy_errors++;
	finish(io, BLKIF_ERROR);
}

/* --- take --- */

/* A request that is in the journal and fine, with its buffer: on its way. */
static void begin(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	if (!moves_data_in(io))
		start_io(io);
	else if (add_copies(io, GRANT_FROM_GUEST))
		STAILQ_INSERT_TAIL(&q->copying, io, link);
	else
		copy_failed(io);
}

/* False when it must wait for a buffer; then it is held, and nothing behind it is taken. */
static bool find_buffer(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	if (io->bytes)
		io->buf = aio_get_buffer(q->aio, io->bytes, &q->waiter);
	if (io->bytes && !io->buf) {
		q->held = io;
		q->stats.starved++;
		return false;
	}
	io->buf_bytes = io->bytes;
	q->held = NULL;
	begin(io);
	return true;
}

/* The checked copy goes into the journal before anything is done with it. */
static bool admit(struct vbd_queue *q, const uint8_t *slot)
{
	struct vbd_io *io = STAILQ_FIRST(&q->idle);
	struct blk_request *req = &io->entry->req;
	enum blkif_fault fault;

	STAILQ_REMOVE_HEAD(&q->idle, link);
	q->in_flight++;
	fault = blkif_parse(q->setup.abi, slot, &q->limits, req);
	io->entry->index = q->ring.req_cons - 1;
	io->buf = NULL;
	io->bytes = req->nr_sectors * BLKIF_SECTOR_SIZE;
	journal_take(io->entry);
	trace(q->trace, TRACE_BLK, &q->id,
	      "take op=%s id=%llu sector=%llu bytes=%u segments=%u fault=%s",
	      blkif_op_name(req->op), (unsigned long long)req->id, (unsigned long long)req->sector,
	      io->bytes, req->nr_segments, blkif_fault_name(fault));
	if (fault) {
		q->stats.faults[fault]++;
		io->bytes = 0;
		finish(io, blkif_fault_status(fault));
		return true;
	}
	q->stats.requests[req->op]++;
	return find_buffer(io);
}

static void report_broken(struct loop_task *task)
{
	struct vbd_queue *q =
		(struct vbd_queue *)(void *)((char *)task - offsetof(struct vbd_queue, alarm));

	q->broken(q, -EPROTO);
}

/* No honest guest can have done it: nothing more is read from this ring. */
static void fail_ring(struct vbd_queue *q)
{
	q->failed = true;
	q->alarm.run = report_broken;
	loop_post(q->control, &q->alarm);
}

static bool may_take(const struct vbd_queue *q)
{
	return !q->stopping && !q->failed && !STAILQ_EMPTY(&q->idle);
}

static void take(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);
	uint8_t slot[BLKIF_SLOT_MAX];

	if (q->held && !find_buffer(q->held))
		return;
	for (unsigned int i = 0; i < TAKE_BUDGET && may_take(q); i++) {
		int ret = ring_take(&q->ring, slot, q->ring.slot_size);

		if (ret < 0)
			fail_ring(q);
		if (ret <= 0 || !admit(q, slot))
			return;
	}
}

/* --- act, give --- */

static void act(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);
	struct vbd_io *io;

	while ((io = STAILQ_FIRST(&q->copying))) {
		STAILQ_REMOVE_HEAD(&q->copying, link);
		if (copies_ok(io))
			start_io(io);
		else
			copy_failed(io);
	}
}

static void give(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);
	struct vbd_io *io;

	while ((io = STAILQ_FIRST(&q->fetched))) {
		STAILQ_REMOVE_HEAD(&q->fetched, link);
		if (add_copies(io, GRANT_TO_GUEST))
			STAILQ_INSERT_TAIL(&q->giving, io, link);
		else
			copy_failed(io);
	}
}

/* --- answer --- */

static void settle_given(struct vbd_queue *q)
{
	struct vbd_io *io;

	while ((io = STAILQ_FIRST(&q->giving))) {
		STAILQ_REMOVE_HEAD(&q->giving, link);
		if (copies_ok(io)) {
			q->stats.bytes_read += io->bytes;
			finish(io, BLKIF_OKAY);
		} else {
			copy_failed(io);
		}
	}
}

static void respond(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	const struct blk_request *req = &io->entry->req;
	uint8_t rsp[BLKIF_RESPONSE_MAX];
	size_t size = blkif_response(q->setup.abi, req->id, req->op, io->status, rsp);

	ring_put(&q->ring, rsp, size);
	trace(q->trace, TRACE_BLK, &q->id, "answer op=%s id=%llu status=%d", blkif_op_name(req->op),
	      (unsigned long long)req->id, (int)io->status);
}

static void recycle(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	if (io->buf)
		aio_put_buffer(q->aio, io->buf, io->buf_bytes);
	io->buf = NULL;
	journal_release(io->entry);
	STAILQ_INSERT_HEAD(&q->idle, io, link);
	q->in_flight--;
}

static void publish(struct vbd_queue *q)
{
	bool notify = ring_publish(&q->ring);
	struct ring_indices at;

	if (notify) {
		q->stats.notified++;
		worker_notify(q->worker, &q->port);
	} else {
		q->stats.silent++;
	}
	if (!(q->trace & TRACE_RING))
		return;
	ring_indices(&q->ring, &at);
	trace_line(&q->id,
		   "publish req_prod=%u req_event=%u rsp_prod=%u rsp_event=%u req_cons=%u "
		   "in_flight=%u notify=%d",
		   at.req_prod, at.req_event, at.rsp_prod, at.rsp_event, at.req_cons, q->in_flight,
		   notify);
}

/* Everything finished in this pass becomes public with one store and at most one notification. */
static void respond_all(struct vbd_queue *q)
{
	struct vbd_io *io;

	if (STAILQ_EMPTY(&q->finished))
		return;
	STAILQ_FOREACH(io, &q->finished, link)
	respond(io);
	publish(q);
	while ((io = STAILQ_FIRST(&q->finished))) {
		STAILQ_REMOVE_HEAD(&q->finished, link);
		recycle(io);
	}
}

static bool answer(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);

	settle_given(q);
	respond_all(q);
	if (q->stopping && q->in_flight == 0 && !q->drained) {
		q->drained = true;
		vbd_queue_drained(q);
	}
	if (!may_take(q) || q->held)
		return false; /* a completion or a buffer brings us back */
	return ring_rearm(&q->ring);
}

static void dump(struct queue *queue, FILE *out)
{
	const struct vbd_queue *q = vbd_queue_of(queue);
	const struct vbd_queue_stats *s = &q->stats;
	struct ring_indices at;

	ring_indices(&q->ring, &at);
	fprintf(out,
		"vbd %u/%u/%u ring slots=%u req_prod=%u req_cons=%u req_event=%u rsp_prod=%u "
		"rsp_filled=%u rsp_event=%u in_flight=%u%s%s\n",
		q->id.domid, q->id.devid, q->id.queue, q->ring.nr_slots, at.req_prod, at.req_cons,
		at.req_event, at.rsp_prod, at.rsp_filled, at.rsp_event, q->in_flight,
		q->stopping ? " stopping" : "", q->failed ? " failed" : "");
	fprintf(out,
		"vbd %u/%u/%u count reads=%llu writes=%llu flushes=%llu bytes_read=%llu "
		"bytes_written=%llu io_errors=%llu copy_errors=%llu notified=%llu silent=%llu "
		"starved=%llu",
		q->id.domid, q->id.devid, q->id.queue, (unsigned long long)s->requests[BLKIF_READ],
		(unsigned long long)s->requests[BLKIF_WRITE],
		(unsigned long long)s->requests[BLKIF_FLUSH], (unsigned long long)s->bytes_read,
		(unsigned long long)s->bytes_written, (unsigned long long)s->io_errors,
		(unsigned long long)s->copy_errors, (unsigned long long)s->notified,
		(unsigned long long)s->silent, (unsigned long long)s->starved);
	for (unsigned int i = BLKIF_FINE + 1; i < BLKIF_NR_FAULTS; i++)
		fprintf(out, " %s=%llu", blkif_fault_name((enum blkif_fault)i),
			(unsigned long long)s->faults[i]);
	fputc('\n', out);
}

const struct queue_ops vbd_queue_ops = {
	.take = take,
	.act = act,
	.give = give,
	.answer = answer,
	.dump = dump,
};
