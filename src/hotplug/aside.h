/* SPDX-License-Identifier: MIT */
/*
 * Calls that may never return. If storage's server is gone, a call to it may block for ever, and even SIGKILL does not
 * end it. So a child asks the storage, and is left behind when the time is over.
 */
#ifndef PVB_HOTPLUG_ASIDE_H
#define PVB_HOTPLUG_ASIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "hotplug/sharing.h"

/* libxl kills a script after 40 s without saying why. All waits together take less. */
#define HOTPLUG_LIMIT_S 34

/* How many seconds to wait for one thing: at most `most`, at least one. The time counts from the first call on. */
unsigned int hotplug_seconds_left(unsigned int most);

/*
 * Call run() for each of `nr` items of `size` bytes, each in its own child without open files, all at once. The items
 * lie in memory of hotplug_aside_alloc(). Returns when all have ended, or after `limit_s`. run() must note in its item
 * that it is done.
 */
void hotplug_aside(void (*run)(void *item), void *items, size_t size, size_t nr,
		   unsigned int limit_s);
/* Zeros, shared with children. NULL when there is no memory. */
void *hotplug_aside_alloc(size_t size, size_t nr);
void hotplug_aside_free(void *items, size_t size, size_t nr);

/* What files and devices some paths name: asked for once, all together. Zeros are an empty book. */
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
 * What `path` is, or with `in_loop` the file in the loop device `path`. 0. -EINPROGRESS when that was not asked yet: it
 * is noted, so call hotplug_book_ask() and try again. -ETIMEDOUT when there was no answer. Else what stat(2) says, or
 * -ENOTBLK for something that is neither a block device nor a regular file.
 */
int hotplug_book_look(struct hotplug_book *book, const char *path, bool in_loop,
		      struct hotplug_identity *ret);
/* Ask for all that is noted. If storage does not answer, this takes some seconds: never call it under a lock. */
void hotplug_book_ask(struct hotplug_book *book);
void hotplug_book_free(struct hotplug_book *book);

#endif
