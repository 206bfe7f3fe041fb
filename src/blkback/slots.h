/* SPDX-License-Identifier: MIT */
/*
 * How many requests each ring may have in the kernel's context of its worker. The rule is that of bufshare.h: a ring
 * takes another common slot only if it then has no more of them than it leaves. It also has a few slots of its own, if
 * some were left when it joined. A ring without any request can always have one. Pure; worker thread only.
 */
#ifndef PVB_SLOTS_H
#define PVB_SLOTS_H

#include <stdbool.h>

#define SLOTS_OWN 4u /* of each ring that has own slots */

struct slots {
	unsigned int nr_common;  /* three quarters of the slots */
	unsigned int max_owners; /* how many rings can have slots of their own */
	unsigned int nr_owners;
	unsigned int taken; /* of the common ones */
};

/* Zero-initialise. */
struct slots_share {
	unsigned int own;
	unsigned int taken; /* own and common ones */
};

/* For a context of `nr` slots, a multiple of 16. */
static inline void slots_init(struct slots *slots, unsigned int nr)
{
	*slots = (struct slots){ .nr_common = nr / 4 * 3, .max_owners = nr / 4 / SLOTS_OWN };
}

static inline void slots_join(struct slots *slots, struct slots_share *share)
{
	share->own = slots->nr_owners < slots->max_owners ? SLOTS_OWN : 0;
	slots->nr_owners += share->own != 0;
}

/* It holds no slot. Idempotent. */
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
