/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "control/cpu.h"

uint64_t cpu_ns(pid_t pid)
{
	struct timespec ran;
	clockid_t clock;

	if (!pid || clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ran) < 0)
		return 0;
	return (uint64_t)ran.tv_sec * 1000000000u + (uint64_t)ran.tv_nsec;
}
