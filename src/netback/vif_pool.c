/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "netback/vif_pool.h"

#define POOL_PAGES 1024u
static_assert(POOL_FRAME_PAGES >= NETIF_MAX_SLOTS, "a share is enough for a frame from a guest");
/* Most passes need no more: three of the largest frames, or a hundred small ones. All guests of a worker share them. */
#define GRANTED_PAGES 128u
#define POOL_BYTES    ((size_t)POOL_PAGES * NETIF_PAGE_SIZE)

struct vif_pool *vif_pool_new(struct own_pages *own)
{
	struct vif_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->taps = tap_batch_new();
	pool->pages =
		mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->pages == MAP_FAILED)
		pool->pages = NULL;
	if (!pool->pages || !pool->taps)
		return vif_pool_free(pool);
	own_pages_place(own, pool->pages, GRANTED_PAGES);
	pool->nr_granted = own->nr;
	return pool;
}

struct vif_pool *vif_pool_free(struct vif_pool *pool)
{
	if (!pool)
		return NULL;
	if (pool->pages)
		munmap(pool->pages, POOL_BYTES);
	tap_batch_free(pool->taps);
	free(pool);
	return NULL;
}

void vif_pool_reset(struct vif_pool *pool)
{
	pool->tx_used = 0;
	pool->rx_used = 0;
}

void vif_pool_rest(struct vif_pool *pool)
{
	size_t granted = (size_t)pool->nr_granted * NETIF_PAGE_SIZE;

	madvise(pool->pages + granted, POOL_BYTES - granted, MADV_DONTNEED);
}

uint32_t vif_pool_share(uint32_t nr_queues)
{
	uint32_t share = POOL_PAGES / nr_queues;

	return share > POOL_FRAME_PAGES ? share : POOL_FRAME_PAGES;
}

uint8_t *vif_pool_take_tx(struct vif_pool *pool, uint32_t nr)
{
	uint8_t *at = pool->pages + (size_t)pool->tx_used * NETIF_PAGE_SIZE;

	if (nr > POOL_PAGES - pool->tx_used)
		return NULL;
	pool->tx_used += nr;
	return at;
}

uint8_t *vif_pool_peek_rx(struct vif_pool *pool, uint32_t nr)
{
	if (nr * POOL_FRAME_PAGES > POOL_PAGES - pool->rx_used)
		return NULL;
	return pool->pages + (size_t)pool->rx_used * NETIF_PAGE_SIZE;
}

uint32_t vif_pool_keep_rx(struct vif_pool *pool, uint32_t len)
{
	uint32_t nr = netif_rx_count_slots(len, 0);

	pool->rx_used += nr;
	return nr;
}
