/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/container_of.h"
#include "netback/nic.h"
#include "netback/tap_batch.h"
#include "netback/vif_queue.h"

/* --- what a pass calls --- */

static void queue_take(struct queue *queue)
{
	struct vif_queue *q = vif_queue_of(queue);

	if (!q->broken)
		vif_tx_take(q);
}

static void queue_act(struct queue *queue)
{
	struct vif_queue *q = vif_queue_of(queue);

	if (!q->broken)
		vif_tx_act(q);
}

static void queue_give(struct queue *queue)
{
	struct vif_queue *q = vif_queue_of(queue);

	if (!q->broken && !queue->halted)
		vif_rx_give(q);
}

static bool queue_answer(struct queue *queue)
{
	struct vif_queue *q = vif_queue_of(queue);
	bool more;

	if (q->broken || queue->halted) /* this pass has taken nothing */
		return false;
	more = vif_rx_answer(q);
	return vif_tx_answer(q) || more;
}

static void queue_halts(struct queue *queue, bool halted)
{
	struct vif_queue *q = vif_queue_of(queue);

	trace(q->trace, TRACE_RING, &q->id, "halt halted=%d", halted);
	if (!halted && !q->broken)
		vif_rx_go_on(q);
}

static void dump_ring(const char *name, const struct ring *ring, FILE *out)
{
	struct ring_indices at;

	ring_indices(ring, &at);
	fprintf(out,
		" %s_req_prod=%" PRIu32 " %s_req_event=%" PRIu32 " %s_rsp_prod=%" PRIu32
		" %s_rsp_event=%" PRIu32 " %s_req_cons=%" PRIu32 " %s_rsp_filled=%" PRIu32,
		name, at.req_prod, name, at.req_event, name, at.rsp_prod, name, at.rsp_event, name,
		at.req_cons, name, at.rsp_filled);
}

static void queue_dump(struct queue *queue, FILE *out)
{
	const struct vif_queue *q = vif_queue_of(queue);

	fprintf(out, "vif %" PRIu32 "/%" PRIu32 "/%u worker=%u broken=%d starved=%d stalled=%d",
		q->id.domid, q->id.devid, q->id.queue, q->part.worker->index, q->broken,
		vif_rx_is_starved(q), q->rx.state == VIF_RX_STALLED);
	dump_ring("tx", &q->tx.ring, out);
	dump_ring("rx", &q->rx.ring, out);
	stats_print(&vif_stat_list, q->stats, out);
	fputc('\n', out);
}

static const struct queue_ops queue_ops = {
	.plane = PLANE_NET,
	.take = queue_take,
	.act = queue_act,
	.give = queue_give,
	.answer = queue_answer,
	.halt = queue_halts,
	.dump = queue_dump,
};

void vif_queue_publish(struct vif_queue *q, struct ring *ring, const struct worker_port *port,
		       const char *name)
{
	bool notify;

	if (ring->rsp_prod == ring->rsp_public)
		return;
	notify = ring_publish(ring);
	if (notify) {
		worker_notify(q->part.worker, port);
		stat_add(&q->stats->notify_sent, 1);
	} else {
		stat_add(&q->stats->notify_suppressed, 1);
	}
	trace(q->trace, TRACE_RING, &q->id, "publish ring=%s rsp_prod=%" PRIu32 " notify=%d", name,
	      ring->rsp_prod, notify);
}

/* --- attach and detach, on the worker --- */

static int map_ring(struct vif_queue *q, uint32_t ref, uint32_t slot_size, struct grant_map *map,
		    struct ring *ring)
{
	int err = grant_map(q->part.worker->xgt, q->id.domid, &ref, 1, map);

	if (err)
		return err;
	return ring_attach(ring, map->addr, GRANT_PAGE_SIZE, slot_size);
}

static int map_rings(struct vif_queue *q)
{
	int err = map_ring(q, q->front.tx_ref, NETIF_TX_SLOT_SIZE, &q->tx.map, &q->tx.ring);

	q->part.why = "the transmit ring cannot be attached";
	if (err)
		return err;
	q->part.why = "the receive ring cannot be attached";
	return map_ring(q, q->front.rx_ref, NETIF_RX_SLOT_SIZE, &q->rx.map, &q->rx.ring);
}

static int use_undo(struct vif_queue *q)
{
	int err = ring_use_undo(&q->tx.ring, &q->undo->tx);

	q->part.why = "what an earlier pvbackd left of its rings is damaged";
	return err ? err : ring_use_undo(&q->rx.ring, &q->undo->rx);
}

