/* SPDX-License-Identifier: MIT */
/*
 * Persistent grants (blkif.h, feature-persistent). A frontend that agrees to them moves all its data through a set of pages
 * that it grants once, writable, and uses again and again. So we may keep them mapped: a copy is a memcpy, and the medium
 * may use a page directly, with no copy. The mappings are only a cache. We may drop one at any time unless it is held. A
 * page without a mapping (there are too many, or the grant cannot be mapped) is reached by grant copy, which reports what
 * is wrong with it.
 *
 * One for each ring, its worker's alone.
 */
#ifndef PVB_KEPT_H
#define PVB_KEPT_H

#include <stdint.h>
#include <sys/queue.h>

#include "guest/grant.h"

/* For all workers together: half of the mappings that Linux allows a process (vm.max_map_count). */
#define KEPT_MAX 32768u

/*
 * A page that is not used for this many ticks is dropped, so that a guest that was busy once does not hold mappings for
 * ever.
 */
#define KEPT_UNUSED_TICKS 60u

struct kept_page;

/* How many pages all rings of a worker keep mapped. Each is one of the process's mappings. */
struct kept_budget {
	uint32_t used;
	uint32_t max;
};

LIST_HEAD(kept_bucket, kept_page);
TAILQ_HEAD(kept_uses, kept_page);

/* A zeroed one keeps and finds nothing. */
struct kept {
	xengnttab_handle *xgt;      /* borrowed */
	struct kept_budget *budget; /* borrowed */
	uint32_t domid;
	uint32_t max;
	uint32_t nr;
	uint32_t nr_failed; /* failed mappings */
	uint32_t tick;
	uint64_t uses, maps, drops;  /* counters */
	struct kept_bucket *buckets; /* owned; NULL while nothing is kept */
	uint32_t mask;
	struct kept_uses by_use; /* owned; the last used first */
};

/* Keep at most `max` pages of a domain; 0: none. */
void kept_init(struct kept *kept, xengnttab_handle *xgt, uint32_t domid, uint32_t max,
	       struct kept_budget *budget);
/* Unmap all pages; none may be held. Idempotent. */
void kept_done(struct kept *kept);

/* The page behind `ref`, mapped now if that is possible. NULL: use grant copy. */
void *kept_find(struct kept *kept, uint32_t ref);

/* The same, and it stays mapped until kept_let_go(). Each successful kept_hold() needs one. */
void *kept_hold(struct kept *kept, uint32_t ref);
void kept_let_go(struct kept *kept, uint32_t ref);

/* Called once a second. */
void kept_tick(struct kept *kept);

#endif
