/* SPDX-License-Identifier: MIT */
/*
 * What may wait for ever: storage whose server is gone does not even let its asker be killed. So it is asked in
 * a child, and the child is left behind when time is up.
 */
#ifndef PVB_HOTPLUG_ASIDE_H
#define PVB_HOTPLUG_ASIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "hotplug/sharing.h"

/* libxl kills a script after 40 s without saying why: all that we wait for together takes less. */
#define HOTPLUG_LIMIT_S 34

/* How many seconds may be waited for one thing: at most `most`, at least one. Counts from the first call on. */
unsigned int hotplug_seconds_left(unsigned int most);

/*
 * Call run() for each of `nr` items of `size` bytes, which lie in memory of hotplug_aside_alloc(), each in a
 * child of its own without open files, all at once. Returns when all have ended or after `limit_s`; an item
 * is to say itself that it is done.
 */
void hotplug_aside(void (*run)(void *item), void *items, size_t size, size_t nr,
		   unsigned int limit_s);
/* Zeros, shared with children. NULL when there is no memory. */
void *hotplug_aside_alloc(size_t size, size_t nr);
void hotplug_aside_free(void *items, size_t size, size_t nr);

/* Which files and devices paths are: asked for once, all together. Zeros are an empty book. */
struct hotplug_asked {
	char path[PATH_MAX];
	bool in_loop;
	bool done; /* there is an answer, or there will be none */
	int err;
	struct hotplug_identity identity;
};

struct hotplug_book {
	struct hotplug_asked *asked; /* owned */
	size_t nr;
};

/*
 * What `path` is, or with `in_loop` the file in the loop device `path`. 0; -EINPROGRESS when that has not been
 * asked yet: it is noted for hotplug_book_ask(), then try again; -ETIMEDOUT when there was no answer; else
 * what stat(2) says, or -ENOTBLK for something that is neither a block device nor a regular file.
 */
int hotplug_book_look(struct hotplug_book *book, const char *path, bool in_loop,
		      struct hotplug_identity *ret);
/* Ask for all that is noted. Takes some seconds when storage does not answer: never under a lock. */
void hotplug_book_ask(struct hotplug_book *book);
void hotplug_book_free(struct hotplug_book *book);

#endif
