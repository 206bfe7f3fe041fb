/* SPDX-License-Identifier: MIT */
/*
 * What the network queues of one worker share: page-aligned room for frames on their way, and the batch that writes to
 * taps. Both directions use the same pages, one after the other: frames from guests are in the kernel before frames for
 * guests are read.
 */
#ifndef PVB_NETBACK_VIF_POOL_H
#define PVB_NETBACK_VIF_POOL_H

#include <stdint.h>

#include "guest/own_pages.h"
#include "netback/frame.h"
#include "netback/tap_batch.h"
#include "ring/netif.h"

/* Pages of the largest frame, with the largest headroom. */
#define POOL_FRAME_PAGES ((NETIF_MAX_HEADROOM + FRAME_MAX + NETIF_PAGE_SIZE - 1) / NETIF_PAGE_SIZE)

struct vif_pool {
	uint8_t *pages;         /* owned mapping */
	uint32_t nr_granted;    /* the first of these are granted; they always use memory */
	struct tap_batch *taps; /* owned; one queue at a time uses it */
	uint32_t tx_used;       /* pages given out since the last reset */
	uint32_t rx_used;
};

/* NULL without memory. The pages that are used most are from `own`, if it has some. */
struct vif_pool *vif_pool_new(struct own_pages *own);
/* NULL is fine. Returns NULL. */
struct vif_pool *vif_pool_free(struct vif_pool *pool);

/* All pages are free again. */
void vif_pool_reset(struct vif_pool *pool);
/* Between two passes: return the memory to the system until it is needed again. */
void vif_pool_rest(struct vif_pool *pool);

/*
 * How many pages each of `nr_queues` queues (1 or more) may use in one pass and direction, so that none takes what the
 * others need. One frame from a guest always fits. One for a guest may exceed the share.
 */
uint32_t vif_pool_share(uint32_t nr_queues);

/* `nr` adjacent pages for a frame from a guest, or NULL when this pass has used all. */
uint8_t *vif_pool_take_tx(struct vif_pool *pool, uint32_t nr);

/*
 * Room for `nr` of the largest frames for a guest, one behind the other, or NULL when this pass has used all. And keep
 * the pages that `len` bytes there, with any headroom, really fill. Returns how many.
 */
uint8_t *vif_pool_peek_rx(struct vif_pool *pool, uint32_t nr);
uint32_t vif_pool_keep_rx(struct vif_pool *pool, uint32_t len);

#endif
