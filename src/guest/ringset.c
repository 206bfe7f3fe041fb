/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/container_of.h"
#include "guest/ringset.h"

static struct ring_part *part_of(struct loop_task *task)
{
	return container_of(task, struct ring_part, task);
}

static void post_home(struct ring_part *part, void (*run)(struct loop_task *task))
{
	part->task.run = run;
	loop_post(part->set->home, &part->task);
}

static void post_worker(struct ring_part *part, void (*run)(struct loop_task *task))
{
	part->task.run = run;
	loop_post(part->worker->loop, &part->task);
}

void ringset_add(struct ringset *set, struct ring_part *part, const struct ring_ops *ops)
{
	part->set = set;
	part->ops = ops;
	set->parts[set->nr_parts++] = part;
}

/* --- an impossible ring --- */

static void say_broke(struct ringset *set)
{
	if (set->phase != RINGSET_STARTED || set->broke_said)
		return;
	for (unsigned int i = 0; i < set->nr_parts; i++) {
		const struct ring_part *part = set->parts[i];

		if (!atomic_load(&part->broke))
			continue;
		set->broke_said = true;
		set->broke(set, part->broke_err, part->why);
		return;
	}
}

static void run_broke(struct loop_task *task)
{
	say_broke(container_of(task, struct ring_part, broke_task)->set);
}

void ring_part_broke(struct ring_part *part, int err, const char *why)
{
	if (atomic_load(&part->broke))
		return;
	part->broke_err = err;
	part->why = why;
	atomic_store(&part->broke, true);
	part->broke_task.run = run_broke;
	loop_post(part->set->home, &part->broke_task);
}

/* --- the end --- */

static void all_stopped(struct ringset *set)
{
	set->phase = RINGSET_IDLE;
	if (set->err)
		set->started(set, set->err, set->why);
	else
		set->stopped(set);
}

static void run_stopped(struct loop_task *task)
{
	struct ringset *set = part_of(task)->set;

	if (--set->nr_waiting == 0)
		all_stopped(set);
}

static void run_close(struct loop_task *task)
{
	struct ring_part *part = part_of(task);

	part->ops->close(part);
	post_home(part, run_stopped);
}

/* Runs as a task of its own, because a pass may be using the queue at the moment. */
void ring_part_drained(struct ring_part *part)
{
	if (part->drained)
		return;
	part->drained = true;
	post_worker(part, run_close);
}

static void run_stop(struct loop_task *task)
{
	struct ring_part *part = part_of(task);

	if (part->ops->stop)
		part->ops->stop(part);
	else
		ring_part_drained(part);
}

/* Those that have started. */
static void stop_parts(struct ringset *set)
{
	set->phase = RINGSET_STOPPING;
	set->nr_waiting = 0;
	for (unsigned int i = 0; i < set->nr_parts; i++) {
		if (!set->parts[i]->started)
			continue;
		set->nr_waiting++;
		set->parts[i]->drained = false;
		post_worker(set->parts[i], run_stop);
	}
	if (set->nr_waiting == 0)
		all_stopped(set);
}

void ringset_stop(struct ringset *set, bool keep)
{
	set->keep = keep;
	set->err = 0;
	stop_parts(set);
}

/* --- the start --- */

static void all_started(struct ringset *set)
{
	if (set->err) {
		stop_parts(set);
		return;
	}
	set->phase = RINGSET_STARTED;
	set->started(set, 0, "");
	say_broke(set);
}

static void run_started(struct loop_task *task)
{
	struct ring_part *part = part_of(task);
	struct ringset *set = part->set;

	part->started = !part->err;
	if (part->err && !set->err) {
		set->err = part->err;
		snprintf(set->why, sizeof(set->why), "%s",
			 part->why ? part->why : strerror(-part->err));
	}
	if (--set->nr_waiting == 0)
		all_started(set);
}

static void run_start(struct loop_task *task)
{
	struct ring_part *part = part_of(task);

	part->err = part->ops->open(part);
	if (part->err)
		part->ops->close(part);
	post_home(part, run_started);
}

void ringset_start(struct ringset *set)
{
	set->phase = RINGSET_STARTING;
	set->err = 0;
	set->broke_said = false;
	set->nr_waiting = set->nr_parts;
	for (unsigned int i = 0; i < set->nr_parts; i++)
		post_worker(set->parts[i], run_start);
}

/* --- while they run --- */

static void sync(struct ringset *set);

static void run_synced(struct loop_task *task)
{
	struct ringset *set = container_of(task, struct ring_part, sync_task)->set;

	if (--set->nr_syncing)
		return;
	if (set->sync_again && set->phase != RINGSET_STOPPING)
		sync(set);
	else
		set->synced(set);
}

static void run_sync(struct loop_task *task)
{
	struct ring_part *part = container_of(task, struct ring_part, sync_task);

	if (part->ops->sync)
		part->ops->sync(part);
	task->run = run_synced;
	loop_post(part->set->home, task);
}

static void sync(struct ringset *set)
{
	set->sync_again = false;
	set->nr_syncing = set->nr_parts;
	for (unsigned int i = 0; i < set->nr_parts; i++) {
		set->parts[i]->sync_task.run = run_sync;
		loop_post(set->parts[i]->worker->loop, &set->parts[i]->sync_task);
	}
}

/* If something was written after the last round had begun, another round is needed. */
void ringset_sync(struct ringset *set)
{
	if (set->nr_syncing)
		set->sync_again = true;
	else
		sync(set);
}

void ringset_halt_changed(struct ringset *set)
{
	for (unsigned int i = 0; i < set->nr_parts; i++)
		queue_halt_changed(&set->parts[i]->queue, set->parts[i]->worker);
}
