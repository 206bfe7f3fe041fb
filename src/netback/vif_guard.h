/* SPDX-License-Identifier: MIT */
/*
 * The port security of one vif: its rules are read by the control thread, whenever a key changes, and
 * looked at by the workers without a lock.
 */
#ifndef PVB_NETBACK_VIF_GUARD_H
#define PVB_NETBACK_VIF_GUARD_H

#include <stdatomic.h>

#include "control/device.h"
#include "netback/filter.h"

struct vif_guard_rules;

/* Zero-initialised: everything passes. */
struct vif_guard {
	_Atomic(const struct filter *) now; /* NULL: everything passes */
	struct vif_guard_rules *all;        /* owned; a worker may be looking at an older one */
};

/*
 * Read `antispoof` (else it is `otherwise`, an enum filter_want), `mac` and `ip` of the vif's own directory. What cannot
 * be read lets nothing pass, and the log says so.
 */
void vif_guard_read(struct vif_guard *guard, struct device *dev, unsigned int otherwise);

/* Does a change of this key concern us? */
bool vif_guard_reads(const char *key);

/* Forget all rules; no queue may be attached. Idempotent. */
void vif_guard_done(struct vif_guard *guard);

/* On a worker: FILTER_PASS, or why this frame may not go (filter_check()). */
static inline enum filter_verdict vif_guard_check(struct vif_guard *guard, const uint8_t *head,
						  uint32_t len)
{
	const struct filter *filter = atomic_load_explicit(&guard->now, memory_order_acquire);

	return filter ? filter_check(filter, head, len) : FILTER_PASS;
}

#endif
