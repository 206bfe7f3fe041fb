/* SPDX-License-Identifier: MIT */
/*
 * Requests that the medium failed and that are held, under error-policy = stall, until an admin made room
 * and said so. They wait without buffers and begin anew: the frontend's pages stay granted as long as
 * they are not answered. Whoever comes after them goes on: perhaps only writes fail, or only new blocks.
 * A daemon that is stopped leaves them in the journal, and the next one tries them again.
 *
 * And what follows when a flush or barrier is answered with an error. Linux' blkfront then turns flushing off, and tells
 * its file system that an empty flush has succeeded: nobody would ever hear of what was lost. So all that is not a read
 * fails from then on, on all rings of the disk, until it is attached again or an admin says go.
 */
#include <stdatomic.h>
#include <errno.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "blkback/vbd_queue.h"

static void report(struct loop_task *task)
{
	struct vbd_queue *q = container_of(task, struct vbd_queue, stall_report);

	q->stalled(q, atomic_exchange(&q->stall_err, 0));
}

/* Once until the control thread has taken note. */
static void tell(struct vbd_queue *q, int err)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&q->stall_err, &none, err))
		return;
	q->stall_report.run = report;
	loop_post(q->control, &q->stall_report);
}

void vbd_stall(struct vbd_io *io, int err)
{
	struct vbd_queue *q = io->queue;

	stat_add(&q->stats->stalls, 1);
	trace(q->trace, TRACE_BLK, &q->id, "stall id=%llu result=%d",
	      (unsigned long long)io->entry->req.id, err);
	vbd_io_release(io);
	vbd_io_move(io, VBD_HELD);
	tell(q, err);
}

static void retry_all(struct vbd_queue *q)
{
	struct vbd_io *io;

	while ((io = vbd_queue_first(q, VBD_HELD)))
		vbd_io_again(io);
}

void vbd_stall_stop(struct vbd_queue *q)
{
	struct vbd_io *io;

	while ((io = vbd_queue_first(q, VBD_HELD)))
		vbd_io_answer_failed(io, -EIO);
}

/* --- a failed flush --- */

static void report_flush(struct loop_task *task)
{
	struct vbd_queue *q = container_of(task, struct vbd_queue, flush_report);

	q->flush_failed(q, atomic_exchange(&q->flush_err, 0));
}

void vbd_flush_failed(struct vbd_io *io, int err)
{
	struct vbd_queue *q = io->queue;
	int none = 0;

	trace(q->trace, TRACE_BLK, &q->id, "flush-failed id=%llu result=%d",
	      (unsigned long long)io->entry->req.id, err);
	journal_flush_failed(&q->journal, true);
	if (atomic_exchange(q->refuses, true) ||
	    !atomic_compare_exchange_strong(&q->flush_err, &none, err))
		return;
	q->flush_report.run = report_flush;
	loop_post(q->control, &q->flush_report);
}

bool vbd_is_refused(const struct vbd_io *io)
{
	return atomic_load(io->queue->refuses) && io->entry->req.op != BLKIF_READ;
}

/* --- the control thread's word --- */

struct tune_order {
	struct loop_task task; /* first */
	struct vbd_queue *q;   /* borrowed: orders arrive in their order, so it is still attached */
	struct vbd_tuning tuning;
	bool retry;
};

/*
 * The disk is to go, and what is on its way must come to an end first: all that the ring holds, and as much
 * again that may wait behind it in the guest. A guest that refuses has its limits again after that.
 */
static void let_go(struct vbd_queue *q)
{
	q->unbound = 2 * q->ring.nr_slots;
	retry_all(q);
}

static void run_tune(struct loop_task *task)
{
	struct tune_order *order = (struct tune_order *)(void *)task;
	struct vbd_queue *q = order->q;

	if (order->tuning.leaving && !q->tuning.leaving)
		let_go(q);
	q->tuning = order->tuning;
	journal_flush_failed(&q->journal, atomic_load(q->refuses));
	if (order->retry)
		retry_all(q);
	queue_mark(&q->queue);
	free(order);
}

void vbd_queue_tune(struct vbd_queue *q, const struct vbd_tuning *tuning, bool retry)
{
	struct tune_order *order = calloc(1, sizeof(*order));

	if (!order)
		return; /* it stays as it was */
	order->task.run = run_tune;
	order->q = q;
	order->tuning = *tuning;
	order->retry = retry;
	loop_post(q->worker->loop, &order->task);
}
