/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/container_of.h"
#include "netback/vif_ctrl.h"

static struct vif_ctrl *ctrl_of_queue(struct queue *queue)
{
	return (struct vif_ctrl *)(void *)queue; /* its first member */
}

/* --- the parts of a pass --- */

static void break_it(struct vif_ctrl *c)
{
	c->broken = true;
	ring_part_broke(&c->part, -EPROTO, "impossible request index in the control ring");
}

static void take_job(struct vif_ctrl *c, struct vif_ctrl_job *job)
{
	struct grant_copy copy = { .direction = GRANT_FROM_GUEST,
				   .domid = c->id.domid,
				   .local = job->copied };

	ring_copy(&c->ring, 0, &job->request, sizeof(job->request));
	ring_consume(&c->ring, 1);
	job->copy_len = hash_copy_len(&job->request);
	copy.ref = job->request.data[0];
	copy.len = job->copy_len;
	job->copy = copy.len ? grant_batch_add(&c->part.worker->copies, &copy) : -1;
}

static void ctrl_take(struct queue *queue)
{
	struct vif_ctrl *c = ctrl_of_queue(queue);
	uint32_t waiting;

	c->more = false;
	if (c->broken)
		return;
	if (ring_peek(&c->ring, &waiting)) {
		break_it(c);
		return;
	}
	c->more = waiting > VIF_CTRL_BATCH;
	for (; waiting && c->nr_jobs < VIF_CTRL_BATCH; waiting--)
		take_job(c, &c->jobs[c->nr_jobs++]);
}

static void changed_run(struct loop_task *task)
{
	struct vif_ctrl *c = container_of(task, struct vif_ctrl, changed_task);

	atomic_store(&c->changed_posted, false);
	vif_ctrl_changed(c);
}

static void tell_of_change(struct vif_ctrl *c)
{
	if (atomic_exchange(&c->changed_posted, true))
		return;
	c->changed_task.run = changed_run;
	loop_post(c->part.set->home, &c->changed_task);
}

static void carry_out(struct vif_ctrl *c, const struct vif_ctrl_job *job,
		      struct netctrl_response *response)
{
	bool copied =
		job->copy >= 0 && grant_batch_ok(&c->part.worker->copies, (uint32_t)job->copy);

	*response = (struct netctrl_response){ .id = job->request.id, .type = job->request.type };
	response->status = hash_request(&c->shared->kept->hash, &job->request,
					copied ? job->copied : NULL, c->nr_queues, &response->data);
	c->nr_requests++;
	c->nr_refused += response->status != NETCTRL_SUCCESS;
	trace(c->trace, TRACE_NET, &c->id,
	      "ctrl type=%u data0=%" PRIu32 " data1=%" PRIu32 " data2=%" PRIu32 " status=%" PRIu32,
	      job->request.type, job->request.data[0], job->request.data[1], job->request.data[2],
	      response->status);
}

/* In the ring's order: a table's size comes before its entries. */
static void carry_out_all(struct vif_ctrl *c)
{
	const struct message_hash *now = &c->shared->kept->hash, before = *now;
	bool changed;

	vif_shared_lock_hash(c->shared);
	for (; c->nr_done < c->nr_jobs; c->nr_done++)
		carry_out(c, &c->jobs[c->nr_done], &c->responses[c->nr_done]);
	changed = memcmp(&before, now, sizeof(before)) != 0;
	vif_shared_unlock_hash(c->shared, changed);
	if (changed)
		tell_of_change(c);
}

static void ctrl_act(struct queue *queue)
{
	struct vif_ctrl *c = ctrl_of_queue(queue);

	if (c->nr_done < c->nr_jobs)
		carry_out_all(c);
}

static void ctrl_give(struct queue *queue)
{
	(void)queue;
}

static bool ctrl_answer(struct queue *queue)
{
	struct vif_ctrl *c = ctrl_of_queue(queue);

	if (c->broken || queue->halted)
		return false;
	for (uint32_t i = 0; i < c->nr_done; i++)
		ring_put(&c->ring, &c->responses[i], sizeof(c->responses[i]));
	c->nr_jobs = c->nr_done = 0;
	if (ring_publish(&c->ring))
		worker_notify(c->part.worker, &c->port);
	return c->more || ring_rearm(&c->ring);
}

static void ctrl_dump(struct queue *queue, FILE *out)
{
	const struct vif_ctrl *c = ctrl_of_queue(queue);
	const struct message_hash *hash = &c->shared->kept->hash;
	struct ring_indices at;

	ring_indices(&c->ring, &at);
	fprintf(out,
		"vif %" PRIu32 "/%" PRIu32 "/ctrl worker=%u broken=%d req_prod=%" PRIu32
		" rsp_prod=%" PRIu32 " requests=%" PRIu64 " refused=%" PRIu64
		" hash_algorithm=%" PRIu32 " hash_types=%" PRIu32 " hash_mapping_size=%" PRIu32
		"\n",
		c->id.domid, c->id.devid, c->part.worker->index, c->broken, at.req_prod,
		at.rsp_prod, c->nr_requests, c->nr_refused, hash->algorithm, hash->types,
		hash->mapping_size);
}

static const struct queue_ops ctrl_ops = {
	.plane = PLANE_NET,
	.take = ctrl_take,
	.act = ctrl_act,
	.give = ctrl_give,
	.answer = ctrl_answer,
	.dump = ctrl_dump,
};

/* --- attach and detach, on the worker --- */

static int map_ctrl(struct vif_ctrl *c)
{
	int err = grant_map(c->part.worker->xgt, c->id.domid, &c->ref, 1, &c->map);

	c->part.why = "the control ring cannot be attached";
	if (!err)
		err = ring_attach(&c->ring, c->map.addr, GRANT_PAGE_SIZE, NETCTRL_SLOT_SIZE);
	if (err)
		return err;
	c->part.why = "what an earlier pvbackd left of the control ring is damaged";
	return ring_use_undo(&c->ring, &c->undo->tx);
}

static int ctrl_open(struct ring_part *part)
{
	struct vif_ctrl *c = ctrl_of_queue(&part->queue);
	int err = map_ctrl(c);

	if (err)
		return err;
	worker_attach(part->worker, &part->queue, &ctrl_ops);
	part->why = "the control ring's event channel cannot be bound";
	err = worker_bind(part->worker, &c->port, &part->queue, c->id.domid, c->remote_port);
	if (err)
		return err;
	worker_notify(part->worker,
		      &c->port); /* the notification of an answer may have been lost */
	queue_mark(&part->queue);
	return 0;
}

static void ctrl_close(struct ring_part *part)
{
	struct vif_ctrl *c = ctrl_of_queue(&part->queue);

	worker_unbind(part->worker, &c->port);
	worker_detach(&part->queue);
	c->ring = (struct ring){ 0 };
	grant_unmap(part->worker->xgt, &c->map);
}

const struct ring_ops vif_ctrl_ops = { .open = ctrl_open, .close = ctrl_close };
