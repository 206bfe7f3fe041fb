/* SPDX-License-Identifier: MIT */
/*
 * Monotonic time that is cheap enough for each pass. In a PV Dom0 reading the clock is a system call, which goes through the
 * hypervisor. Reading the processor's time stamp counter costs almost nothing. So we use the counter where it can be
 * trusted (its rate is constant, and the hypervisor does not emulate it), and compare it with the clock every few seconds.
 *
 * Each worker has one. Where the counter cannot be trusted, a pass reads the clock once.
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
