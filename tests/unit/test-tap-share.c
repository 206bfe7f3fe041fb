/* SPDX-License-Identifier: MIT */
/* The taps' queues: all together hold a bounded amount, whichever taps are added and removed. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "netback/budget.h"
#include "netback/tap_share.h"

#define NR_TAPS 500u
#define LARGE   65535u

static struct tap taps[NR_TAPS];
static struct tap_share shares[NR_TAPS];
static uint32_t length[NR_TAPS], nr_calls;
static int set_err;

int tap_set_queue_len(struct tap *tap, unsigned int nr_frames)
{
	nr_calls++;
	if (!set_err)
		length[tap - taps] = nr_frames;
	return set_err;
}

static int take(uint32_t i, uint32_t frame_bytes)
{
	return tap_share_take(&shares[i], &taps[i], frame_bytes, 1);
}

static void drop_all(void)
{
	for (uint32_t i = 0; i < NR_TAPS; i++) {
		tap_share_drop(&shares[i]);
		tap_share_drop(&shares[i]);
		length[i] = 0;
	}
	nr_calls = 0;
	set_err = 0;
}

static uint64_t bytes_in_all(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < NR_TAPS; i++)
		sum += (uint64_t)length[i] * LARGE;
	return sum;
}

static void all_together_keep_within_the_budget(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_TAPS; i++) {
		CHECK(take(i, LARGE) == 0);
		CHECK(length[i] >= BUDGET_MIN_FRAMES);
		CHECK(bytes_in_all() <= (uint64_t)BUDGET_ALL_BYTES / 4 * 5);
	}
	/* Each queue was shortened now and then, not each time. */
	CHECK(length[0] < 2 * length[NR_TAPS - 1] && nr_calls < NR_TAPS * 20);
	drop_all();
}

static void what_goes_leaves_its_share(void **state)
{
	uint32_t alone;

	(void)state;
	take(0, LARGE);
	alone = length[0];
	for (uint32_t i = 1; i < 100; i++)
		take(i, LARGE);
	CHECK(length[99] < alone);
	for (uint32_t i = 0; i < 99; i++)
		tap_share_drop(&shares[i]);
	take(99, LARGE);
	CHECK(length[99] == alone);
	drop_all();
}

static void a_tap_that_comes_again_counts_once(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		take(0, LARGE);
	CHECK(nr_calls == 100 && length[0] >= 100);
	take(0, 1514);
	CHECK(length[0] == BUDGET_MAX_FRAMES);
	drop_all();
}

static void one_that_cannot_be_set_holds_up_nobody(void **state)
{
	(void)state;
	CHECK(take(0, LARGE) == 0);
	set_err = -ENODEV;
	for (uint32_t i = 1; i < 200; i++)
		CHECK(take(i, LARGE) == -ENODEV);
	set_err = 0;
	CHECK(take(200, LARGE) == 0);
	CHECK(length[0] == length[200]); /* tried again */
	drop_all();
}

static void a_small_machine_has_a_small_budget(void **state)
{
	(void)state;
	assert_int_equal(budget_all_bytes((uint64_t)64 << 30), BUDGET_ALL_BYTES);
	assert_int_equal(budget_all_bytes((uint64_t)500 << 20), 100 << 20);
	assert_int_equal(budget_all_bytes(0), 0);
	assert_int_equal(budget_frames(65536, 1, 1, 100 << 20), 1000);
	assert_int_equal(budget_frames(65536, 1, 10, 100 << 20), 160);
	assert_int_equal(budget_frames(65536, 1, 1, 0), BUDGET_MIN_FRAMES);
}

static void a_vif_has_so_many_frames(void **state)
{
	(void)state;
	assert_int_equal(budget_frames(65536, 1, 1, BUDGET_ALL_BYTES), 1000);
	assert_int_equal(budget_frames(65536, 4, 1, BUDGET_ALL_BYTES), 256);
	assert_int_equal(budget_frames(65536, 1, 100, BUDGET_ALL_BYTES), 128);
	assert_int_equal(budget_frames(1514, 1, 1, BUDGET_ALL_BYTES), 1000);
	assert_int_equal(budget_frames(65535, 8, 1000000, BUDGET_ALL_BYTES), BUDGET_MIN_FRAMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_together_keep_within_the_budget),
		cmocka_unit_test(what_goes_leaves_its_share),
		cmocka_unit_test(a_tap_that_comes_again_counts_once),
		cmocka_unit_test(one_that_cannot_be_set_holds_up_nobody),
		cmocka_unit_test(a_small_machine_has_a_small_budget),
		cmocka_unit_test(a_vif_has_so_many_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
