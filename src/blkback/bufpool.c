/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "blkback/bufpool.h"

#define PAGE_SHIFT 12u
#define NR_ORDERS  10u /* 4 KiB .. 2 MiB */
#define NO_PAGE    UINT32_MAX
#define HOT_RUNS   32u
#define MAX_RUN    (1u << (NR_ORDERS - 1)) /* pages */
#define LARGE      4u                      /* a buffer of this order or more is large */

/* One per page, outside the buffers, which hold guests' data. All zero for a page that was never used. */
struct page {
	uint32_t next, prev;
	uint8_t free_order; /* 1 + the order of the free run that begins here; 0: none begins here */
};

/*
 * The runs of one size that were returned last. They are handed out again first, unsplit and still in the cache: the
 * next request most often needs the same size.
 */
struct hot_runs {
	uint32_t nr;
	uint32_t index[HOT_RUNS];
};

struct bufpool {
	uint8_t *arena; /* owned */
	size_t bytes;
	size_t used;
	uint32_t fresh, nr_pages; /* pages from `fresh` on were never used */
	bool huge;                /* large buffers were in use */
	struct page *pages;       /* owned */
	uint32_t free[NR_ORDERS];
	struct hot_runs hot[NR_ORDERS];
};

static void list_add(struct bufpool *pool, unsigned int order, uint32_t index)
{
	struct page *page = &pool->pages[index];

	*page = (struct page){ .next = pool->free[order],
			       .prev = NO_PAGE,
			       .free_order = (uint8_t)(order + 1) };
	if (page->next != NO_PAGE)
		pool->pages[page->next].prev = index;
	pool->free[order] = index;
}

static void list_remove(struct bufpool *pool, unsigned int order, uint32_t index)
{
	struct page *page = &pool->pages[index];

	if (page->prev != NO_PAGE)
		pool->pages[page->prev].next = page->next;
	else
		pool->free[order] = page->next;
	if (page->next != NO_PAGE)
		pool->pages[page->next].prev = page->prev;
	page->free_order = 0;
}

/* All pages become unused. */
static void forget_runs(struct bufpool *pool)
{
	pool->fresh = 0;
	pool->huge = false;
	for (unsigned int i = 0; i < NR_ORDERS; i++) {
		pool->free[i] = NO_PAGE;
		pool->hot[i].nr = 0;
	}
}

struct bufpool *bufpool_new(size_t bytes)
{
	struct bufpool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->bytes = bytes;
	pool->nr_pages = (uint32_t)(bytes >> PAGE_SHIFT);
	pool->pages = calloc(pool->nr_pages, sizeof(pool->pages[0]));
	pool->arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->arena == MAP_FAILED)
		pool->arena = NULL;
	if (!pool->pages || !pool->arena)
		return bufpool_free(pool);
	forget_runs(pool);
	return pool;
}

struct bufpool *bufpool_free(struct bufpool *pool)
{
	if (!pool)
		return NULL;
	if (pool->arena)
		munmap(pool->arena, pool->bytes);
	free(pool->pages);
	free(pool);
	return NULL;
}

static unsigned int order_of(size_t bytes)
{
	unsigned int order = 0;

	while (((size_t)1 << (PAGE_SHIFT + order)) < bytes)
		order++;
	return order;
}

/*
 * Only a hint: where it can, the kernel then pins and maps a large buffer in one piece. A guest that sends only small
 * requests needs no huge pages. Pages that it has touched stay small.
 */
static void wish_for_huge_pages(struct bufpool *pool)
{
	madvise(pool->arena, pool->bytes, MADV_HUGEPAGE);
	pool->huge = true;
}

/* Make a run that was never used free. */
static void add_fresh(struct bufpool *pool)
{
	if (pool->fresh == pool->nr_pages)
		return;
	list_add(pool, NR_ORDERS - 1, pool->fresh);
	pool->fresh += MAX_RUN;
}

/* Split the smallest free run that is large enough. NO_PAGE when there is none. */
static uint32_t split_run(struct bufpool *pool, unsigned int wanted)
{
	unsigned int order = wanted;
	uint32_t index;

	while (order < NR_ORDERS && pool->free[order] == NO_PAGE)
		order++;
	if (order == NR_ORDERS)
		return NO_PAGE;
	index = pool->free[order];
	list_remove(pool, order, index);
	while (order > wanted) { /* keep the lower half */
		order--;
		list_add(pool, order, index + (1u << order));
	}
	return index;
}

static void merge_run(struct bufpool *pool, uint32_t index, unsigned int order)
{
	for (; order < NR_ORDERS - 1; order++) {
		uint32_t buddy = index ^ (1u << order);

		if (pool->pages[buddy].free_order != order + 1)
			break;
		list_remove(pool, order, buddy);
		index &= ~(1u << order);
	}
	list_add(pool, order, index);
}

/* Merge the hot runs. */
static void cool_down(struct bufpool *pool)
{
	for (unsigned int order = 0; order < NR_ORDERS; order++)
		while (pool->hot[order].nr)
			merge_run(pool, pool->hot[order].index[--pool->hot[order].nr], order);
}

static uint32_t find_run(struct bufpool *pool, unsigned int order)
{
	uint32_t index = split_run(pool, order);

	if (index != NO_PAGE)
		return index;
	if (pool->fresh == pool->nr_pages)
		cool_down(pool);
	add_fresh(pool);
	return split_run(pool, order);
}

void *bufpool_get(struct bufpool *pool, size_t bytes)
{
	unsigned int order = order_of(bytes);
	uint32_t index;

	assert(bytes > 0 && bytes <= BUFPOOL_MAX_BYTES);
	if (order >= LARGE && !pool->huge) {
		wish_for_huge_pages(pool);
		add_fresh(pool);
	}
	if (pool->hot[order].nr)
		index = pool->hot[order].index[--pool->hot[order].nr];
	else
		index = find_run(pool, order);
	if (index == NO_PAGE)
		return NULL;
	pool->used += bufpool_run(bytes);
	return pool->arena + ((size_t)index << PAGE_SHIFT);
}

void bufpool_put(struct bufpool *pool, void *buf, size_t bytes)
{
	uint32_t index = (uint32_t)((size_t)((uint8_t *)buf - pool->arena) >> PAGE_SHIFT);
	unsigned int order = order_of(bytes);
	struct hot_runs *hot = &pool->hot[order];

	pool->used -= bufpool_run(bytes);
	if (hot->nr < HOT_RUNS)
		hot->index[hot->nr++] = index;
	else
		merge_run(pool, index, order);
}

void bufpool_rest(struct bufpool *pool)
{
	if (pool->used || !pool->fresh)
		return;
	madvise(pool->arena, (size_t)pool->fresh << PAGE_SHIFT, MADV_DONTNEED);
	madvise(pool->arena, pool->bytes, MADV_NOHUGEPAGE);
	memset(pool->pages, 0, pool->fresh * sizeof(pool->pages[0]));
	forget_runs(pool);
}

size_t bufpool_run(size_t bytes)
{
	return (size_t)1 << (PAGE_SHIFT + order_of(bytes));
}

size_t bufpool_left(const struct bufpool *pool)
{
	return pool->bytes - pool->used;
}

void *bufpool_arena(const struct bufpool *pool)
{
	return pool->arena;
}

bool bufpool_has(const struct bufpool *pool, const void *buf)
{
	const uint8_t *at = buf;

	return at >= pool->arena && at < pool->arena + pool->bytes;
}

size_t bufpool_used(const struct bufpool *pool)
{
	return pool->used;
}
