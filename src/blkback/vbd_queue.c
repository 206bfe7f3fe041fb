/* SPDX-License-Identifier: MIT */
/* A queue's coming and going, on its worker; the pass itself is in vbd_pass.c. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/container_of.h"
#include "core/statefile.h"
#include "blkback/vbd_queue.h"

#define queue_of(task_, member_) container_of(task_, struct vbd_queue, member_)

_Static_assert(IMAGE_BYTES_MAX <= BUFPOOL_MAX_BYTES, "a buffer holds the largest request");

/*
 * A page for the segments of each request, and one for the pieces of its data: not of the buffers, of which a
 * request that has one of them would still need another.
 */
static size_t pages_size(const struct vbd_queue *q)
{
	return (size_t)q->ring.nr_slots * 2 * GRANT_PAGE_SIZE;
}

static int map_pages(struct vbd_queue *q)
{
	void *pages = mmap(NULL, pages_size(q), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (pages == MAP_FAILED)
		return -ENOMEM;
	q->pages = pages;
	return 0;
}

/* Undo attach, from any half-way point. */
static void release(struct vbd_queue *q)
{
	loop_timer_cancel(&q->throttle);
	if (q->aio)
		aio_leave(q->aio, &q->client);
	worker_unbind(q->worker, &q->port);
	worker_detach(&q->queue);
	loop_tick_remove(&q->kept_tick);
	kept_done(&q->kept);
	grant_unmap(q->worker->xgt, &q->map);
	journal_close(&q->journal);
	statefile_close(&q->setup.journal_fd);
	free(q->ios);
	q->ios = NULL;
	if (q->pages)
		munmap(q->pages, pages_size(q));
	q->pages = NULL;
	q->ring = (struct ring){ 0 };
}

static int make_pool(struct vbd_queue *q)
{
	uint8_t *page;

	q->ios = calloc(q->ring.nr_slots, sizeof(q->ios[0]));
	if (!q->ios || map_pages(q))
		return -ENOMEM;
	page = q->pages;
	for (uint32_t i = 0; i < q->ring.nr_slots; i++) {
		q->ios[i].queue = q;
		q->ios[i].image.aio.client = &q->client;
		q->ios[i].page = page;
		q->ios[i].vec_page = (struct iovec *)(void *)(page + GRANT_PAGE_SIZE);
		page += 2 * GRANT_PAGE_SIZE;
		q->ios[i].entry = &q->journal.entries[i];
		TAILQ_INSERT_TAIL(&q->in[VBD_IDLE].ios, &q->ios[i], link);
	}
	q->in[VBD_IDLE].nr = q->ring.nr_slots;
	return 0;
}

/* Nothing is taken behind a barrier, so only the youngest can be one. */
static bool barriers_fit(const struct vbd_queue *q, const uint32_t *order, uint32_t nr)
{
	for (uint32_t i = 0; i + 1 < nr; i++)
		if (q->journal.entries[order[i]].req.op == BLKIF_BARRIER)
			return false;
	return true;
}

/* What an earlier life took and never answered comes before anything new, in its order. */
static void replay(struct vbd_queue *q, const uint32_t *order, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		vbd_queue_replay(q, &q->ios[order[i]]);
	ring_consume(&q->ring, nr);
	q->nr_replayed = nr;
	stat_add(&q->stats->replayed, nr);
	q->kick = true; /* published, but perhaps not notified */
}

static int begin_ring(struct vbd_queue *q, const struct journal_id *id)
{
	int err = journal_begin(&q->journal, q->setup.journal_fd, id, q->ring.nr_slots,
				q->ring.rsp_prod);

	return err ? err : make_pool(q);
}

/* Without a journal that was begun only a ring with nothing on it can be joined: -ENOENT else. */
static int join_ring(struct vbd_queue *q, const struct journal_id *id)
{
	uint32_t order[JOURNAL_MAX_ENTRIES], waiting;
	int nr, err = journal_open(&q->journal, q->setup.journal_fd, id, q->ring.nr_slots);

	if (err == -ENOENT && ring_peek(&q->ring, &waiting) == 0 && waiting == 0)
		return begin_ring(q, id);
	if (err)
		return err;
	nr = journal_recover(&q->journal, q->ring.rsp_prod, order);
	if (nr < 0)
		return nr;
	if (!barriers_fit(q, order, (uint32_t)nr))
		return -EBADMSG;
	err = make_pool(q);
	if (err)
		return err;
	replay(q, order, (uint32_t)nr);
	return ring_peek(&q->ring, &waiting);
}

static int open_journal(struct vbd_queue *q)
{
	const struct vbd_queue_setup *setup = &q->setup;
	struct journal_id id = { .domid = q->id.domid,
				 .devid = q->id.devid,
				 .queue = q->id.queue,
				 .abi = setup->abi,
				 .ring = journal_ring_sum(setup->port, setup->refs,
							  setup->nr_pages) };
	int err = setup->resume ? join_ring(q, &id) : begin_ring(q, &id);

	statefile_close(&q->setup.journal_fd);
	return err;
}

static void age_kept(void *user)
{
	struct vbd_queue *q = user;

	kept_tick(&q->kept);
	vbd_stats_kept(q->stats, &q->kept);
}

static int attach(struct vbd_queue *q)
{
	int err = grant_map(q->worker->xgt, q->id.domid, q->setup.refs, q->setup.nr_pages, &q->map);

	if (err)
		return err;
	err = ring_attach(&q->ring, q->map.addr, q->setup.nr_pages * GRANT_PAGE_SIZE,
			  blkif_slot_size(q->setup.abi));
	if (err)
		return err;
	q->aio->kept.max = q->setup.max_kept_by_worker;
	kept_init(&q->kept, q->worker->xgt, q->id.domid, q->setup.max_kept, &q->aio->kept);
	if (q->setup.max_kept)
		loop_tick_add(q->worker->loop, &q->kept_tick, age_kept, q);
	err = aio_join(q->aio, &q->client, &q->queue);
	if (err)
		return err;
	err = open_journal(q);
	if (err)
		return err;
	worker_attach(q->worker, &q->queue, &vbd_queue_ops);
	image_start(q->image);
	image_halt(q->image, q->queue.halted);
	return worker_bind(q->worker, &q->port, &q->queue, q->id.domid, q->setup.port);
}

static void report_attached(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, report);

	q->attached(q, q->result);
}

