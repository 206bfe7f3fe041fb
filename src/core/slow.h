/* SPDX-License-Identifier: MIT */
/*
 * A thread for the calls that a medium may hold up for any time: opening and closing, its size, discard. The loops
 * that serve everybody never make them. There is a thread only while it is of use; calls are made one at a time,
 * in order. One that hangs holds up those behind it, so each disk has its own.
 */
#ifndef PVB_SLOW_H
#define PVB_SLOW_H

#include <stdbool.h>

#include "core/loop.h"

struct slow;

/*
 * Embedded in whatever waits for it, which stays until `done` has run. `work` runs in the thread, then `done` in
 * the loop `home`.
 */
struct slow_request {
	struct loop_task task; /* first */
	struct loop *home;     /* borrowed */
	void (*work)(struct slow_request *req);
	void (*done)(struct slow_request *req);
};

/* NULL when there is no memory. */
struct slow *slow_new(void);
/* Nothing may be waiting. NULL is fine; returns NULL. */
struct slow *slow_free(struct slow *slow);

/* Any thread: 0, with `done` to follow; or -errno when there can be no thread, and nothing follows. */
int slow_run(struct slow *slow, struct slow_request *req);
/* Take it back, if the thread has not begun with it: true, and nothing follows. */
bool slow_recall(struct slow *slow, struct slow_request *req);

/*
 * Close a descriptor that control has of a medium: the file system may want to write what it has, and not answer. In a
 * thread that nobody waits for, if there can be one. -1 is fine; *fd is -1 then.
 */
void slow_close(int *fd);

#endif
