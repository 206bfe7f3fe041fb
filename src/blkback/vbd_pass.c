/* SPDX-License-Identifier: MIT */
/* A ring's part in the worker's pass: take, act, give, answer. Worker thread only. */
#include <errno.h>

#include "blkback/disk.h"

/* How many requests of a ring each step of a pass handles, so that one deep ring does not hold up the others. */
#define BUDGET 32u

static struct vbd_queue *vbd_queue_of(struct queue *queue)
{
	return (struct vbd_queue *)(void *)queue;
}

/* --- take --- */

static void count(struct vbd_io *io)
{
	const struct blk_request *req = &io->entry->req;
	struct vbd_queue *q = io->queue;

	vbd_stats_take(q->stats, req);
	if (STATS_ON) {
		vbd_times_begin(&io->times, worker_now(q->part.worker));
		TAILQ_INSERT_TAIL(&q->timed, io, timed_link);
	}
	if (q->disk->xentop)
		xentop_taken(q->disk->xentop, req);
}

void vbd_io_prepare(struct vbd_io *io)
{
	const struct blk_request *req = &io->entry->req;

	io->segments = req->indirect ? NULL : req->segments;
	io->bytes = req->indirect || req->op == BLKIF_DISCARD
			    ? 0
			    : (uint32_t)req->nr_sectors * BLKIF_SECTOR_SIZE;
	io->step = 0;
}

/* A valid request queues behind those before it. */
static void line_up(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	bool barrier = io->entry->req.op == BLKIF_BARRIER;

	count(io);
	vbd_io_prepare(io);
	if (barrier)
		q->barrier = io;
	vbd_io_move(io, barrier ? VBD_TURN : VBD_WAITING);
}

/* The checked copy goes into the journal before anything is done with it. */
static void admit(struct vbd_queue *q, const uint8_t *slot)
{
	struct vbd_io *io = vbd_queue_first(q, VBD_IDLE);
	struct blk_request *req = &io->entry->req;
	enum blkif_fault fault;

	q->moved = true;
	fault = blkif_parse(q->abi, slot, &q->limits, req);
	journal_take(&q->journal, io->entry, q->ring.req_cons - 1);
	trace(q->trace, TRACE_BLK, &q->id,
	      "take op=%s id=%llu sector=%llu sectors=%llu segments=%u indirect=%u fault=%s",
	      blkif_op_name(req->op), (unsigned long long)req->id, (unsigned long long)req->sector,
	      (unsigned long long)req->nr_sectors, req->nr_segments, req->indirect,
	      blkif_fault_name(fault));
	if (fault) {
		vbd_stats_refuse(q->stats, fault);
		vbd_io_finish(io, blkif_fault_status(fault));
		return;
	}
	line_up(io);
	if (io == vbd_queue_first(q, VBD_WAITING))
		vbd_io_advance(io);
}

/* The journal's requests are checked again like a guest's. Called before the first pass: no batch is open yet. */
void vbd_queue_replay(struct vbd_queue *q, struct vbd_io *io)
{
	enum blkif_fault fault = blkif_recheck(&io->entry->req, &q->limits);

	trace(q->trace, TRACE_BLK, &q->id, "replay op=%s id=%llu fault=%s",
	      blkif_op_name(io->entry->req.op), (unsigned long long)io->entry->req.id,
	      blkif_fault_name(fault));
	if (fault) {
		vbd_stats_refuse(q->stats, fault);
		vbd_io_finish(io, blkif_fault_status(fault));
	} else {
		line_up(io);
	}
}

/* No honest frontend does this: nothing more is read from the ring. */
static void fail_ring(struct vbd_queue *q)
{
	q->failed = true;
	ring_part_broke(&q->part, -EPROTO, "the frontend published an impossible ring index");
}

/* While the image is away, one request waits for it, and the rest stay in the ring. */
static bool image_takes(const struct vbd_queue *q)
{
	return q->in[VBD_SUBMITTED].nr == 0 || !image_is_away(&q->disk->image);
}

static bool may_take(const struct vbd_queue *q)
{
	if (!image_takes(q))
		return false;
	if (vbd_queue_under_way(q) >= SHARE_REQUESTS && share_is_asked(&q->aio->share, q->disk))
		return false; /* their completions bring the next pass */
	return !q->stopping && !q->failed && !q->barrier && q->in[VBD_WAITING].nr == 0 &&
	       q->in[VBD_IDLE].nr > 0;
}

static void go_on(struct vbd_queue *q)
{
	struct vbd_io *io;

	while ((io = vbd_queue_first(q, VBD_READY)))
		vbd_io_ready(io);
}

