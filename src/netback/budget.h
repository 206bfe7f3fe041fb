/* SPDX-License-Identifier: MIT */
/*
 * How many frames the kernel may keep for guests that take none. Bytes are bounded for each vif and for all together
 * (XSA-392), and a tap's queue is bounded in frames. Pure.
 */
#ifndef PVB_NETBACK_BUDGET_H
#define PVB_NETBACK_BUDGET_H

#include <stdint.h>

/*
 * A tap's queue cannot make a sender wait: frames that do not fit are lost. With room for 256 large frames, four TCP streams
 * to a guest lost so many that they were a quarter to a half slower than with 1,000.
 */
#define BUDGET_VIF_BYTES (64u << 20)
/*
 * A gigabyte, or a quarter of the memory. A vif may still have a queue that is a quarter longer than its share, from
 * when it shared with fewer. That is counted in. So the others seldom have to change when a vif comes.
 */
#define BUDGET_ALL_BYTES      (800u << 20)
#define BUDGET_SLACK(frames_) ((frames_) + (frames_) / 4)
/*
 * Small frames come in bursts, when a large one was cut. With room for 256, a TCP stream to a guest without segmentation
 * offload lost one in fifteen. A few frames must fit in any case.
 */
#define BUDGET_MAX_FRAMES 1000u
#define BUDGET_MIN_FRAMES 8u

/* Bytes for all vifs, on a host with `memory` bytes. */
uint32_t budget_all_bytes(uint64_t memory);

/*
 * Frames in each of a vif's `nr_queues` queues (1 or more), each frame up to `frame_bytes` long, with
 * `nr_vifs` (1 or more) vifs in all that share `all_bytes`.
 */
uint32_t budget_frames(uint32_t frame_bytes, uint32_t nr_queues, uint32_t nr_vifs,
		       uint32_t all_bytes);

#endif
