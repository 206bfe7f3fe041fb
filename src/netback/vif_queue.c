/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/container_of.h"
#include "core/statefile.h"
#include "netback/vif_queue.h"
#include "netback/tap.h"
#include "netback/vif.h"

#define queue_of(task_ptr, member) container_of(task_ptr, struct vif_queue, member)

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

	if (q->broken || queue->halted) /* then this pass has taken nothing */
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
		q->id.domid, q->id.devid, q->id.queue, q->worker->index, q->broken,
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
		worker_notify(q->worker, port);
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
	int err = grant_map(q->worker->xgt, q->id.domid, &ref, 1, map);

	if (err)
		return err;
	return ring_attach(ring, map->addr, GRANT_PAGE_SIZE, slot_size);
}

static int map_rings(struct vif_queue *q)
{
	int err = map_ring(q, q->front.tx_ref, NETIF_TX_SLOT_SIZE, &q->tx.map, &q->tx.ring);

	q->why = "the transmit ring cannot be attached";
	if (err)
		return err;
	q->why = "the receive ring cannot be attached";
	return map_ring(q, q->front.rx_ref, NETIF_RX_SLOT_SIZE, &q->rx.map, &q->rx.ring);
}

/* Without a file all works but a death in the middle of answering: no reason to refuse a guest. */
static int use_undo(struct vif_queue *q)
{
	void *addr;
	int err;

	if (q->undo_fd < 0)
		return 0;
	err = statefile_map(q->undo_fd, sizeof(*q->undo), &addr);
	statefile_close(&q->undo_fd);
	if (err)
		return err;
	q->undo = addr;
	err = ring_use_undo(&q->tx.ring, &q->undo->tx);
	return err ? err : ring_use_undo(&q->rx.ring, &q->undo->rx);
}

static int bind_ports(struct vif_queue *q)
{
	int err = worker_bind(q->worker, &q->tx_port, &q->queue, q->id.domid, q->front.tx_port);

	q->why = "the event channel cannot be bound";
	if (err || !q->front.rx_port)
		return err;
	return worker_bind(q->worker, &q->rx_port, &q->queue, q->id.domid, q->front.rx_port);
}

/* After a restart a notification may have been lost between publishing and sending. */
static void wake_frontend(struct vif_queue *q)
{
	worker_notify(q->worker, &q->tx_port);
	worker_notify(q->worker, &q->rx_port);
}

static void queue_close(struct vif_queue *q)
{
	q->watch = loop_remove(q->worker->loop, q->watch);
	loop_timer_cancel(&q->tx.timer);
	worker_unbind(q->worker, &q->tx_port);
	worker_unbind(q->worker, &q->rx_port);
	worker_detach(&q->queue);
	vif_rx_close(q);
	q->tx.ring = (struct ring){ 0 };
	q->rx.ring = (struct ring){ 0 };
	grant_unmap(q->worker->xgt, &q->tx.map);
	grant_unmap(q->worker->xgt, &q->rx.map);
	statefile_unmap(q->undo, sizeof(*q->undo));
	q->undo = NULL;
	statefile_close(&q->undo_fd);
}

static int queue_open(struct vif_queue *q)
{
	int err = map_rings(q);

	if (!err) {
		err = use_undo(q);
		q->why = err ? "what an earlier pvbackd left of its rings is damaged" : q->why;
	}
	if (!err)
		err = vif_rx_open(q);
	if (err)
		return err;
	worker_attach(q->worker, &q->queue, &queue_ops);
	err = bind_ports(q);
	if (err)
		return err;
	if (!q->resume)
		tap_drain(q->fd, 1024); /* what was meant for whoever was here before */
	q->watch = loop_add(q->worker->loop, q->fd, EPOLLIN | EPOLLET, vif_rx_tap_event, q);
	if (!q->watch) {
		q->why = "the tap cannot be watched";
		return -errno;
	}
	if (q->resume)
		wake_frontend(q);
	queue_mark(&q->queue); /* there may be requests already */
	return 0;
}

/* --- between the threads --- */

