/* SPDX-License-Identifier: MIT */
#include "core/pace.h"

static void rested(void *user)
{
	struct pace *pace = user;

	if (pace->waiting)
		pace_ask(pace);
}

void pace_ask(struct pace *pace)
{
	pace->waiting = pace->timer.armed;
	if (pace->waiting)
		return;
	loop_timer_set(pace->loop, &pace->timer, pace->interval_ns, rested, pace);
	pace->fn(pace->user);
}

void pace_stop(struct pace *pace)
{
	loop_timer_cancel(&pace->timer);
	pace->waiting = false;
}
