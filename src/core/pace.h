/* SPDX-License-Identifier: MIT */
/*
 * Limits how often something is done. A call that comes too early is carried out when its time has come, several such calls
 * once. So the last call always has an effect. Belongs to the thread of its loop.
 */
#ifndef PVB_PACE_H
#define PVB_PACE_H

#include "core/loop.h"

/* The first four are the owner's to set; the rest begins as all zero. */
struct pace {
	struct loop *loop; /* borrowed */
	uint64_t interval_ns;
	loop_fn fn;
	void *user;              /* borrowed */
	struct loop_timer timer; /* armed: too early for the next time */
	bool waiting;            /* call fn when the timer is due */
};

/* Call fn, now or when the time has come. */
void pace_ask(struct pace *pace);
/* Drop a call that waits. Idempotent. */
void pace_stop(struct pace *pace);

#endif