/* Requests that wait go first, in their order. False when one still waits. */
static bool resume_waiting(struct vbd_queue *q)
{
	for (uint32_t nr = q->in[VBD_WAITING].nr; nr; nr--)
		if (!vbd_io_advance(vbd_queue_first(q, VBD_WAITING)))
			return false;
	return q->in[VBD_WAITING].nr == 0;
}

static bool barrier_is_next(const struct vbd_queue *q)
{
	return q->in[VBD_TURN].nr == 1 && vbd_queue_in_flight(q) == 1;
}

static void take(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);
	uint8_t slot[BLKIF_SLOT_MAX];

	go_on(q);
	if (!resume_waiting(q))
		return;
	if (barrier_is_next(q))
		vbd_io_advance(q->barrier);
	for (unsigned int i = 0; i < BUDGET && may_take(q); i++) {
		int ret = ring_take(&q->ring, slot, q->ring.slot_size);

		if (ret < 0)
			fail_ring(q);
		if (ret == 0 && i > 0 && vbd_queue_under_way(q) < SHARE_REQUESTS)
			share_ask(&q->aio->share, q->disk);
		if (ret <= 0)
			return;
		share_take(&q->aio->share);
		admit(q, slot);
	}
}

/* --- halted --- */

/* Take back the requests that the medium has not begun. Requests that wait give back their buffers. */
static void halt(struct queue *queue, bool halted)
{
	struct vbd_queue *q = vbd_queue_of(queue);
	struct vbd_io *io, *next;

	trace(q->trace, TRACE_BLK, &q->id, "halt halted=%d", halted);
	image_halt(&q->disk->image, halted);
	if (!halted)
		return;
	for (io = vbd_queue_first(q, VBD_SUBMITTED); io; io = next) {
		next = TAILQ_NEXT(io, link);
		image_recall(q->aio, &io->image);
	}
	for (uint32_t nr = q->in[VBD_WAITING].nr; nr; nr--)
		vbd_io_again(vbd_queue_first(q, VBD_WAITING));
}

static void abandon_all(struct vbd_queue *q, enum vbd_state state)
{
	struct vbd_io *io;

	while ((io = vbd_queue_first(q, state)))
		vbd_io_abandon(io);
}

static void stand_still(struct vbd_queue *q)
{
	struct vbd_io *io;

	while ((io = vbd_queue_first(q, VBD_READY)))
		vbd_io_again(io);
	if (!q->stopping)
		return;
	abandon_all(q, VBD_TURN);
	abandon_all(q, VBD_WAITING);
	abandon_all(q, VBD_HELD);
}

/* --- act, give --- */

static void act(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);

	for (uint32_t nr = q->in[VBD_COPYING].nr; nr;
	     nr--) /* requests that it adds again belong to the next round */
		vbd_io_copied_in(vbd_queue_first(q, VBD_COPYING));
}

static void give(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);

	for (unsigned int i = 0; i < BUDGET && q->in[VBD_FETCHED].nr; i++)
		vbd_io_give(vbd_queue_first(q, VBD_FETCHED));
}

/* --- answer --- */

static void count_answer(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	uint64_t now_ns = worker_now(q->part.worker);

	vbd_stats_answer(q->stats, &io->times, now_ns);
	if (q->disk->xentop)
		xentop_answered(q->disk->xentop, &io->entry->req, io->status == BLKIF_OKAY,
				io->bytes, now_ns - io->times.taken_ns);
}

static void respond(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;
	const struct blk_request *req = &io->entry->req;
	uint8_t rsp[BLKIF_RESPONSE_MAX];
	size_t size = blkif_response(q->abi, req->id, req->op, io->status, rsp);

	if (io->times.taken_ns)
		count_answer(io);
	ring_put(&q->ring, rsp, size);
	journal_answer(io->entry);
	trace(q->trace, TRACE_BLK, &q->id, "answer op=%s id=%llu status=%d", blkif_op_name(req->op),
	      (unsigned long long)req->id, (int)io->status);
}

static void recycle(struct vbd_io *io)
{
	struct vbd_queue *q = io->queue;

	vbd_io_release(io);
	io->paid = false;
	if (q->barrier == io)
		q->barrier = NULL;
	journal_release(io->entry);
	vbd_io_move(io, VBD_IDLE);
}

static void publish(struct vbd_queue *q)
{
	bool notify = ring_publish(&q->ring) || q->kick;
	struct ring_indices at;

	q->kick = false;
	if (notify) {
		stat_add(&q->stats->notify_sent, 1);
		worker_notify(q->part.worker, &q->port);
	} else {
		stat_add(&q->stats->notify_suppressed, 1);
	}
	if (!(q->trace & TRACE_RING))
		return;
	ring_indices(&q->ring, &at);
	trace_line(&q->id,
		   "publish req_prod=%u req_event=%u rsp_prod=%u rsp_event=%u req_cons=%u "
		   "in_flight=%u notify=%d",
		   at.req_prod, at.req_event, at.rsp_prod, at.rsp_event, at.req_cons,
		   vbd_queue_in_flight(q), notify);
}

