/* SPDX-License-Identifier: MIT */
/* Starts and ends a queue on its worker. The pass itself is in vbd_pass.c. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/container_of.h"
#include "blkback/disk.h"

_Static_assert(IMAGE_BYTES_MAX <= BUFPOOL_MAX_BYTES, "a buffer holds the largest request");

/*
 * Each request has a page for its segments and one for the pieces of its data. They are not from the buffers: a request
 * that has one buffer would have to wait for another.
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

/* No request is taken behind a barrier, so only the youngest can be one. */
static bool barriers_fit(const struct vbd_queue *q, const uint32_t *order, uint32_t nr)
{
	for (uint32_t i = 0; i + 1 < nr; i++)
		if (q->journal.entries[order[i]].req.op == BLKIF_BARRIER)
			return false;
	return true;
}

/* Requests that an earlier process took and never answered come before new ones, in their order. */
static void replay(struct vbd_queue *q, const uint32_t *order, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		vbd_queue_replay(q, &q->ios[order[i]]);
	ring_consume(&q->ring, nr);
	q->nr_replayed = nr;
	stat_add(&q->stats->replayed, nr);
	q->kick = true; /* responses were published, but perhaps not notified */
}

static int begin_ring(struct vbd_queue *q, const struct journal_id *id)
{
	int err = journal_begin(&q->journal, q->journal_fd, id, q->ring.nr_slots, q->ring.rsp_prod);

	return err ? err : make_pool(q);
}

/* If no journal was begun, only a ring without open requests can be joined: else -ENOENT. */
static int join_ring(struct vbd_queue *q, const struct journal_id *id)
{
	uint32_t order[JOURNAL_MAX_ENTRIES], waiting;
	int nr, err = journal_open(&q->journal, q->journal_fd, id, q->ring.nr_slots);

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
	const struct message_disk_ring *shared = q->shared;
	struct journal_id id = { .domid = q->id.domid,
				 .devid = q->id.devid,
				 .queue = q->id.queue,
				 .abi = q->abi,
				 .ring = journal_ring_sum(shared->port, shared->refs,
							  shared->nr_pages) };

	return q->disk->start->resume ? join_ring(q, &id) : begin_ring(q, &id);
}

static void age_kept(void *user)
{
	struct vbd_queue *q = user;

	kept_tick(&q->kept);
	vbd_stats_kept(q->stats, &q->kept);
}

/* No request is in flight any more: an end that waited for this looks again. */
static void came_to_rest(struct aio_client *client)
{
	struct vbd_queue *q = container_of(client, struct vbd_queue, client);

	queue_mark(&q->part.queue);
	if (q->abandoned)
		vbd_queue_settle(q);
}

static int attach(struct vbd_queue *q)
{
	const struct message_disk_ring *shared = q->shared;
	uint32_t max_kept = q->disk->start->max_kept;
	struct worker *worker = q->part.worker;
	int err = grant_map(worker->xgt, q->id.domid, shared->refs, shared->nr_pages, &q->map);

	if (err)
		return err;
	err = ring_attach(&q->ring, q->map.addr, shared->nr_pages * GRANT_PAGE_SIZE,
			  blkif_slot_size(q->abi));
	if (err)
		return err;
	q->aio->kept.max = q->disk->max_kept_by_worker;
	kept_init(&q->kept, worker->xgt, q->id.domid, max_kept, &q->aio->kept);
	q->copies_only = q->disk->start->copy_kept;
	if (max_kept)
		loop_tick_add(worker->loop, &q->kept_tick, age_kept, q);
	err = aio_join(q->aio, &q->client, &q->part.queue, came_to_rest);
	if (err)
		return err;
	image_join(&q->disk->image, &q->client);
	err = open_journal(q);
	if (err)
		return err;
	worker_attach(worker, &q->part.queue, &vbd_queue_ops);
	image_start(&q->disk->image);
	image_halt(&q->disk->image, q->part.queue.halted);
	return worker_bind(worker, &q->port, &q->part.queue, q->id.domid, shared->port);
}

static const char *attach_problem(int err)
{
	switch (err) {
	case -EPROTO:
		return "its indices are impossible";
	case -EBADMSG:
		return "the journal that an earlier pvbackd left is damaged, or of another ring";
	case -EPROTONOSUPPORT:
		return "the journal that an earlier pvbackd left is of a version that this one "
		       "cannot read";
	case -ENOENT:
		return "requests are in flight and no journal of them is left";
	default:
		return NULL;
	}
}

/* --- as in struct ring_ops --- */

static struct vbd_queue *queue_of(struct ring_part *part)
{
	return (struct vbd_queue *)(void *)part;
}

static int open_ring(struct ring_part *part)
{
	struct vbd_queue *q = queue_of(part);
	const struct disk *disk = q->disk;
	void *aio;
	int err = worker_plane(part->worker, PLANE_BLK, &aio);

	if (err)
		return err;
	q->aio = aio;
	for (unsigned int state = 0; state < VBD_NR_STATES; state++)
		TAILQ_INIT(&q->in[state].ios);
	TAILQ_INIT(&q->timed);
	q->tuning = disk->now.tuning;
	q->limits = (struct blkif_limits){
		.nr_sectors = disk->now.nr_sectors,
		.read_only = disk->image.read_only,
		.discard = disk->start->discard && disk->image.discard,
		.secure_discard = disk->start->discard && disk->image.secure_discard,
	};
	err = attach(q);
	trace(q->trace, TRACE_GRANT, &q->id, "attach slots=%u rsp_prod=%u port=%u result=%d",
	      q->ring.nr_slots, q->ring.rsp_prod, q->shared->port, err);
	if (err)
		part->why = attach_problem(err);
	else
		queue_mark(&part->queue); /* requests may be older than the event channel */
	return err;
}

