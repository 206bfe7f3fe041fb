/* SPDX-License-Identifier: MIT */
#include "netback/budget.h"

#define PAGE 4096u /* kernel memory that a small frame takes, with its overhead */

uint32_t budget_all_bytes(uint64_t memory)
{
	uint64_t part = memory / 5;

	return part < BUDGET_ALL_BYTES ? (uint32_t)part : BUDGET_ALL_BYTES;
}

uint32_t budget_frames(uint32_t frame_bytes, uint32_t nr_queues, uint32_t nr_vifs,
		       uint32_t all_bytes)
{
	uint32_t share = all_bytes / nr_vifs;
	uint32_t bytes = share < BUDGET_VIF_BYTES ? share : BUDGET_VIF_BYTES;
	uint32_t frames = bytes / nr_queues / (frame_bytes < PAGE ? PAGE : frame_bytes);

	if (frames > BUDGET_MAX_FRAMES)
		return BUDGET_MAX_FRAMES;
	return frames < BUDGET_MIN_FRAMES ? BUDGET_MIN_FRAMES : frames;
}
