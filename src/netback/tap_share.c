/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <unistd.h>

#include "netback/budget.h"
#include "netback/tap_share.h"

static LIST_HEAD(, tap_share) shares;
static uint32_t nr_shares;

static uint64_t memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static uint32_t due(const struct tap_share *share, uint32_t all_bytes)
{
	return budget_frames(share->frame_bytes, share->nr_queues, nr_shares, all_bytes);
}

/*
 * A queue is shortened only if it is much too long: else each new tap would cost as many calls as there are taps. A tap
 * that is gone cannot be changed, which is no error.
 */
static void shorten_others(const struct tap_share *newcomer, uint32_t all_bytes)
{
	struct tap_share *other;

	LIST_FOREACH(other, &shares, link) {
		uint32_t frames = due(other, all_bytes);

		if (other == newcomer || other->nr_frames <= BUDGET_SLACK(frames))
			continue;
		if (tap_set_queue_len(other->tap, frames) == 0)
			other->nr_frames = frames;
	}
}

int tap_share_take(struct tap_share *share, struct tap *tap, uint32_t frame_bytes,
		   uint32_t nr_queues)
{
	uint32_t all_bytes = budget_all_bytes(memory_bytes());

	if (!share->tap) {
		LIST_INSERT_HEAD(&shares, share, link);
		nr_shares++;
	}
	share->tap = tap;
	share->frame_bytes = frame_bytes;
	share->nr_queues = nr_queues;
	share->nr_frames = due(share, all_bytes);
	shorten_others(share, all_bytes);
	return tap_set_queue_len(tap, share->nr_frames);
}

void tap_share_drop(struct tap_share *share)
{
	if (!share->tap)
		return;
	LIST_REMOVE(share, link);
	nr_shares--;
	share->tap = NULL;
}
