/* SPDX-License-Identifier: MIT */
/* The time of a pass: read from the counter where that is reliable, and corrected by the clock. */
#include "unit.h"

#include <stdbool.h>
#include <stddef.h>

#include "core/loop.h"
#include "guest/pass_clock.h"

#define MS UINT64_C(1000000)

/* A counter of 2.5 GHz beside a clock. */
static uint64_t clock_ns, counter, interrupted;
static unsigned int clock_reads;

static uint64_t read_clock(void)
{
	clock_reads++;
	counter += interrupted;
	return clock_ns;
}

static uint64_t read_counter(void)
{
	return counter;
}

static void time_passes(uint64_t ns)
{
	clock_ns += ns;
	counter += ns * 5 / 2;
}

static struct pass_clock begin(void)
{
	clock_ns = 3600 * 1000 * MS;
	counter = 77;
	clock_reads = 0;
	interrupted = 0;
	return (struct pass_clock){ .now_ns = read_clock, .ticks = read_counter };
}

static bool is_about(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) < 1000;
}

static void without_a_counter_the_clock_is_read(void **state)
{
	struct pass_clock clock = begin();

	(void)state;
	clock.ticks = NULL;
	for (unsigned int i = 1; i < 10; i++) {
		time_passes(MS / 3);
		assert_int_equal(pass_clock_ns(&clock), clock_ns);
		assert_int_equal(clock_reads, i);
	}
}

static void the_clock_is_read_once_a_second_or_less(void **state)
{
	struct pass_clock clock = begin();
	unsigned int reads;

	(void)state;
	for (int ms = 0; ms < 60; ms++, time_passes(MS))
		assert_true(is_about(pass_clock_ns(&clock), clock_ns));
	reads = clock_reads;
	for (int ms = 0; ms < 100000; ms += 7, time_passes(7 * MS))
		assert_true(is_about(pass_clock_ns(&clock), clock_ns));
	assert_in_range(clock_reads - reads, 50, 100);
}

static void a_drift_does_not_add_up(void **state)
{
	struct pass_clock clock = begin();
	uint64_t worst = 0;

	(void)state;
	for (int ms = 0; ms < 100000; ms += 3) {
		uint64_t now = pass_clock_ns(&clock);

		worst = now > clock_ns && now - clock_ns > worst ? now - clock_ns : worst;
		time_passes(3 * MS);
		counter += (uint64_t)ms / 20; /* it becomes faster, up to 0.07 % */
	}
	assert_true(worst > 0 && worst < MS / 50);
}

static void a_reading_that_was_interrupted_is_not_believed(void **state)
{
	struct pass_clock clock = begin();

	(void)state;
	pass_clock_ns(&clock);
	time_passes(100 * MS);
	interrupted = 25000000; /* 10 ms */
	assert_int_equal(pass_clock_ns(&clock), clock_ns);
	clock_ns += 10 * MS;
	interrupted = 0;
	assert_int_equal(pass_clock_ns(&clock), clock_ns);
	time_passes(500 * MS);
	assert_true(is_about(pass_clock_ns(&clock), clock_ns));
	assert_int_equal(clock_reads, 3);
}

static void a_counter_that_begins_anew_is_noticed(void **state)
{
	struct pass_clock clock = begin();

	(void)state;
	counter = UINT64_C(1) << 50;
	for (int ms = 0; ms < 200; ms++, time_passes(MS))
		assert_true(is_about(pass_clock_ns(&clock), clock_ns));
	counter = 5;
	for (int ms = 0; ms < 3000; ms++, time_passes(MS))
		assert_true(is_about(pass_clock_ns(&clock), clock_ns));
}

static void a_long_sleep_costs_one_reading(void **state)
{
	struct pass_clock clock = begin();

	(void)state;
	for (int ms = 0; ms < 60; ms++, time_passes(MS))
		pass_clock_ns(&clock);
	time_passes(7 * 24 * 3600 * 1000 * MS);
	assert_int_equal(pass_clock_ns(&clock), clock_ns);
	for (int ms = 0; ms < 3000; ms++, time_passes(MS))
		assert_true(is_about(pass_clock_ns(&clock), clock_ns));
}

/* Whatever this machine's counter is like. */
static void the_real_one_keeps_to_the_clock(void **state)
{
	struct pass_clock clock;
	uint64_t before, now, until = loop_now_ns() + 200 * MS;

	(void)state;
	pass_clock_init(&clock);
	do {
		before = loop_now_ns();
		now = pass_clock_ns(&clock);
		assert_in_range(now, before - MS, loop_now_ns() + MS);
	} while (before < until);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_counter_the_clock_is_read),
		cmocka_unit_test(the_clock_is_read_once_a_second_or_less),
		cmocka_unit_test(a_drift_does_not_add_up),
		cmocka_unit_test(a_reading_that_was_interrupted_is_not_believed),
		cmocka_unit_test(a_counter_that_begins_anew_is_noticed),
		cmocka_unit_test(a_long_sleep_costs_one_reading),
		cmocka_unit_test(the_real_one_keeps_to_the_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
