/* SPDX-License-Identifier: MIT */
/* The rate limit: the key that xl writes, and its effect. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rate.h"

#define MSEC UINT64_C(1000000)
#define BYTES                                                                                      \
	{                                                                                          \
		.min_burst = RATE_MIN_BURST_BYTES, .max_debt = RATE_MIN_BURST_BYTES                \
	}

/* Returns how many packets of `size` bytes pass within `ms`, if each passes as soon as it may. */
static uint64_t send_for(struct rate *rate, uint32_t size, uint64_t from_ms, uint64_t ms)
{
	uint64_t now = from_ms * MSEC, end = (from_ms + ms) * MSEC, nr = 0;

	while (now < end) {
		uint64_t wait = rate_take(rate, size, now);

		now += wait;
		nr += wait == 0;
	}
	return nr;
}

static void what_xl_writes_is_understood(void **state)
{
	uint32_t bytes, usecs;

	(void)state;
	assert_int_equal(rate_parse("500000,50000", &bytes, &usecs), 0);
	assert_int_equal(bytes, 500000);
	assert_int_equal(usecs, 50000);
	assert_int_equal(rate_parse("0,50000", &bytes, &usecs), 0);
	assert_int_equal(bytes, 0);
}

static void what_is_too_large_for_32_bits_is_the_same_limit_in_smaller_numbers(void **state)
{
	uint32_t bytes, usecs;

	(void)state;
	assert_int_equal(rate_parse("5000000000,10000000", &bytes, &usecs), 0);
	assert_int_equal(bytes, 2500000000u);
	assert_int_equal(usecs, 5000000);
	assert_int_equal(rate_parse("1000,10000000000", &bytes, &usecs), 0);
	assert_int_equal(bytes, 250);
	assert_int_equal(usecs, 2500000000u);
	assert_int_equal(rate_parse("1099511627776,1", &bytes, &usecs), 0);
	assert_true(bytes > 0 && usecs == 1);
	assert_int_equal(rate_parse("1,1099511627776", &bytes, &usecs), 0);
	assert_true(bytes == 1 && usecs > 0);
	assert_int_equal(rate_parse("0,1099511627776", &bytes, &usecs), 0);
	assert_true(bytes == 0 && usecs == 0);
}

static void anything_else_is_refused(void **state)
{
	static const char *const texts[] = { "",
					     ",",
					     "1",
					     "1,",
					     "1,x",
					     "-1,1",
					     "1,-1",
					     " 1,1",
					     "1 ,1",
					     "1,1 ",
					     "1,1,1",
					     "0x10,10",
					     "99999999999999999999,1" };
	uint32_t bytes, usecs;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(rate_parse(texts[i], &bytes, &usecs), -EINVAL);
}

static void without_a_limit_everything_goes(void **state)
{
	struct rate rate = BYTES;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rate_take(&rate, 65535, 0), 0);
}

static void a_burst_goes_at_once_and_no_more(void **state)
{
	struct rate rate = BYTES;
	uint32_t sent = 0;

	(void)state;
	rate_set(&rate, 1000000, 1000000);
	while (rate_take(&rate, 1000, 5 * MSEC) == 0)
		sent += 1000;
	assert_int_equal(sent, 1000000);
	rate_set(&rate, 10, 1000000);
	rate.paid_ns = 0;
	assert_int_equal(rate_take(&rate, 65535, 5 * MSEC), 0); /* the largest packet always fits */
}

static void the_average_is_kept_for_small_and_large_packets(void **state)
{
	static const uint32_t sizes[] = { 60, 1500, 65535 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rate rate = BYTES;
		uint64_t bytes;

		rate_set(&rate, 500000, 50000); /* 10 MB/s */
		bytes = send_for(&rate, sizes[i], 1000, 10000) * sizes[i];
		assert_in_range(bytes, 100000000 - 65535, 100000000 + 500000 + 65535);
	}
}

static void a_pause_saves_up_a_burst_and_not_more(void **state)
{
	struct rate rate = BYTES;
	uint64_t bytes;

	(void)state;
	rate_set(&rate, 500000, 50000);
	send_for(&rate, 1500, 0, 1000);
	bytes = send_for(&rate, 1500, 100000, 1000) * 1500;
	assert_in_range(bytes, 10000000, 10000000 + 500000 + 1500);
}

static void a_wait_is_exact(void **state)
{
	struct rate rate = BYTES;
	uint64_t now = 1000 * MSEC, wait;

	(void)state;
	rate_set(&rate, 1000, 1000);
	while ((wait = rate_take(&rate, 1000, now)) == 0)
		;
	assert_true(rate_take(&rate, 1000, now + wait - 1) > 0);
	assert_int_equal(rate_take(&rate, 1000, now + wait), 0);
}

static void a_change_works_at_once(void **state)
{
	struct rate rate = BYTES;

	(void)state;
	rate_set(&rate, 1000, 1000);
	while (rate_take(&rate, 1000, 0) == 0)
		;
	rate_set(&rate, 0, 0);
	assert_int_equal(rate_take(&rate, 65535, 0), 0);
	/* From a byte per second to a gigabyte: the hours that were still to wait no longer count. */
	rate_set(&rate, 1, 1000000);
	while (rate_take(&rate, 1000, 0) == 0)
		;
	rate_set(&rate, 1000000000, 1000000);
	assert_true(rate_take(&rate, 1000, 0) <= MSEC);
	assert_int_equal(rate_take(&rate, 1000, MSEC), 0); /* permanently, not again at each call */
}

