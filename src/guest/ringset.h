/* SPDX-License-Identifier: MIT */
/*
 * Starts and stops all queues of a device together. All are started on their workers; if one fails, the others are closed
 * again. All are stopped, and each closes when it has nothing in flight. If a queue finds its ring impossible this is
 * reported once, and only after all have started.
 *
 * The set belongs to the loop of the guest (`home`). Functions that run on a worker say so.
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
	/* On the worker: begin with the ring. 0; or -errno with part->why, and close() follows. */
	int (*open)(struct ring_part *part);
	/*
	 * On the worker: take nothing more, and call ring_part_drained() when nothing is in flight, now or later. part->set->keep
	 * says whether unfinished requests are kept. NULL: nothing is ever in flight.
	 */
	void (*stop)(struct ring_part *part);
	/* On the worker, in each ringset_sync(): see what was written before. May be NULL. */
	void (*sync)(struct ring_part *part);
	/* On the worker: release the ring, also when open() has failed. No callback of the queue runs afterwards. */
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

/* Set the callbacks, all else zero. Then add each queue, and call ringset_start(). */
void ringset_add(struct ringset *set, struct ring_part *part, const struct ring_ops *ops);
/* started() follows. */
void ringset_start(struct ringset *set);
/* Stop a set that has started; stopped() follows. `keep`: requests that the medium does not have yet are left to a later life. */
void ringset_stop(struct ringset *set, bool keep);
/* synced() follows when each worker has been between two passes. Then each has seen what was written before this call. */
void ringset_sync(struct ringset *set);
/* *queue->domain_halted has changed. */
void ringset_halt_changed(struct ringset *set);

/* --- on the worker --- */

/* Call when nothing is in flight. close() follows, as a task of its own. Idempotent. */
void ring_part_drained(struct ring_part *part);
/* The ring is impossible. The caller does not touch it again. broke() follows, once. `why`: static text. */
void ring_part_broke(struct ring_part *part, int err, const char *why);

#endif
