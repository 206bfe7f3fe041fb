/* SPDX-License-Identifier: MIT */
/*
 * A thread for calls that a medium may block for any time: open, close, size, discard. The loops that serve all devices
 * never make such calls. The thread exists only while there are calls. It makes them one at a time, in order. A call that
 * hangs blocks those behind it, so each disk has its own thread.
 */
#ifndef PVB_SLOW_H
#define PVB_SLOW_H

#include <stdbool.h>

#include "core/loop.h"

struct slow;

/*
 * Embedded in the struct that waits for it, which must stay until `done` has run. `work` runs in the thread, then `done`
 * in the loop `home`.
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

/* Any thread. 0, and `done` follows; or -errno when no thread can be started, and nothing follows. */
int slow_run(struct slow *slow, struct slow_request *req);
/* Take the request back. True if the thread had not begun with it: then nothing follows. */
bool slow_recall(struct slow *slow, struct slow_request *req);

/*
 * Close control's descriptor of a medium. The file system may want to write data first, and hang. So it is done in a thread
 * that nobody waits for, if one can be started. Sets *fd to -1, which is fine.
 */
void slow_close(int *fd);

#endif
