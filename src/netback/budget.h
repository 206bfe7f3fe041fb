/* SPDX-License-Identifier: MIT */
/*
 * How many frames the kernel may keep for guests that do not take them: bytes are bounded for each vif
 * and for all together (XSA-392), and a tap's queue is bounded in frames. Pure.
 */
#ifndef PVB_NETBACK_BUDGET_H
#define PVB_NETBACK_BUDGET_H

#include <stdint.h>

#define BUDGET_VIF_BYTES (16u << 20)
#define BUDGET_ALL_BYTES (256u << 20)
/*
 * Small frames come in bursts of a whole cut-up large one: 256 of them lost one in fifteen on a TCP
 * stream to a guest without segmentation offload. A few there must be in any case.
 */
#define BUDGET_MAX_FRAMES 1000u
#define BUDGET_MIN_FRAMES 8u

/*
 * Frames in each of a vif's `nr_queues` queues (1 or more), each frame up to `frame_bytes` long, with
 * `nr_vifs` (1 or more) vifs in all.
 */
uint32_t budget_frames(uint32_t frame_bytes, uint32_t nr_queues, uint32_t nr_vifs);

#endif
