/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "blkback/kept.h"

/* A full set lets go of a page that was not used in so many uses of each page on average. */
#define IDLE_ROUNDS 8u

/* A frontend whose grants cannot be mapped does not keep its promise: after so many it is believed no more. */
#define MAX_FAILED 64u

struct kept_page {
	LIST_ENTRY(kept_page) bucket;
	TAILQ_ENTRY(kept_page) use;
	struct grant_map map;
	uint32_t ref;
	uint64_t used_at;   /* kept->uses then */
	uint32_t used_tick; /* kept->tick then */
};

static uint32_t buckets_for(uint32_t max)
{
	uint32_t nr = 1;

	while (nr < max)
		nr *= 2;
	return nr;
}

int kept_init(struct kept *kept, xengnttab_handle *xgt, uint32_t domid, uint32_t max,
	      struct kept_budget *budget)
{
	*kept = (struct kept){ .xgt = xgt, .domid = domid, .max = max, .budget = budget };
	if (max == 0)
		return 0;
	TAILQ_INIT(&kept->by_use);
	TAILQ_INIT(&kept->unused);
	kept->mask = buckets_for(max) - 1;
	kept->pages = calloc(max, sizeof(kept->pages[0]));
	kept->buckets = calloc(kept->mask + 1u, sizeof(kept->buckets[0]));
	if (!kept->pages || !kept->buckets) {
		kept_done(kept);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < max; i++)
		TAILQ_INSERT_TAIL(&kept->unused, &kept->pages[i], use);
	return 0;
}

static struct kept_bucket *bucket_of(struct kept *kept, uint32_t ref)
{
	return &kept->buckets[ref &
			      kept->mask]; /* a guest's references are small numbers in a row */
}

static void drop(struct kept *kept, struct kept_page *page)
{
	LIST_REMOVE(page, bucket);
	TAILQ_REMOVE(&kept->by_use, page, use);
	TAILQ_INSERT_HEAD(&kept->unused, page, use);
	grant_unmap(kept->xgt, &page->map);
	kept->budget->used--;
	kept->nr--;
	kept->drops++;
}

void kept_done(struct kept *kept)
{
	while (kept->nr)
		drop(kept, TAILQ_FIRST(&kept->by_use));
	free(kept->pages);
	free(kept->buckets);
	kept->pages = NULL;
	kept->buckets = NULL;
	kept->max = 0;
}

static bool is_full(const struct kept *kept)
{
	return kept->nr == kept->max || kept->budget->used >= kept->budget->max;
}

/* Whether there is room for one more page, perhaps in the place of one out of use. */
static bool make_room(struct kept *kept)
{
	struct kept_page *oldest = TAILQ_LAST(&kept->by_use, kept_uses);

	if (is_full(kept) && oldest &&
	    kept->uses - oldest->used_at >= (uint64_t)IDLE_ROUNDS * kept->nr)
		drop(kept, oldest);
	return !is_full(kept);
}

static struct kept_page *map(struct kept *kept, uint32_t ref)
{
	struct kept_page *page;

	if (kept->nr_failed == MAX_FAILED || !make_room(kept))
		return NULL;
	page = TAILQ_FIRST(&kept->unused);
	if (grant_map(kept->xgt, kept->domid, &ref, 1, &page->map)) {
		kept->nr_failed++;
		return NULL;
	}
	TAILQ_REMOVE(&kept->unused, page, use);
	TAILQ_INSERT_HEAD(&kept->by_use, page, use);
	LIST_INSERT_HEAD(bucket_of(kept, ref), page, bucket);
	page->ref = ref;
	kept->nr++;
	kept->budget->used++;
	kept->maps++;
	return page;
}

static struct kept_page *look_up(struct kept *kept, uint32_t ref)
{
	struct kept_page *page;

	LIST_FOREACH(page, bucket_of(kept, ref), bucket)
		if (page->ref == ref)
			break;
	if (!page)
		return NULL;
	TAILQ_REMOVE(&kept->by_use, page, use);
	TAILQ_INSERT_HEAD(&kept->by_use, page, use);
	return page;
}

void *kept_find(struct kept *kept, uint32_t ref)
{
	struct kept_page *page;

	if (kept->max == 0)
		return NULL;
	kept->uses++;
	page = look_up(kept, ref);
	if (!page)
		page = map(kept, ref);
	if (!page)
		return NULL;
	page->used_at = kept->uses;
	page->used_tick = kept->tick;
	return page->map.addr;
}

void kept_tick(struct kept *kept)
{
	kept->tick++;
	while (kept->nr) {
		struct kept_page *oldest = TAILQ_LAST(&kept->by_use, kept_uses);

		if (kept->tick - oldest->used_tick < KEPT_UNUSED_TICKS)
			break;
		drop(kept, oldest);
	}
}
