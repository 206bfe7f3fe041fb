/* SPDX-License-Identifier: MIT */
/*
 * Requests that the medium failed and that are held (error-policy = stall) until an admin has made room and says
 * `retry`. They hold no buffers, and start anew: the frontend's pages stay granted until they are answered. Later
 * requests go on: perhaps only writes fail, or only new blocks. A daemon that is stopped leaves the held requests in
 * the journal, and the next one tries them again.
 *
 * And what follows when a flush or barrier is answered with an error. Linux' blkfront then turns flushing off, and
 * tells its file system that an empty flush has succeeded: nobody would ever hear of the lost data. So from then on
 * everything but reads fails, on all rings of the disk, until it is attached again or an admin says `retry`.
 */
#include <stdatomic.h>
#include <errno.h>

#include "blkback/disk.h"

void vbd_stall(struct vbd_io *io, int err)
{
	struct vbd_queue *q = io->queue;

	stat_add(&q->stats->stalls, 1);
	trace(q->trace, TRACE_BLK, &q->id, "stall id=%llu result=%d",
	      (unsigned long long)io->entry->req.id, err);
	vbd_io_release(io);
	vbd_io_move(io, VBD_HELD);
	disk_stalled(q->disk, err);
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

void vbd_flush_failed(struct vbd_io *io, int err)
{
	struct vbd_queue *q = io->queue;

	trace(q->trace, TRACE_BLK, &q->id, "flush-failed id=%llu result=%d",
	      (unsigned long long)io->entry->req.id, err);
	journal_flush_failed(&q->journal, true);
	disk_flush_failed(q->disk, err);
}

bool vbd_is_refused(const struct vbd_io *io)
{
	return atomic_load(&io->queue->disk->refuses) && io->entry->req.op != BLKIF_READ;
}

/* --- an admin's retry, a detach --- */

/*
 * The disk is to be detached, and its requests must end first: all that the ring holds, and as many again that may wait
 * behind it in the guest. These pass without a limit. If the guest refuses the detach, its limits then hold again.
 */
static void let_go(struct vbd_queue *q)
{
	q->unbound = 2 * q->ring.nr_slots;
	retry_all(q);
}

void vbd_queue_tune(struct vbd_queue *q, const struct message_disk_tuning *tuning)
{
	if (tuning->leaving && !q->tuning.leaving)
		let_go(q);
	q->tuning = *tuning;
	journal_flush_failed(&q->journal, atomic_load(&q->disk->refuses));
	if (tuning->retry || !tuning->stall)
		retry_all(q);
	queue_mark(&q->part.queue);
}