static int bind_ports(struct vif_queue *q)
{
	int err = worker_bind(q->part.worker, &q->tx_port, &q->part.queue, q->id.domid,
			      q->front.tx_port);

	q->part.why = "the event channel cannot be bound";
	if (err || !q->front.rx_port)
		return err;
	return worker_bind(q->part.worker, &q->rx_port, &q->part.queue, q->id.domid,
			   q->front.rx_port);
}

/* The last daemon may have died after it published responses and before it notified. */
static void wake_frontend(struct vif_queue *q)
{
	worker_notify(q->part.worker, &q->tx_port);
	worker_notify(q->part.worker, &q->rx_port);
}

static void queue_close(struct ring_part *part)
{
	struct vif_queue *q = vif_queue_of(&part->queue);

	q->watch = loop_remove(q->part.worker->loop, q->watch);
	loop_timer_cancel(&q->tx.timer);
	worker_unbind(q->part.worker, &q->tx_port);
	worker_unbind(q->part.worker, &q->rx_port);
	worker_detach(&q->part.queue);
	vif_rx_close(q);
	q->tx.ring = (struct ring){ 0 };
	q->rx.ring = (struct ring){ 0 };
	grant_unmap(q->part.worker->xgt, &q->tx.map);
	grant_unmap(q->part.worker->xgt, &q->rx.map);
	trace(q->trace, TRACE_GRANT, &q->id, "detach");
}

static int open_rings(struct vif_queue *q)
{
	int err = map_rings(q);

	if (!err)
		err = use_undo(q);
	if (!err)
		err = vif_rx_open(q);
	if (err)
		return err;
	worker_attach(q->part.worker, &q->part.queue, &queue_ops);
	err = bind_ports(q);
	if (err)
		return err;
	if (!q->resume)
		tap_drain(q->fd, 1024); /* frames for an earlier guest */
	q->watch = loop_add(q->part.worker->loop, q->fd, EPOLLIN | EPOLLET, vif_rx_tap_event, q);
	if (!q->watch) {
		q->part.why = "the tap cannot be watched";
		return -errno;
	}
	if (q->resume)
		wake_frontend(q);
	queue_mark(&q->part.queue); /* there may be requests already */
	return 0;
}

static int queue_open(struct ring_part *part)
{
	struct vif_queue *q = vif_queue_of(&part->queue);
	void *pool;
	int err = worker_plane(part->worker, PLANE_NET, &pool);

	if (err)
		return err;
	q->pool = pool;
	err = open_rings(q);
	trace(q->trace, TRACE_GRANT, &q->id,
	      "attach tx_ref=%" PRIu32 " rx_ref=%" PRIu32 " tx_port=%" PRIu32 " rx_port=%" PRIu32
	      " result=%d",
	      q->front.tx_ref, q->front.rx_ref, q->front.tx_port, q->front.rx_port, err);
	return err;
}

const struct ring_ops vif_queue_ops = { .open = queue_open, .close = queue_close };

/* --- reports to others --- */

void vif_queue_break(struct vif_queue *q, int err, const char *why)
{
	if (q->broken)
		return;
	q->broken = true;
	/* Nobody reads the tap any more, and each new frame would wake the worker. */
	q->watch = loop_remove(q->part.worker->loop, q->watch);
	loop_timer_cancel(&q->tx.timer);
	loop_timer_cancel(&q->rx.timer);
	trace(q->trace, TRACE_RING, &q->id, "broken why=\"%s\"", why);
	ring_part_broke(&q->part, err, why);
}

static void stall_run(struct loop_task *task)
{
	struct vif_queue *q = container_of(task, struct vif_queue, stall_task);

	atomic_store(&q->stall_posted, false);
	vif_queue_stall_changed(q, atomic_load(&q->stall_wanted));
}

void vif_queue_stall(struct vif_queue *q, bool stalled)
{
	atomic_store(&q->stall_wanted, stalled);
	if (atomic_exchange(&q->stall_posted, true))
		return;
	q->stall_task.run = stall_run;
	loop_post(q->part.set->home, &q->stall_task);
}

/* --- what all network queues of a worker share --- */

static int plane_open(struct worker *worker, void *prepared, void **ret_ctx)
{
	struct vif_pool *pool = vif_pool_new(&worker->own);

	(void)prepared;
	if (!pool)
		return -ENOMEM;
	*ret_ctx = pool;
	return 0;
}

static void plane_close(void *ctx)
{
	vif_pool_free(ctx);
}

/* Called between act and give: frames from guests are in the kernel, and earlier frames to guests are copied. */
static void plane_submit(void *ctx)
{
	vif_pool_reset(ctx);
}

static void plane_rest(void *ctx)
{
	vif_pool_rest(ctx);
}

const struct plane vif_plane = {
	.open = plane_open,
	.close = plane_close,
	.submit = plane_submit,
	.rest = plane_rest,
};
