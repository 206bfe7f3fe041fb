/* SPDX-License-Identifier: MIT */
#include "core/loop.h"
#include "guest/pass_clock.h"

#define RATE_SHIFT 24
/* After so many ticks (one to four seconds) read the clock again. This also keeps all products within 64 bits. */
#define SET_TICKS (UINT64_C(1) << 32)
/* Measure the first rate over so long, so that the error of a reading is small. */
#define FIRST_NS (50u * 1000u * 1000u)
/* If more ticks than this pass while both are read, the reading was interrupted, and is not used. */
#define BOTH_TICKS (UINT64_C(1) << 16)

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <x86intrin.h>

#define CPUID_POWER   0x80000007u
#define INVARIANT_TSC (1u << 8)
/* Reading an emulated counter takes thousands of ticks. */
#define READ_TICKS 1000u

static uint64_t read_tsc(void)
{
	return __rdtsc();
}

static bool is_emulated(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t begin = read_tsc(), took = read_tsc() - begin;

		least = took < least ? took : least;
	}
	return least > READ_TICKS;
}

static bool is_trusted(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(CPUID_POWER, &eax, &ebx, &ecx, &edx) && (edx & INVARIANT_TSC) &&
	       !is_emulated();
}
#else
static uint64_t read_tsc(void)
{
	return 0;
}

static bool is_trusted(void)
{
	return false;
}
#endif

void pass_clock_init(struct pass_clock *clock)
{
	*clock = (struct pass_clock){ .now_ns = loop_now_ns,
				      .ticks = is_trusted() ? read_tsc : NULL };
}

/* The rate, or 0 when it cannot be computed: too much time has passed, or the counter stood still. */
static uint64_t rate_of(uint64_t ns, uint64_t ticks)
{
	uint64_t rate;

	if (ns > UINT64_MAX >> RATE_SHIFT || ticks == 0)
		return 0;
	rate = (ns << RATE_SHIFT) / ticks;
	return rate > UINT32_MAX ? 0 : rate;
}

/* Read both, and compute the rate since the last time. */
static uint64_t set_by_clock(struct pass_clock *clock)
{
	uint64_t before = clock->ticks(), ns = clock->now_ns(), after = clock->ticks();

	if (after - before > BOTH_TICKS)
		return ns;
	if (!clock->base_ticks || after < clock->base_ticks)
		clock->rate = 0;
	else if (ns - clock->base_ns < FIRST_NS)
		return ns;
	else
		clock->rate = rate_of(ns - clock->base_ns, before - clock->base_ticks);
	clock->base_ns = ns;
	clock->base_ticks = before;
	return ns;
}

uint64_t pass_clock_ns(struct pass_clock *clock)
{
	uint64_t since;

	if (!clock->ticks)
		return clock->now_ns();
	since = clock->ticks() - clock->base_ticks;
	if (!clock->rate || since >= SET_TICKS)
		return set_by_clock(clock);
	return clock->base_ns + (since * clock->rate >> RATE_SHIFT);
}