static void run_attach(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, order);

	q->aio = q->worker->plane_ctx[PLANE_BLK];
	for (unsigned int state = 0; state < VBD_NR_STATES; state++)
		TAILQ_INIT(&q->in[state].ios);
	q->tuning = q->setup.tuning;
	q->limits =
		(struct blkif_limits){ .nr_sectors = q->image->bytes / BLKIF_SECTOR_SIZE,
				       .read_only = q->image->read_only,
				       .discard = q->discard,
				       .secure_discard = q->discard && q->image->secure_discard };
	q->result = attach(q);
	trace(q->trace, TRACE_GRANT, &q->id, "attach slots=%u rsp_prod=%u port=%u result=%d",
	      q->ring.nr_slots, q->ring.rsp_prod, q->setup.port, q->result);
	if (q->result)
		release(q);
	else
		queue_mark(&q->queue); /* the frontend may have been faster than its event */
	q->report.run = report_attached;
	loop_post(q->control, &q->report);
}

void vbd_queue_attach(struct vbd_queue *q)
{
	q->order.run = run_attach;
	loop_post(q->worker->loop, &q->order);
}

static void report_detached(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, report);

	q->detached(q);
}

static void run_release(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, order);

	release(q);
	trace(q->trace, TRACE_GRANT, &q->id, "detach");
	q->report.run = report_detached;
	loop_post(q->control, &q->report);
}

/* In a task of its own: a pass may be walking over the queue right now. */
void vbd_queue_drained(struct vbd_queue *q)
{
	q->order.run = run_release;
	loop_post(q->worker->loop, &q->order);
}

static void run_stop(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, order);

	q->stopping = true;
	if (q->keep_journal)
		queue_halt(&q->queue);
	image_stop(q->image, q->keep_journal);
	if (!q->queue.halted)
		vbd_stall_stop(q);
	queue_mark(&q->queue);
}

void vbd_queue_detach(struct vbd_queue *q)
{
	q->order.run = run_stop;
	loop_post(q->worker->loop, &q->order);
}

static void report_flow(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, flow_report);

	q->flowed(q);
}

/* What waits for an NBD server that is away is left to its journal when the queue stops. */
static bool medium_holds_old(const struct vbd_queue *q)
{
	struct vbd_io *io;

	if (q->image->ops->away && image_is_away(q->image))
		return false;
	TAILQ_FOREACH(io, &q->in[VBD_SUBMITTED].ios, link)
		if ((int32_t)(io->entry->index - q->flow_mark) < 0)
			return true;
	return false;
}

void vbd_queue_look_at_flow(struct vbd_queue *q)
{
	if (!q->flow_asked || medium_holds_old(q))
		return;
	q->flow_asked = false;
	q->flow_report.run = report_flow;
	loop_post(q->control, &q->flow_report);
}

static void run_ask_flow(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, flow_order);

	q->flow_asked = true;
	q->flow_mark = q->ring.req_cons;
	vbd_queue_look_at_flow(q);
}

void vbd_queue_ask_flow(struct vbd_queue *q)
{
	q->flow_order.run = run_ask_flow;
	loop_post(q->worker->loop, &q->flow_order);
}

static void report_resized(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, size_report);

	q->resized(q);
}

static void run_resize(struct loop_task *task)
{
	struct vbd_queue *q = queue_of(task, size_order);

	q->limits.nr_sectors = q->new_sectors;
	q->size_report.run = report_resized;
	loop_post(q->control, &q->size_report);
}

void vbd_queue_resize(struct vbd_queue *q, uint64_t nr_sectors)
{
	q->new_sectors = nr_sectors;
	q->size_order.run = run_resize;
	loop_post(q->worker->loop, &q->size_order);
}
