/* SPDX-License-Identifier: MIT */
/*
 * The figures of all devices as text for Prometheus: OpenMetrics 1.0, or the older text format 0.0.4. These differ in the
 * names of counters' families and in the last line. Names and units follow Prometheus' conventions: base units (seconds,
 * bytes), and counters end in _total.
 */
#ifndef PVB_METRICS_H
#define PVB_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/stats.h"

enum metrics_format { METRICS_TEXT, METRICS_OPEN };

enum metrics_type {
	METRICS_COUNTER,
	METRICS_GAUGE,
	METRICS_HISTOGRAM,
	METRICS_INFO,
};

struct metrics {
	FILE *out; /* borrowed */
	enum metrics_format format;
};

/* Begin a family: `name` without _total or _info. */
void metrics_family(const struct metrics *metrics, const char *name, enum metrics_type type,
		    const char *help);

struct metrics_label {
	const char *name; /* NULL ends a list */
	const char *value;
};

/* Write a line of the family: of a counter, a gauge or an info. */
void metrics_sample(const struct metrics *metrics, const char *name, enum metrics_type type,
		    const struct metrics_label *labels, uint64_t value);
/* Likewise, of a time in ns. */
void metrics_seconds(const struct metrics *metrics, const char *name, enum metrics_type type,
		     const struct metrics_label *labels, uint64_t ns);

/* A device whose rings are served. All borrowed. */
struct metrics_device {
	const char *domain, *device; /* "web", "xvda" */
	const char *kind;            /* "vbd", "vbd3", "vif" */
	const struct stats_view *figures;
};

/* Write all metrics of these devices. Each family comes once, with the lines of all devices. */
void metrics_devices(const struct metrics *metrics, const struct metrics_device *devices, size_t nr,
		     uint64_t now_ns);

/* Whether there is a metric for this figure of that list. */
bool metrics_has(const char *list, const char *figure);

/* The last line of OpenMetrics. */
void metrics_end(const struct metrics *metrics);

#endif
