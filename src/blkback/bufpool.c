/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "blkback/bufpool.h"

#define PAGE_SHIFT 12u
#define NR_ORDERS  10u /* 4 KiB .. 2 MiB */
#define NO_PAGE    UINT32_MAX
#define NOT_FREE   UINT8_MAX
#define HOT_RUNS   32u

/* One per page; kept outside the buffers, which hold guests' data. */
struct page {
	uint32_t next, prev;
	uint8_t free_order; /* of the free run that begins here, or NOT_FREE */
};

/*
 * The runs of a size that came back last. They go out again first, as they are, still in the cache: the
 * next request is most often like the last one, and would only split what this one merged.
 */
struct hot_runs {
	uint32_t nr;
	uint32_t index[HOT_RUNS];
};

struct bufpool {
	uint8_t *arena; /* owned */
	size_t bytes;
	size_t used;
	struct page *pages; /* owned */
	uint32_t free[NR_ORDERS];
	struct hot_runs hot[NR_ORDERS];
};

static void list_add(struct bufpool *pool, unsigned int order, uint32_t index)
{
	struct page *page = &pool->pages[index];

	*page = (struct page){ .next = pool->free[order],
			       .prev = NO_PAGE,
			       .free_order = (uint8_t)order };
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
	page->free_order = NOT_FREE;
}

struct bufpool *bufpool_new(size_t bytes)
{
	struct bufpool *pool = calloc(1, sizeof(*pool));
	size_t nr_pages = bytes >> PAGE_SHIFT;

	if (!pool)
		return NULL;
	pool->bytes = bytes;
	pool->pages = calloc(nr_pages, sizeof(pool->pages[0]));
	pool->arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->arena == MAP_FAILED)
		pool->arena = NULL;
	/* Only a wish: the kernel then pins and maps a large buffer in one piece, where it can. */
	if (pool->arena)
		madvise(pool->arena, bytes, MADV_HUGEPAGE);
	if (!pool->pages || !pool->arena)
		return bufpool_free(pool);
	for (unsigned int i = 0; i < NR_ORDERS; i++)
		pool->free[i] = NO_PAGE;
	for (size_t i = 0; i < nr_pages; i++)
		pool->pages[i].free_order = NOT_FREE;
	for (size_t i = nr_pages; i > 0; i -= 1u << (NR_ORDERS - 1))
		list_add(pool, NR_ORDERS - 1, (uint32_t)(i - (1u << (NR_ORDERS - 1))));
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

/* A run out of the smallest free one that is large enough; NO_PAGE when there is none. */
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

		if (pool->pages[buddy].free_order != order)
			break;
		list_remove(pool, order, buddy);
		index &= ~(1u << order);
	}
	list_add(pool, order, index);
}

/* Merge what was kept hot. */
static void cool_down(struct bufpool *pool)
{
	for (unsigned int order = 0; order < NR_ORDERS; order++)
		while (pool->hot[order].nr)
			merge_run(pool, pool->hot[order].index[--pool->hot[order].nr], order);
}

void *bufpool_get(struct bufpool *pool, size_t bytes)
{
	unsigned int order = order_of(bytes);
	uint32_t index;

	assert(bytes > 0 && bytes <= BUFPOOL_MAX_BYTES);
	if (pool->hot[order].nr) {
		index = pool->hot[order].index[--pool->hot[order].nr];
	} else {
		index = split_run(pool, order);
		if (index == NO_PAGE) {
			cool_down(pool);
			index = split_run(pool, order);
		}
	}
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

size_t bufpool_run(size_t bytes)
{
	return (size_t)1 << (PAGE_SHIFT + order_of(bytes));
}

size_t bufpool_left(const struct bufpool *pool)
{
	return pool->bytes - pool->used;
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