/*
 * Publish all responses of this pass with one store and at most one notification. The order of the journal's steps
 * makes it safe to die in between; see journal.h.
 */
static void respond_all(struct vbd_queue *q)
{
	uint32_t end = q->ring.rsp_prod + q->in[VBD_FINISHED].nr;
	struct vbd_io *io;

	q->moved = true;
	journal_announce(&q->journal, end);
	TAILQ_FOREACH(io, &q->in[VBD_FINISHED].ios, link)
		respond(io);
	publish(q);
	journal_published(&q->journal, end);
	while ((io = vbd_queue_first(q, VBD_FINISHED)))
		recycle(io);
}

/* Under dense traffic the ring is polled for some time after the last request, instead of asking for a notification. */
static bool is_polled(struct vbd_queue *q)
{
	uint64_t now;

	if (q->tuning.poll_ns == 0)
		return false;
	now = worker_now(q->part.worker);
	if (q->moved)
		q->poll_until = now + q->tuning.poll_ns;
	q->moved = false;
	q->part.queue.looks = now < q->poll_until;
	return q->part.queue.looks;
}

/* Show the queue's figures after this pass. */
static void show(struct vbd_queue *q)
{
	const struct vbd_io *oldest = TAILQ_FIRST(&q->timed);
	const struct vbd_io *submitted = vbd_queue_first(q, VBD_SUBMITTED);

	stat_set(&q->stats->in_flight, vbd_queue_in_flight(q));
	stat_set(&q->stats->submitted, q->in[VBD_SUBMITTED].nr);
	stat_set(&q->stats->oldest, oldest ? oldest->times.taken_ns : 0);
	stat_set(&q->stats->oldest_submitted, submitted ? submitted->times.since_ns : 0);
	if (q->kept.max)
		vbd_stats_kept(q->stats, &q->kept);
	stat_set(&q->stats->submit_waits, q->client.nr_waited);
	stat_set(&q->stats->registered, q->client.nr_by_uring);
}

static bool answer(struct queue *queue)
{
	struct vbd_queue *q = vbd_queue_of(queue);
	struct vbd_io *io;

	while ((io = vbd_queue_first(q, VBD_GIVING)))
		vbd_io_given(io);
	if (queue->halted)
		stand_still(q);
	if (q->in[VBD_FINISHED].nr || q->kick)
		respond_all(q);
	show(q);
	vbd_queue_look_at_flow(q);
	if (q->stopping && vbd_queue_in_flight(q) == 0 && aio_is_idle(&q->client))
		ring_part_drained(&q->part);
	if (q->in[VBD_READY].nr || q->in[VBD_FETCHED].nr)
		return true;
	if (queue->halted)
		return false; /* the end of the halt brings the next pass */
	if ((barrier_is_next(q) || q->in[VBD_WAITING].nr) && !q->client.waiting &&
	    !q->throttle.armed)
		return true; /* a request's turn has come */
	if (!may_take(q))
		return false; /* a completion, a buffer or a timer brings the next pass */
	return is_polled(q) || ring_rearm(&q->ring);
}

/* --- dump --- */

static void dump(struct queue *queue, FILE *out)
{
	const struct vbd_queue *q = vbd_queue_of(queue);
	struct ring_indices at;

	ring_indices(&q->ring, &at);
	fprintf(out,
		"vbd %u/%u/%u ring slots=%u req_prod=%u req_cons=%u req_event=%u rsp_prod=%u "
		"rsp_filled=%u rsp_event=%u in_flight=%u submitted=%u%s%s%s\n",
		q->id.domid, q->id.devid, q->id.queue, q->ring.nr_slots, at.req_prod, at.req_cons,
		at.req_event, at.rsp_prod, at.rsp_filled, at.rsp_event, vbd_queue_in_flight(q),
		q->in[VBD_SUBMITTED].nr, q->stopping ? " stopping" : "",
		queue->halted ? " halted" : "", q->failed ? " failed" : "");
	fprintf(out, "vbd %u/%u/%u count", q->id.domid, q->id.devid, q->id.queue);
	stats_print(&vbd_stat_list, q->stats, out);
	fputc('\n', out);
}

const struct queue_ops vbd_queue_ops = {
	.plane = PLANE_BLK,
	.take = take,
	.act = act,
	.give = give,
	.answer = answer,
	.halt = halt,
	.dump = dump,
};
