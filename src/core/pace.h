/* SPDX-License-Identifier: MIT */
/*
 * Something that is done at most so often: what is asked for too early is done once, when its time has come. So the last
 * wish is always heard. Belongs to the thread of its loop.
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
	bool waiting;            /* there is one to come then */
};

/* Have fn called: now, or when the time has come. */
void pace_ask(struct pace *pace);
/* Nothing follows. Idempotent. */
void pace_stop(struct pace *pace);

#endif