static void started_run(struct loop_task *task)
{
	struct vif_queue *q = queue_of(task, task);

	q->started = true;
	vif_queue_started(q);
}

/* Not told by q->err: a queue that lives may break, and write it, before the answer is read. */
static void refused_run(struct loop_task *task)
{
	vif_queue_started(queue_of(task, task));
}

static void start_run(struct loop_task *task)
{
	struct vif_queue *q = queue_of(task, task);

	q->pool = q->worker->plane_ctx[PLANE_NET];
	q->err = queue_open(q);
	if (q->err)
		queue_close(q);
	trace(q->trace, TRACE_GRANT, &q->id,
	      "attach tx_ref=%" PRIu32 " rx_ref=%" PRIu32 " tx_port=%" PRIu32 " rx_port=%" PRIu32
	      " result=%d",
	      q->front.tx_ref, q->front.rx_ref, q->front.tx_port, q->front.rx_port, q->err);
	task->run = q->err ? refused_run : started_run;
	loop_post(q->control, task);
}

void vif_queue_start(struct vif_queue *q)
{
	q->task.run = start_run;
	loop_post(q->worker->loop, &q->task);
}

static void stopped_run(struct loop_task *task)
{
	vif_queue_stopped(queue_of(task, task));
}

static void stop_run(struct loop_task *task)
{
	struct vif_queue *q = queue_of(task, task);

	queue_close(q);
	trace(q->trace, TRACE_GRANT, &q->id, "detach");
	task->run = stopped_run;
	loop_post(q->control, task);
}

void vif_queue_stop(struct vif_queue *q)
{
	q->task.run = stop_run;
	loop_post(q->worker->loop, &q->task);
}

static void synced_run(struct loop_task *task)
{
	vif_queue_synced(queue_of(task, sync_task));
}

static void sync_run(struct loop_task *task)
{
	struct vif_queue *q = queue_of(task, sync_task);

	task->run = synced_run;
	loop_post(q->control, task);
}

void vif_queue_sync(struct vif_queue *q)
{
	q->sync_task.run = sync_run;
	loop_post(q->worker->loop, &q->sync_task);
}

static void broken_run(struct loop_task *task)
{
	vif_queue_broke(queue_of(task, broken_task));
}

void vif_queue_break(struct vif_queue *q, int err, const char *why)
{
	if (q->broken)
		return;
	q->broken = true;
	q->err = err;
	q->why = why;
	/* Nobody reads it any more, and each new frame would wake us. */
	q->watch = loop_remove(q->worker->loop, q->watch);
	loop_timer_cancel(&q->tx.timer);
	loop_timer_cancel(&q->rx.timer);
	trace(q->trace, TRACE_RING, &q->id, "broken why=\"%s\"", why);
	q->broken_task.run = broken_run;
	loop_post(q->control, &q->broken_task);
}

static void stall_run(struct loop_task *task)
{
	struct vif_queue *q = queue_of(task, stall_task);

	atomic_store(&q->stall_posted, false);
	vif_queue_stall_changed(q, atomic_load(&q->stall_wanted));
}

void vif_queue_stall(struct vif_queue *q, bool stalled)
{
	atomic_store(&q->stall_wanted, stalled);
	if (atomic_exchange(&q->stall_posted, true))
		return;
	q->stall_task.run = stall_run;
	loop_post(q->control, &q->stall_task);
}

/* --- what a worker keeps for all its network queues --- */

static int plane_open(struct worker *worker, void **ret_ctx)
{
	struct vif_pool *pool = vif_pool_new();

	(void)worker;
	if (!pool)
		return -ENOMEM;
	*ret_ctx = pool;
	return 0;
}

static void plane_close(void *ctx)
{
	vif_pool_free(ctx);
}

/* Between act and give: frames from guests are in the kernel, earlier ones for guests are copied. */
static void plane_submit(void *ctx)
{
	vif_pool_reset(ctx);
}

const struct plane vif_plane = {
	.open = plane_open,
	.close = plane_close,
	.submit = plane_submit,
};
