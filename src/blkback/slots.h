/* SPDX-License-Identifier: MIT */
/*
 * Who may have how many requests in the kernel's context of a worker, by the same rule as bufshare.h: of the
 * common places a ring takes one more only as long as it has no more of them than it leaves, and a few are
 * its own, as long as there are some to give away when it comes. Who has none at all may always have one.
 * Pure; worker thread only.
 */
#ifndef PVB_SLOTS_H
#define PVB_SLOTS_H

#include <stdbool.h>

#define SLOTS_OWN 4u /* of each ring that has some of its own */

struct slots {
	unsigned int nr_common;  /* three of four places; */
	unsigned int max_owners; /* the rest is for so many rings */
	unsigned int nr_owners;
	unsigned int taken; /* of the common ones */
};

/* Zero-initialise. */
struct slots_share {
	unsigned int own;
	unsigned int taken; /* of all */
};

/* For a context of so many places, a multiple of 16. */
static inline void slots_init(struct slots *slots, unsigned int nr)
{
	*slots = (struct slots){ .nr_common = nr / 4 * 3, .max_owners = nr / 4 / SLOTS_OWN };
}

static inline void slots_join(struct slots *slots, struct slots_share *share)
{
	share->own = slots->nr_owners < slots->max_owners ? SLOTS_OWN : 0;
	slots->nr_owners += share->own != 0;
}

/* It has none. Idempotent. */
static inline void slots_leave(struct slots *slots, struct slots_share *share)
{
	slots->nr_owners -= share->own != 0;
	share->own = 0;
}

static inline bool slots_take(struct slots *slots, struct slots_share *share)
{
	unsigned int left = slots->taken < slots->nr_common ? slots->nr_common - slots->taken : 0;

	if (share->taken >= share->own) {
		if (share->taken && share->taken - share->own + 1 >= left)
			return false;
		slots->taken++;
	}
	share->taken++;
	return true;
}

static inline void slots_put(struct slots *slots, struct slots_share *share)
{
	share->taken--;
	if (share->taken >= share->own)
		slots->taken--;
}

#endif
