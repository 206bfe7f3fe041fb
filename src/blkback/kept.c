/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "blkback/kept.h"

/* A full set drops a page that was not used while each page was used this often on average. */
#define IDLE_ROUNDS 8u

/* A frontend whose grants cannot be mapped breaks its promise. After this many failures no more pages are mapped. */
#define MAX_FAILED 64u

struct kept_page {
	LIST_ENTRY(kept_page) bucket;
	TAILQ_ENTRY(kept_page) use;
	struct grant_map map;
	uint32_t ref;
	uint32_t holds;     /* requests in flight that use its data */
	uint64_t used_at;   /* kept->uses at its last use */
	uint32_t used_tick; /* kept->tick at its last use */
};

static uint32_t buckets_for(uint32_t max)
{
	uint32_t nr = 1;

	while (nr < max)
		nr *= 2;
	return nr;
}

void kept_init(struct kept *kept, xengnttab_handle *xgt, uint32_t domid, uint32_t max,
	       struct kept_budget *budget)
{
	*kept = (struct kept){ .xgt = xgt, .domid = domid, .max = max, .budget = budget };
	kept->mask = buckets_for(max) - 1;
	TAILQ_INIT(&kept->by_use);
}

static struct kept_bucket *bucket_of(struct kept *kept, uint32_t ref)
{
	return &kept->buckets[ref & kept->mask]; /* references are small numbers in a row */
}

/* Drop a page. An idle set costs no memory: the last page takes the buckets with it. */
static void drop(struct kept *kept, struct kept_page *page)
{
	LIST_REMOVE(page, bucket);
	TAILQ_REMOVE(&kept->by_use, page, use);
	grant_unmap(kept->xgt, &page->map);
	free(page);
	kept->budget->used--;
	kept->drops++;
	if (--kept->nr)
		return;
	free(kept->buckets);
	kept->buckets = NULL;
}

void kept_done(struct kept *kept)
{
	while (kept->nr)
		drop(kept, TAILQ_FIRST(&kept->by_use));
	free(kept->buckets); /* there may be buckets without a page, if none could be mapped */
	kept->buckets = NULL;
	kept->max = 0;
}

static bool is_full(const struct kept *kept)
{
	return kept->nr == kept->max || kept->budget->used >= kept->budget->max;
}

/* Whether there is room for one more page, perhaps after dropping one that is out of use. */
static bool make_room(struct kept *kept)
{
	struct kept_page *oldest = TAILQ_LAST(&kept->by_use, kept_uses);

	if (is_full(kept) && oldest && !oldest->holds &&
	    kept->uses - oldest->used_at >= (uint64_t)IDLE_ROUNDS * kept->nr)
		drop(kept, oldest);
	return !is_full(kept);
}

/* An empty entry, and buckets to put it in. */
static struct kept_page *new_page(struct kept *kept)
{
	if (!kept->buckets)
		kept->buckets = calloc(kept->mask + 1u, sizeof(kept->buckets[0]));
	return kept->buckets ? calloc(1, sizeof(struct kept_page)) : NULL;
}

static struct kept_page *map(struct kept *kept, uint32_t ref)
{
	struct kept_page *page;

	if (kept->nr_failed == MAX_FAILED || !make_room(kept))
		return NULL;
	page = new_page(kept);
	if (!page)
		return NULL;
	if (grant_map(kept->xgt, kept->domid, &ref, 1, &page->map)) {
		kept->nr_failed++;
		free(page);
		return NULL;
	}
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

	if (!kept->buckets)
		return NULL;
	LIST_FOREACH(page, bucket_of(kept, ref), bucket)
		if (page->ref == ref)
			break;
	return page;
}

static struct kept_page *use(struct kept *kept, uint32_t ref)
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
	TAILQ_REMOVE(&kept->by_use, page, use);
	TAILQ_INSERT_HEAD(&kept->by_use, page, use);
	page->used_at = kept->uses;
	page->used_tick = kept->tick;
	return page;
}

void *kept_find(struct kept *kept, uint32_t ref)
{
	struct kept_page *page = use(kept, ref);

	return page ? page->map.addr : NULL;
}

void *kept_hold(struct kept *kept, uint32_t ref)
{
	struct kept_page *page = use(kept, ref);

	if (!page)
		return NULL;
	page->holds++;
	return page->map.addr;
}

void kept_let_go(struct kept *kept, uint32_t ref)
{
	struct kept_page *page = look_up(kept, ref);

	if (page && page->holds)
		page->holds--;
}

void kept_tick(struct kept *kept)
{
	kept->tick++;
	while (kept->nr) {
		struct kept_page *oldest = TAILQ_LAST(&kept->by_use, kept_uses);

		if (oldest->holds || kept->tick - oldest->used_tick < KEPT_UNUSED_TICKS)
			break;
		drop(kept, oldest);
	}
}
