/* SPDX-License-Identifier: MIT */
/* The daemon's notices of a device: each once, when the condition has lasted long enough, and when it is over. */
#include "unit.h"

#include <string.h>

#include "blkback/vbd_stats.h"
#include "control/notice.h"

#define S UINT64_C(1000000000)

static const struct notice_rule rules[] = {
	{ .name = "old", .figure = "oldest", .kind = STAT_SINCE, .seconds = 10 },
	{ .name = "busy", .figure = "throttled", .kind = STAT_COUNTER, .seconds = 60 },
	{ .name = "none", .figure = "no such", .kind = STAT_COUNTER, .seconds = 0 },
	{ 0 },
};

static struct stats_block block;
static struct stats_view view;
static struct notices notices;
static uint64_t now;

static struct vbd_stats *queue(uint32_t index)
{
	return stats_block_queue(&block, index);
}

static enum notice_change look(unsigned int nr)
{
	return notice_look(&notices, rules, nr, &view, now);
}

/* Call it as often as control does, for so long. With `grows`, the counter grows each time. Returns the last answer. */
static enum notice_change for_seconds(unsigned int seconds, unsigned int nr, bool grows)
{
	enum notice_change change = NOTICE_NONE;

	for (unsigned int i = 0; i < seconds / NOTICE_LOOK_S; i++) {
		assert_int_equal(change, NOTICE_NONE);
		now += NOTICE_LOOK_S * S;
		stat_add(&queue(i % 2)->throttled, grows);
		change = look(nr);
	}
	return change;
}

static void what_began_long_ago_is_said_once(void **state)
{
	(void)state;
	assert_int_equal(look(0), NOTICE_NONE);
	stat_set(&queue(1)->oldest, now);
	now += 10 * S - 1;
	assert_int_equal(look(0), NOTICE_NONE);
	now += 1;
	assert_int_equal(look(0), NOTICE_BEGINS);
	now += 100 * S;
	assert_int_equal(look(0), NOTICE_NONE);
	stat_set(&queue(1)->oldest, now - 1);
	assert_int_equal(look(0), NOTICE_ENDS);
	assert_int_equal(look(0), NOTICE_NONE);
}

static void the_oldest_of_all_queues_counts(void **state)
{
	(void)state;
	stat_set(&queue(0)->oldest, now - 11 * S);
	stat_set(&queue(1)->oldest, now - 2 * S);
	assert_int_equal(look(0), NOTICE_BEGINS);
}

/* A guest may have taken over the process that writes the figures. */
static void a_time_to_come_is_none(void **state)
{
	(void)state;
	stat_set(&queue(0)->oldest, UINT64_MAX);
	stat_set(&queue(1)->oldest, now + 1);
	assert_int_equal(look(0), NOTICE_NONE);
}

static void what_grows_for_a_minute_is_said(void **state)
{
	(void)state;
	assert_int_equal(look(1), NOTICE_NONE);
	assert_int_equal(for_seconds(55, 1, true), NOTICE_NONE);
	assert_int_equal(for_seconds(5, 1, true), NOTICE_BEGINS);
	assert_int_equal(for_seconds(300, 1, true), NOTICE_NONE);
	assert_int_equal(for_seconds(5, 1, false), NOTICE_ENDS);
}

static void a_pause_begins_it_anew(void **state)
{
	(void)state;
	assert_int_equal(look(1), NOTICE_NONE);
	assert_int_equal(for_seconds(55, 1, true), NOTICE_NONE);
	assert_int_equal(for_seconds(5, 1, false), NOTICE_NONE);
	assert_int_equal(for_seconds(55, 1, true), NOTICE_NONE);
	assert_int_equal(for_seconds(5, 1, true), NOTICE_BEGINS);
}

/* Counts from before the start are no growth; nor is a new life, which counts from 0. */
static void a_number_that_falls_does_not_grow(void **state)
{
	(void)state;
	stat_set(&queue(0)->throttled, 1000);
	assert_int_equal(look(1), NOTICE_NONE);
	assert_int_equal(for_seconds(55, 1, true), NOTICE_NONE);
	stat_set(&queue(0)->throttled, 1);
	assert_int_equal(for_seconds(5, 1, false), NOTICE_NONE);
	assert_int_equal(for_seconds(55, 1, true), NOTICE_NONE);
}

static void it_is_not_said_again_soon(void **state)
{
	(void)state;
	assert_int_equal(look(1), NOTICE_NONE);
	assert_int_equal(for_seconds(60, 1, true), NOTICE_BEGINS);
	assert_int_equal(for_seconds(5, 1, false), NOTICE_ENDS);
	assert_int_equal(for_seconds(3300, 1, true), NOTICE_NONE);
	now += 300 * S;
	assert_int_equal(for_seconds(5, 1, true), NOTICE_BEGINS);
}

static void a_figure_that_is_not_there_says_nothing(void **state)
{
	(void)state;
	assert_int_equal(look(2), NOTICE_NONE);
	assert_int_equal(for_seconds(60, 2, true), NOTICE_NONE);
}

static int begin(void **state)
{
	(void)state;
	memset(&notices, 0, sizeof(notices));
	now = 1000 * S;
	return stats_block_open(&block, &vbd_stat_list, 2) || stats_view_open(&view, block.fd) ? -1
											       : 0;
}

static int end(void **state)
{
	(void)state;
	stats_view_close(&view);
	stats_block_close(&block);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_began_long_ago_is_said_once),
		TEST(the_oldest_of_all_queues_counts),
		TEST(a_time_to_come_is_none),
		TEST(what_grows_for_a_minute_is_said),
		TEST(a_pause_begins_it_anew),
		TEST(a_number_that_falls_does_not_grow),
		TEST(it_is_not_said_again_soon),
		TEST(a_figure_that_is_not_there_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
