/* SPDX-License-Identifier: MIT */
/* Frames into the slots of a queue's receive ring. Worker thread. */
#ifndef PVB_NETBACK_VIF_EMIT_H
#define PVB_NETBACK_VIF_EMIT_H

#include <stdint.h>

#include "netback/vif_queue.h"

/* Slots that a frame of `len` bytes takes: its pages and its extras. */
uint32_t vif_emit_count(const struct vif_queue *queue, uint32_t len,
			const struct offload_plan *plan, enum netif_gso_type gso_type);

/*
 * One whole frame, as far from a page's start as the headroom is, for which there are slots enough. So
 * the pages of both sides match, and no copy is cut in two. `frame` stays as it is until vif_emit_answer().
 */
void vif_emit(struct vif_queue *queue, uint8_t *frame, uint32_t len,
	      const struct offload_plan *plan, enum netif_gso_type gso_type);

/* To the vif's capture, if it has one; `why` it was dropped, or NULL. */
void vif_emit_capture(struct vif_queue *queue, uint8_t *frame, uint32_t len, const char *why);

/* The copies have been made: write and count the responses. */
void vif_emit_answer(struct vif_queue *queue);

#endif
