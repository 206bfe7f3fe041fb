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

#define SLOTS_COMMON 768u
#define SLOTS_OWN    4u  /* of each ring */
#define SLOTS_OWNERS 64u /* rings that have them */
#define SLOTS_ALL    (SLOTS_COMMON + SLOTS_OWN * SLOTS_OWNERS)

/* Zero-initialise both. */
struct slots {
	unsigned int nr_owners;
	unsigned int taken; /* of the common ones */
};

struct slots_share {
	unsigned int own;
	unsigned int taken; /* of all */
};

static inline void slots_join(struct slots *slots, struct slots_share *share)
{
	share->own = slots->nr_owners < SLOTS_OWNERS ? SLOTS_OWN : 0;
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
	unsigned int left = slots->taken < SLOTS_COMMON ? SLOTS_COMMON - slots->taken : 0;

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
