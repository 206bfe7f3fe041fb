/* SPDX-License-Identifier: MIT */
/* Put frames into the slots of a queue's receive ring. Worker thread. */
#ifndef PVB_NETBACK_VIF_EMIT_H
#define PVB_NETBACK_VIF_EMIT_H

#include <stdint.h>

#include "netback/vif_queue.h"

/* How many slots a frame of `len` bytes takes: for its pages and its extras. */
uint32_t vif_emit_count(const struct vif_queue *queue, uint32_t len,
			const struct offload_plan *plan, enum netif_gso_type gso_type);

/*
 * Put one whole frame, for which there must be enough slots. It begins as far from a page's start as the headroom is.
 * So the pages of both sides match, and no copy is cut in two. `frame` must not change until vif_emit_answer().
 */
void vif_emit(struct vif_queue *queue, uint8_t *frame, uint32_t len,
	      const struct offload_plan *plan, enum netif_gso_type gso_type);

/* Add the frame to the vif's capture, if it has one. `why` it was dropped, or NULL. */
void vif_emit_capture(struct vif_queue *queue, uint8_t *frame, uint32_t len, const char *why);

/* The copies have been made: write and count the responses. */
void vif_emit_answer(struct vif_queue *queue);

#endif
