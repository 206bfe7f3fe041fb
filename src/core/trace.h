/* SPDX-License-Identifier: MIT */
/*
 * --trace-rings: one line per ring event, `key=value`, never payload bytes.
 *
 *   trace KIND DOMID/DEVID/QUEUE EVENT key=value ...
 *
 * The format is promised in pvbackd-counters(7) and pinned by tests/unit/test-trace.c.
 * A queue asks trace_mask() once, when it is attached; when tracing is off the
 * data path pays one branch on a cached zero.
 */
#ifndef PVB_TRACE_H
#define PVB_TRACE_H

#include <stdbool.h>
#include <stdint.h>

enum trace_category {
	TRACE_RING = 1 << 0,  /* shared and private indices, notifications */
	TRACE_NET = 1 << 1,   /* frames */
	TRACE_BLK = 1 << 2,   /* block requests */
	TRACE_BUS = 1 << 3,   /* xenbus states */
	TRACE_GRANT = 1 << 4, /* copy batches, maps */
	TRACE_ALL = (1 << 5) - 1,
};

struct trace_filter {
	unsigned int categories; /* 0: tracing is off */
	bool one_domain, one_device;
	uint32_t domid, devid;
};

/*
 * Read the argument of --trace-rings: NULL or "" for everything, else a list
 * of categories, optionally followed by @DOMID or @DOMID/DEVID.
 * Returns 0, or -EINVAL when the text means nothing.
 */
int trace_parse(const char *text, struct trace_filter *ret);

/*
 * Set what trace_mask() returns from now on, and who has chosen it: NULL for the configuration. Control thread only, as
 * trace_mask().
 */
void trace_set(const struct trace_filter *filter, const void *owner);
bool trace_is_of(const void *owner);

/* The categories that are on for this device: 0 when tracing is off. */
unsigned int trace_mask(uint32_t domid, uint32_t devid);

/* What a trace line is about. */
struct trace_id {
	const char *kind; /* borrowed: "vbd", "vif" */
	uint32_t domid;
	uint32_t devid;
	unsigned int queue;
};

/* One line, written in one piece. Use through the macro, so that arguments cost nothing when off. */
void trace_line(const struct trace_id *id, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define trace(mask, category, id, ...)                                                             \
	do {                                                                                       \
		if (__builtin_expect((mask) & (unsigned int)(category), 0))                        \
			trace_line((id), __VA_ARGS__);                                             \
	} while (0)

#endif
