/* SPDX-License-Identifier: MIT */
/*
 * What the network queues of one worker share: page-aligned room for frames while
 * they pass through, and the way into taps. Both directions use the same pages, one after the other: what
 * came from guests is in the kernel before frames for guests are read.
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
	uint32_t nr_granted;    /* of these, the first; their memory is there for good */
	struct tap_batch *taps; /* owned; one queue's at a time */
	uint32_t tx_used;       /* pages given out since the last reset */
	uint32_t rx_used;
};

/* NULL without memory. What is used most are pages of `own`, where it has some. */
struct vif_pool *vif_pool_new(struct own_pages *own);
/* NULL is fine. Returns NULL. */
struct vif_pool *vif_pool_free(struct vif_pool *pool);

/* All pages are free again. */
void vif_pool_reset(struct vif_pool *pool);
/* Between two passes: the system may have their memory until they are used again. */
void vif_pool_rest(struct vif_pool *pool);

/*
 * Pages that each of `nr_queues` queues (1 or more) may use in one pass and direction, so that none takes what the
 * others need. A frame from a guest always fits; one towards a guest may go beyond.
 */
uint32_t vif_pool_share(uint32_t nr_queues);

/* `nr` adjacent pages for a frame from a guest, or NULL when this pass has used all. */
uint8_t *vif_pool_take_tx(struct vif_pool *pool, uint32_t nr);

/*
 * Room for `nr` of the largest frames towards a guest, one behind the other, or NULL when this pass has used all; then, to keep
 * the pages that `len` bytes there, with any headroom, really fill. Returns how many.
 */
uint8_t *vif_pool_peek_rx(struct vif_pool *pool, uint32_t nr);
uint32_t vif_pool_keep_rx(struct vif_pool *pool, uint32_t len);

#endif
