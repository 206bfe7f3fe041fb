/* SPDX-License-Identifier: MIT */
/* The last lines of the log, in memory, for pvbackctl events. */
#ifndef PVB_EVENTS_H
#define PVB_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/log.h"

#define EVENTS_MAX 256u

struct event {
	uint64_t time_ns; /* CLOCK_REALTIME */
	enum log_level level;
	char who[32];       /* the device's name; "": it is about none */
	const char *notice; /* a literal; NULL: none */
	char text[224];
};

/* A listener of log.h. Any thread. */
void events_hear(enum log_level level, const char *text, size_t who_len, const char *notice);

/* Copy all events that are remembered, the oldest first, into an array of EVENTS_MAX. Returns how many. */
unsigned int events_copy(struct event *ret);

#endif
