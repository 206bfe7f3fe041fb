/* SPDX-License-Identifier: MIT */
/*
 * A thread beside a worker for the calls that have no asynchronous form
 * (discard). Started at the first request; one at a time, in order.
 */
#ifndef PVB_SLOW_H
#define PVB_SLOW_H

#include "loop.h"

struct slow;

/* Embedded in whatever waits for it. `work` runs in the thread, then `done` in the worker's loop. */
struct slow_request {
	struct loop_task task; /* first */
	struct slow *slow;     /* borrowed */
	void (*work)(struct slow_request *req);
	void (*done)(struct slow_request *req);
};

/* Results go to `home`, the worker's loop, borrowed. NULL when there is no memory. */
struct slow *slow_new(struct loop *home);
/* Nothing may be under way. NULL is fine; returns NULL. */
struct slow *slow_free(struct slow *slow);

/* 0, with `done` to follow; or -errno when there can be no thread, and nothing follows. */
int slow_run(struct slow *slow, struct slow_request *req);

#endif
