/* SPDX-License-Identifier: MIT */
/* The last lines of the log, in memory, for pvbackctl events. */
#ifndef PVB_EVENTS_H
#define PVB_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/log.h"

#define EVENTS_MAX 256u

struct event {
	uint64_t time_ns; /* CLOCK_REALTIME */
	enum log_level level;
	char who[32];       /* the device's name; "": no device */
	const char *notice; /* a literal; NULL: none */
	char text[224];
};

/* From now on remember the lines of the log, of any thread, except for debug lines and dumps. */
void events_start(void);

/*
 * Copy all remembered events, the oldest first, into an array of EVENTS_MAX. Returns how many. None is missing since
 * *ret_since_ns (CLOCK_REALTIME). *ret_is_start: that is when events_start() was called; else older ones have been
 * forgotten.
 */
unsigned int events_copy(struct event *ret, uint64_t *ret_since_ns, bool *ret_is_start);

#endif