/* --- the end of an abandoned ring --- */

#define ABANDON_NS 2000000000u /* time for a medium that is only slow */

static void free_requests(struct vbd_queue *q)
{
	if (q->aio)
		aio_leave(q->aio, &q->client);
	journal_close(&q->journal);
	free(q->ios);
	q->ios = NULL;
	if (q->pages)
		munmap(q->pages, pages_size(q));
	q->pages = NULL;
	q->ring = (struct ring){ 0 };
}

static void report_gone(struct loop_task *task)
{
	struct vbd_queue *q = container_of(task, struct vbd_queue, end_task);

	disk_ring_gone(q->disk, q);
}

static void run_end(struct loop_task *task)
{
	struct vbd_queue *q = container_of(task, struct vbd_queue, end_task);

	free_requests(q);
	trace(q->trace, TRACE_GRANT, &q->id, "gone");
	task->run = report_gone;
	loop_post(q->disk->rings.home, task);
}

static bool is_all_back(const struct vbd_queue *q)
{
	return vbd_queue_in_flight(q) == 0 && aio_is_idle(&q->client);
}

/* Whether the medium moves data from or to the guest's own pages. */
static bool medium_has_pages(const struct vbd_queue *q)
{
	const struct vbd_io *io;

	TAILQ_FOREACH(io, &q->in[VBD_SUBMITTED].ios, link)
		if (io->vec)
			return true;
	return false;
}

/* The end runs in a task of its own: the caller may be walking over the requests. */
void vbd_queue_settle(struct vbd_queue *q)
{
	if (!q->closed && (is_all_back(q) || (!q->patience.armed && !medium_has_pages(q))))
		ring_part_drained(&q->part);
	if (!q->closed || q->ending || !is_all_back(q))
		return;
	q->ending = true;
	q->end_task.run = run_end;
	loop_post(q->part.worker->loop, &q->end_task);
}

static void lost_patience(void *user)
{
	struct vbd_queue *q = user;

	if (medium_has_pages(q))
		disk_keeps_pages(q->disk);
	vbd_queue_settle(q);
}

static void abandon_all(struct vbd_queue *q)
{
	static const enum vbd_state with_us[] = { VBD_TURN,    VBD_WAITING, VBD_READY,
						  VBD_FETCHED, VBD_HELD,    VBD_FINISHED };

	for (unsigned int i = 0; i < sizeof(with_us) / sizeof(with_us[0]); i++)
		while (vbd_queue_first(q, with_us[i]))
			vbd_io_abandon(vbd_queue_first(q, with_us[i]));
}

/* Nobody waits for answers any more: only requests that the medium has still matter. Called between two passes. */
static void abandon(struct vbd_queue *q)
{
	if (q->abandoned || q->closed)
		return;
	queue_halt(&q->part.queue);
	q->abandoned = true;
	abandon_all(q);
	loop_timer_set(q->part.worker->loop, &q->patience, ABANDON_NS, lost_patience, q);
	vbd_queue_settle(q);
}

/* --- as in struct ring_ops: the end --- */

static void stop_ring(struct ring_part *part)
{
	struct vbd_queue *q = queue_of(part);
	bool keep = part->set->keep;

	q->stopping = true;
	if (keep)
		queue_halt(&part->queue);
	image_stop(&q->disk->image, keep);
	if (atomic_load(&q->disk->abandoned))
		abandon(q);
	else if (!part->queue.halted)
		vbd_stall_stop(q);
	queue_mark(&part->queue);
}

/*
 * Close a ring that may be half open. Requests of an abandoned ring that the medium has stay until it gives them back.
 */
static void close_ring(struct ring_part *part)
{
	struct vbd_queue *q = queue_of(part);

	loop_timer_cancel(&q->throttle);
	loop_timer_cancel(&q->patience);
	worker_unbind(part->worker, &q->port);
	worker_detach(&part->queue);
	loop_tick_remove(&q->kept_tick);
	kept_done(&q->kept);
	grant_unmap(part->worker->xgt, &q->map);
	q->closed = true;
	q->lingers = q->abandoned && !is_all_back(q);
	if (!q->lingers)
		free_requests(q);
	trace(q->trace, TRACE_GRANT, &q->id, "detach");
}

/* Requests that wait for an NBD server that is away do not count: when the queue stops, its journal keeps them. */
static bool medium_holds_old(const struct vbd_queue *q)
{
	struct vbd_io *io;

	if (image_is_away(&q->disk->image))
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
	disk_flows(q->disk);
}

static void see_change(struct ring_part *part)
{
	struct vbd_queue *q = queue_of(part);
	const struct disk_state *now = &q->disk->now;

	if (q->stopping) {
		if (atomic_load(&q->disk->abandoned))
			abandon(q);
		return;
	}
	q->limits.nr_sectors = now->nr_sectors;
	vbd_queue_tune(q, &now->tuning);
	if (q->flow_nr == now->flow_nr)
		return;
	q->flow_nr = now->flow_nr;
	q->flow_asked = true;
	q->flow_mark = q->ring.req_cons;
	vbd_queue_look_at_flow(q);
}

const struct ring_ops vbd_ring_ops = {
	.open = open_ring, .sync = see_change, .stop = stop_ring, .close = close_ring
};
