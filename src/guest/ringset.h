/* SPDX-License-Identifier: MIT */
/*
 * The life that the queues of one device share: all are started on their workers, and the device is there when each of
 * them is; the first that cannot be started takes the others back. All are stopped, and each ends when it has nothing
 * in flight. A queue that meets an impossible ring is reported once, and not before all have started.
 *
 * The set belongs to the loop of the guest (`home`); what runs on a worker is said.
 */
#ifndef PVB_RINGSET_H
#define PVB_RINGSET_H

#include <stdbool.h>

#include "core/loop.h"
#include "guest/worker.h"

#define RINGSET_MAX_PARTS 9u

struct ring_part;
struct ringset;

struct ring_ops {
	/* On the worker: take the ring up. 0; or -errno with part->why, and close() follows. */
	int (*open)(struct ring_part *part);
	/*
	 * On the worker: nothing more is to be taken; ring_part_drained() when nothing is in flight, now or later. NULL:
	 * nothing ever is. What part->set->keep says holds.
	 */
	void (*stop)(struct ring_part *part);
	/* On the worker, in each ringset_sync(): see what was written before. May be NULL. */
	void (*sync)(struct ring_part *part);
	/* On the worker: let go of it, also when half open. No callback of the queue runs any more afterwards. */
	void (*close)(struct ring_part *part);
};

/* Embedded first in a queue. */
struct ring_part {
	struct queue queue;         /* first */
	struct worker *worker;      /* borrowed; set before ringset_add() */
	const struct ring_ops *ops; /* borrowed */
	struct ringset *set;        /* borrowed */
	const char *why;            /* borrowed, static text: of open()'s failure, or of breaking */
	int err;                    /* of open() */
	int broke_err;
	/* private */
	bool started, drained;
	atomic_bool broke;
	struct loop_task task, sync_task, broke_task;
};

struct ringset {
	struct loop *home; /* borrowed */
	void *user;        /* borrowed */
	/* 0, or -errno of the first queue that failed, with words, and nothing is started. */
	void (*started)(struct ringset *set, int err, const char *why);
	void (*stopped)(struct ringset *set);
	/* An impossible ring; after started(), once. */
	void (*broke)(struct ringset *set, int err, const char *why);
	/* ringset_sync() */
	void (*synced)(struct ringset *set);
	bool keep; /* constant from ringset_stop() on */
	/* private */
	struct ring_part *parts[RINGSET_MAX_PARTS];
	unsigned int nr_parts, nr_waiting, nr_syncing;
	enum { RINGSET_IDLE, RINGSET_STARTING, RINGSET_STARTED, RINGSET_STOPPING } phase;
	bool sync_again, broke_said;
	int err;
	char why[160];
};

/* All zero but the callbacks, then this for each queue, and ringset_start(). */
void ringset_add(struct ringset *set, struct ring_part *part, const struct ring_ops *ops);
/* started() follows. */
void ringset_start(struct ringset *set);
/* stopped() follows. For a set that has started. `keep`: what the medium does not have is left to a later life. */
void ringset_stop(struct ringset *set, bool keep);
/* synced() follows when every worker has come by between two passes: each has seen what was written before. */
void ringset_sync(struct ringset *set);
/* *queue->domain_halted has changed. */
void ringset_halt_changed(struct ringset *set);

/* --- on the worker --- */

/* Nothing is in flight: close() follows, in a task of its own. Idempotent. */
void ring_part_drained(struct ring_part *part);
/* The ring is impossible, and is not touched again by whoever calls this: broke() follows, once. `why`: static text. */
void ring_part_broke(struct ring_part *part, int err, const char *why);

#endif
