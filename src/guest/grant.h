/* SPDX-License-Identifier: MIT */
/*
 * Grant references: mappings for rings, and copies in batches.
 *
 * A batch gathers segments from every dirty ring of a worker and goes to the
 * kernel in one call. The kernel refuses the *whole* call for one segment that
 * crosses a page on the grant side, and its statuses mean nothing then, so
 * grant_batch_add() lets no such segment in: no guest can spoil another's copy.
 * Silent; single-threaded, one batch per worker.
 */
#ifndef PVB_GRANT_H
#define PVB_GRANT_H

#include <stdbool.h>
#include <stdint.h>
#include <xengnttab.h>

#include "guest/own_pages.h"

#define GRANT_PAGE_SIZE 4096u

/* A mapping of ring pages; zero means nothing is mapped. */
struct grant_map {
	void *addr; /* owned */
	uint32_t nr_pages;
};

/* Map `nr` grants of one domain side by side, writable. 0, or -errno with nothing mapped. */
int grant_map(xengnttab_handle *xgt, uint32_t domid, const uint32_t *refs, uint32_t nr,
	      struct grant_map *ret_map);
/* Undo grant_map(); idempotent. */
void grant_unmap(xengnttab_handle *xgt, struct grant_map *map);

enum grant_direction { GRANT_FROM_GUEST, GRANT_TO_GUEST };

struct grant_batch {
	xengnttab_grant_copy_segment_t *segs; /* owned */
	uint32_t nr;
	uint32_t ran; /* of these have been made */
	uint32_t capacity;
	const struct own_pages *own; /* borrowed; NULL: all that is ours is named by address */
	uint64_t nr_calls;           /* counters, for dumps */
	uint64_t nr_copies;
	uint64_t nr_failed;
};

/* One copy: `len` bytes (1..4096) between `local` and `offset` in the page behind `ref`. */
struct grant_copy {
	enum grant_direction direction;
	uint32_t domid;
	uint32_t ref;
	uint32_t offset;
	uint32_t len;
	void *local; /* borrowed until the batch ran */
};

/*
 * Put a copy into the batch.
 * Returns its index for grant_batch_ok(), -EINVAL when it is empty or leaves the
 * page, -ENOMEM when the batch cannot grow.
 */
int grant_batch_add(struct grant_batch *batch, const struct grant_copy *copy);

/* Make the copies that were added since the last run. Their outcome is in grant_batch_ok(). */
void grant_batch_run(struct grant_batch *batch, xengnttab_handle *xgt);
/* Whether any waits to be made. */
bool grant_batch_waits(const struct grant_batch *batch);

/* Whether copy `index` succeeded; it has been run, and the batch not been reset since. */
bool grant_batch_ok(const struct grant_batch *batch, uint32_t index);

/* Empty the batch for the next round; keeps its memory. */
void grant_batch_reset(struct grant_batch *batch);
void grant_batch_done(struct grant_batch *batch);

#endif
