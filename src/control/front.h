/* SPDX-License-Identifier: MIT */
/*
 * Reads a frontend's keys in xenstore. Every value is hostile: it is read once, has a bounded length, must be plain digits
 * and in its range. The reader keeps the first problem, in words for the admin, and reads nothing after it. So a caller
 * reads all keys and looks at `err` once. Control thread.
 */
#ifndef PVB_FRONT_H
#define PVB_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/device.h"

struct front_reader {
	struct device *dev;       /* borrowed */
	char dir[STORE_PATH_MAX]; /* the frontend's directory, or its queue-N */
	int err;                  /* 0, or -errno of the first problem */
	char why[160];            /* what the problem is */
};

void front_open(struct front_reader *r, struct device *dev);
/* From now on the keys of queue `index`. */
void front_enter_queue(struct front_reader *r, unsigned int index);

/* Whether the key is there, whatever it says. */
bool front_has(const struct front_reader *r, const char *key);
/* A key that must be there. A number from min to max, also after an error. */
uint32_t front_number(struct front_reader *r, const char *key, uint32_t min, uint32_t max);
/* A key that may be missing: `fallback` then. */
uint32_t front_optional(struct front_reader *r, const char *key, uint32_t min, uint32_t max,
			uint32_t fallback);
/* A key that may be missing, and is 0 or 1. */
bool front_flag(struct front_reader *r, const char *key, bool fallback);
/* A short text. False when the key is missing. */
bool front_text(struct front_reader *r, const char *key, char *buf, size_t size);

/* The caller has found a problem in what was read. Kept if it is the first. */
void front_refuse(struct front_reader *r, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
