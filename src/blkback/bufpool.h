/* SPDX-License-Identifier: MIT */
/*
 * A worker's data buffers: page-aligned runs of pages from one bounded arena. A buddy scheme hands them out, so that
 * small requests never use up for good what a large one needs. The arena bounds the bytes that a worker has in flight.
 */
#ifndef PVB_BUFPOOL_H
#define PVB_BUFPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUFPOOL_MAX_BYTES (2u << 20) /* the largest run */

struct bufpool;

/* An arena of `bytes`, a multiple of BUFPOOL_MAX_BYTES. NULL when there is no memory. */
struct bufpool *bufpool_new(size_t bytes);
struct bufpool *bufpool_free(struct bufpool *pool);

/* A run of at least `bytes` (1..BUFPOOL_MAX_BYTES); NULL when none is free now. */
void *bufpool_get(struct bufpool *pool, size_t bytes);
/* Give a run back, with the `bytes` that were asked for. */
void bufpool_put(struct bufpool *pool, void *buf, size_t bytes);

/* Return the memory to the system until it is needed again. Does nothing while a run is in use. */
void bufpool_rest(struct bufpool *pool);

/* How much of the arena a run of `bytes` takes; and how much is left, perhaps in pieces. */
size_t bufpool_run(size_t bytes);
size_t bufpool_left(const struct bufpool *pool);
/* Where the arena begins. */
void *bufpool_arena(const struct bufpool *pool);
/* Whether a run is of this arena. */
bool bufpool_has(const struct bufpool *pool, const void *buf);

/* Bytes handed out, for dumps and tests. */
size_t bufpool_used(const struct bufpool *pool);

#endif
