/* SPDX-License-Identifier: MIT */
/*
 * Monotonic time that a pass may look at. In a PV Dom0 the clock costs a system call that goes by way of the hypervisor;
 * the processor's time stamp counter costs nothing. So that is read where it can be trusted (it runs at one rate
 * whatever the processor does, and the hypervisor does not emulate it), and set by the clock every few seconds.
 *
 * One for each worker. Where the counter cannot be trusted the clock is read, and then a pass does so once only.
 */
#ifndef PVB_PASS_CLOCK_H
#define PVB_PASS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct pass_clock {
	uint64_t (*now_ns)(void);     /* the clock: loop_now_ns(), or a test's */
	uint64_t (*ticks)(void);      /* the counter; NULL: it cannot be trusted */
	uint64_t base_ns, base_ticks; /* the same moment by both; 0: not known yet */
	uint64_t rate;                /* ns of a tick, in 2^-24; 0: not known yet */
};

void pass_clock_init(struct pass_clock *clock);

/* CLOCK_MONOTONIC, give or take some microseconds; two readings may be in the wrong order by as much. */
uint64_t pass_clock_ns(struct pass_clock *clock);

#endif
