/* SPDX-License-Identifier: MIT */
/* A loop that a test turns itself. */
#ifndef PVB_TURN_H
#define PVB_TURN_H

#include "core/loop.h"
#include "unit.h"

static inline void turn_end(void *user)
{
	loop_quit(user);
}

static inline void turn_for(struct loop *loop, uint64_t ns)
{
	struct loop_timer timer = { 0 };

	loop_timer_set(loop, &timer, ns, turn_end, loop);
	CHECK(loop_run(loop) == 0);
}

/* What there is to do, and what that has made, up to so many times. */
static inline void turn(struct loop *loop, unsigned int times)
{
	while (times--)
		turn_for(loop, 0);
}

#endif