static void a_limit_may_count_packets(void **state)
{
	struct rate rate = { 0 };
	uint64_t nr = 0;

	(void)state;
	rate_set(&rate, 50, 50000); /* a thousand in a second, fifty at once */
	while (rate_take(&rate, 1, 5 * MSEC) == 0)
		nr++;
	assert_int_equal(nr, 50);
	nr = send_for(&rate, 1, 5, 10000);
	assert_in_range(nr, 9999, 10050);
}

/* If a packet passes before its size is known, exactly its bytes are counted later. */
static void charged_packets_keep_the_average(void **state)
{
	struct rate_pair pair = { .bytes = BYTES };
	uint64_t now = 0, wait, nr = 0;

	(void)state;
	rate_set(&pair.bytes, 500000, 50000); /* 10 MB/s */
	while (now < 10000 * MSEC) {
		wait = rate_pair_wait(&pair, now);
		now += wait;
		if (wait)
			continue;
		rate_pair_charge(&pair, 1, 65535, now);
		nr++;
	}
	assert_in_range(nr * 65535, 100000000 - 65535, 100000000 + 500000 + 65535);
}

static void the_stricter_of_two_limits_counts(void **state)
{
	struct rate_pair pair = { .bytes = BYTES };
	uint64_t now = 0, nr = 0, nr_charged = 0;

	(void)state;
	assert_false(rate_pair_is_set(&pair));
	rate_set(&pair.packets, 100, 100000); /* a thousand in a second */
	assert_true(rate_pair_is_set(&pair));
	rate_set(&pair.bytes, 10000, 100000); /* 100 kB in a second */
	while (rate_pair_take(&pair, 1, 60, now) == 0)
		nr++;
	assert_int_equal(nr, 100); /* small ones: by number */
	now = 100000 * MSEC;
	nr = 0;
	while (rate_pair_take(&pair, 1, 10000, now) == 0)
		nr++;
	assert_int_equal(nr, RATE_MIN_BURST_BYTES / 10000); /* large ones: by size */
	/* A packet that is held back for its size is not counted. */
	now += 86900 * 1000; /* almost the time that its bytes need */
	for (nr = 0; nr < 200; nr++)
		assert_true(rate_pair_take(&pair, 1, 10000, now) > 0);
	now = 200000 * MSEC;
	while (rate_pair_wait(&pair, now) == 0) {
		rate_pair_charge(&pair, 1, 60, now);
		nr_charged++;
	}
	assert_int_equal(nr_charged, 100);
}

/* However small the burst is, so many packets may pass together; the next ones then wait longer. */
/* Each ring of a disk may have another worker. All of them may find at the same time that one request may pass. */
static void all_who_saw_that_one_may_go_pay(void **state)
{
	struct rate_pair pair = { .packets.min_burst = 1, .packets.max_debt = 4 };
	uint64_t now = 1000 * MSEC;

	(void)state;
	rate_set(&pair.packets, 1, 5000); /* one in 5 ms */
	assert_int_equal(rate_pair_take(&pair, 1, 512, now), 0);
	now += 5 * MSEC;
	for (int i = 0; i < 4; i++)
		rate_charge(&pair.packets, 1, now);
	assert_int_equal(rate_pair_take(&pair, 1, 512, now), 20 * MSEC);
}

static void packets_that_go_together_are_all_paid_for(void **state)
{
	struct rate_pair pair = { .packets.max_debt = 139 };
	uint64_t now = 0, wait, nr = 0;

	(void)state;
	rate_set(&pair.packets, 10, 10000); /* a thousand in a second, ten at once */
	while (now < 100000 * MSEC) {
		wait = rate_pair_take(&pair, 139, 65535, now);
		now += wait;
		nr += wait ? 0 : 139;
	}
	assert_in_range(nr, 100000 - 139, 100000 + 10 + 139);
}

static void extremes_do_not_overflow(void **state)
{
	struct rate rate = BYTES;
	uint64_t now = UINT64_MAX / 8, wait;

	(void)state;
	rate_set(&rate, 1, UINT32_MAX);
	assert_int_equal(rate_take(&rate, 65535, now), 0);
	wait = rate_take(&rate, 65535, now);
	assert_true(wait == 0 || wait < UINT64_MAX / 2);
	rate_set(&rate, UINT32_MAX, 1);
	assert_int_equal(rate_take(&rate, 65535, UINT64_MAX / 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_xl_writes_is_understood),
		cmocka_unit_test(
			what_is_too_large_for_32_bits_is_the_same_limit_in_smaller_numbers),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(without_a_limit_everything_goes),
		cmocka_unit_test(a_burst_goes_at_once_and_no_more),
		cmocka_unit_test(the_average_is_kept_for_small_and_large_packets),
		cmocka_unit_test(a_pause_saves_up_a_burst_and_not_more),
		cmocka_unit_test(a_wait_is_exact),
		cmocka_unit_test(a_change_works_at_once),
		cmocka_unit_test(a_limit_may_count_packets),
		cmocka_unit_test(charged_packets_keep_the_average),
		cmocka_unit_test(the_stricter_of_two_limits_counts),
		cmocka_unit_test(all_who_saw_that_one_may_go_pay),
		cmocka_unit_test(packets_that_go_together_are_all_paid_for),
		cmocka_unit_test(extremes_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
