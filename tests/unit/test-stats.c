/* SPDX-License-Identifier: MIT */
/* Figures in shared memory: a process with the descriptor can read them, and must check everything. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blkback/vbd_stats.h"
#include "core/loop.h"
#include "core/stats.h"
#include "netback/vif_stats.h"

static char *text_of(const struct stats_view *view, uint32_t queue)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	stats_view_print(view, queue, out);
	fclose(out);
	return text;
}

/* The value that `name` has in what was printed. */
static long long value_of(const char *text, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(text, key);
	assert_non_null(at);
	return atoll(at + strlen(key));
}

static void what_is_counted_is_read_by_its_name(void **state)
{
	struct stats_block block;
	struct stats_view view;
	struct vif_stats *mine;
	char *text, *other;

	(void)state;
	assert_int_equal(stats_block_open(&block, &vif_stat_list, 3), 0);
	assert_int_equal(stats_view_open(&view, block.fd), 0);
	assert_int_equal(view.nr_queues, 3);
	mine = stats_block_queue(&block, 1);
	stat_add(&mine->rx_bytes, 1ull << 40);
	stat_add(&mine->rx_bytes, 2);
	stat_set(&mine->notify_suppressed, 7);
	text = text_of(&view, 1);
	other = text_of(&view, 2);
	assert_int_equal(value_of(text, "rx_bytes"), (1ll << 40) + 2);
	assert_int_equal(value_of(text, "notify_suppressed"), 7);
	assert_int_equal(value_of(text, "tx_packets"), 0);
	assert_int_equal(value_of(other, "rx_bytes"), 0);
	assert_null(stats_view_find(&view, 3, "rx_bytes", STAT_COUNTER));
	stats_view_close(&view);
	stats_view_close(&view);
	stats_block_close(&block);
	stats_block_close(&block);
	free(other);
	free(text);
}

static void a_dump_of_ones_own_says_the_same(void **state)
{
	struct stats_block block;
	struct stats_view view;
	char *text, *own = NULL;
	size_t size;
	FILE *out = open_memstream(&own, &size);

	(void)state;
	assert_int_equal(stats_block_open(&block, &vbd_stat_list, 1), 0);
	assert_int_equal(stats_view_open(&view, block.fd), 0);
	((struct vbd_stats *)stats_block_queue(&block, 0))->bytes_read = 4096;
	stats_print(&vbd_stat_list, stats_block_queue(&block, 0), out);
	fclose(out);
	text = text_of(&view, 0);
	assert_string_equal(own, text);
	assert_int_equal(value_of(own, "bytes_read"), 4096);
	stats_view_close(&view);
	stats_block_close(&block);
	free(text);
	free(own);
}

static void rows_of_another_version_are_read(void **state)
{
	static const struct stat_entry entries[] = {
		{ { "notify_sent", "times", STAT_COUNTER }, "" },
		{ { "of_tomorrow", "parsecs", STAT_GAUGE }, "" },
	};
	static const struct stat_list list = { "vbd", entries, 2, 16 };
	struct stats_block block;
	struct stats_view view;
	char *text;

	(void)state;
	assert_int_equal(stats_block_open(&block, &list, 1), 0);
	assert_int_equal(stats_view_open(&view, block.fd), 0);
	((uint64_t *)stats_block_queue(&block, 0))[1] = 5;
	assert_non_null(stats_view_find(&view, 0, "of_tomorrow", STAT_GAUGE));
	assert_null(stats_view_find(&view, 0, "of_tomorrow", STAT_COUNTER));
	assert_null(stats_view_find(&view, 0, "of_today", STAT_COUNTER));
	text = text_of(&view, 0);
	assert_string_equal(text, " notify_sent=0 of_tomorrow=5");
	assert_string_equal(view.rows[1].unit, "parsecs");
	stats_view_close(&view);
	stats_block_close(&block);
	free(text);
}

/* --- hostile blocks --- */

static void only_sealed_memory_is_mapped(void **state)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING), fds[2];
	struct stats_view view;

	(void)state;
	assert_int_equal(ftruncate(fd, 1 << 16), 0);
	assert_int_equal(stats_view_open(&view, fd), -EBADMSG);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(stats_view_open(&view, fd), -EBADMSG);
	close(fd);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(stats_view_open(&view, fds[0]), -EBADMSG);
	close(fds[0]);
	close(fds[1]);
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(stats_view_open(&view, fd), -EBADMSG);
	close(fd);
	fd = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(stats_view_open(&view, fd), -EBADMSG);
	close(fd);
}

static void no_word_of_a_header_leads_out_of_the_block(void **state)
{
	static const uint32_t values[] = { 0,          1,          7,          8,
					   0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff };
	struct stats_block block;
	struct stats_view view;
	uint32_t *words, saved;

	(void)state;
	assert_int_equal(stats_block_open(&block, &vbd_stat_list, 2), 0);
	words = block.mem;
	for (size_t at = 0; at < 7; at++) {
		saved = words[at];
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			words[at] = values[i];
			if (stats_view_open(&view, block.fd))
				continue;
			for (uint32_t queue = 0; queue < view.nr_queues; queue++)
				free(text_of(&view, queue)); /* a wrong read would be a fault */
			stats_view_close(&view);
		}
		words[at] = saved;
	}
	assert_int_equal(stats_view_open(&view, block.fd), 0);
	stats_view_close(&view);
	stats_block_close(&block);
}

static void a_row_is_a_name_a_unit_and_a_kind(void **state)
{
	struct stats_block block;
	struct stats_view view;
	struct stat_row *rows, saved;

	(void)state;
	assert_int_equal(stats_block_open(&block, &vbd_stat_list, 1), 0);
	rows = (struct stat_row *)(void *)((uint8_t *)block.mem + 32);
	assert_string_equal(rows[0].name, "read");
	saved = rows[0];
	memset(rows[0].name, 'a', sizeof(rows[0].name));
	assert_int_equal(stats_view_open(&view, block.fd), -EBADMSG);
	strcpy(rows[0].name, "x=1\nxl: all is well");
	assert_int_equal(stats_view_open(&view, block.fd), -EBADMSG);
	rows[0].name[0] = 0;
	assert_int_equal(stats_view_open(&view, block.fd), -EBADMSG);
	rows[0] = saved;
	strcpy(rows[0].unit, "\033[2J");
	assert_int_equal(stats_view_open(&view, block.fd), -EBADMSG);
	rows[0] = saved;
	rows[0].kind = 77;
	assert_int_equal(stats_view_open(&view, block.fd), -EBADMSG);
	stats_block_close(&block);
}

/* --- times --- */

static void a_time_is_in_the_bucket_that_begins_before_it(void **state)
{
	(void)state;
	assert_int_equal(stat_bucket(0), 0);
	assert_int_equal(stat_bucket(1023), 0);
	assert_int_equal(stat_bucket(1024), 1);
	assert_int_equal(stat_bucket(UINT64_MAX), STAT_BUCKETS - 1);
	for (uint32_t i = 1; i < STAT_BUCKETS; i++) {
		uint64_t begins = stat_bucket_begin(i), before = stat_bucket_begin(i - 1);

		assert_int_equal(stat_bucket(begins), i);
		assert_int_equal(stat_bucket(begins - 1), i - 1);
		assert_true(i == 1 || (begins - before) * 4 <= begins);
	}
	assert_in_range(stat_bucket_begin(STAT_BUCKETS - 1), 64000000000, 70000000000);
}

static void times_are_told_by_count_mean_and_quantiles(void **state)
{
	static const struct stat_entry entries[] = {
		{ { "time_never", "ns", STAT_TIMES }, "" },
		{ { "time_a", "ns", STAT_TIMES }, "" },
	};
	struct stat_times words[2] = { 0 }, hostile;
	const struct stat_list list = { "x", entries, 2, sizeof(words) };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	stat_took(&words[1], 1000, 1000 + 80000, 98);
	stat_took(&words[1], 0, 20000000, 2);
	stat_took(&words[1], 5, 4, 0);
	stats_print(&list, words, out);
	fclose(out);
	assert_int_equal(value_of(text, "time_a_count"), 100);
	assert_int_equal(value_of(text, "time_a_mean_us"), (98 * 80 + 2 * 20000) / 100);
	assert_in_range(value_of(text, "time_a_p50_us"), 73, 82);
	assert_in_range(value_of(text, "time_a_p99_us"), 18000, 21000);
	assert_null(strstr(text, "time_never"));
	memset(&hostile, 0xff, sizeof(hostile));
	stat_times_quantile(&hostile, 990);
	memset(&hostile, 0, sizeof(hostile));
	assert_int_equal(stat_times_count(&hostile), 0);
	stat_times_quantile(&hostile, 990);
	free(text);
}

static void what_began_is_told_by_its_age(void **state)
{
	struct vbd_stats stats = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	stats.oldest = loop_now_ns() - 5000000000;
	stats_print(&vbd_stat_list, &stats, out);
	fclose(out);
	assert_in_range(value_of(text, "oldest"), 5000000000, 3600000000000);
	assert_int_equal(value_of(text, "oldest_submitted"), 0);
	free(text);
}

static void what_rests_neither_changes_nor_waits(void **state)
{
	const struct stat_list *lists[] = { &vbd_stat_list, &vif_stat_list };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct stats_block block;
		struct stats_view view;

		assert_int_equal(stats_block_open(&block, lists[i], 2), 0);
		assert_int_equal(stats_view_open(&view, block.fd), 0);
		stats_view_rests(&view);
		for (uint32_t row = 0; row < lists[i]->nr; row++) {
			const struct stat_row *is = &lists[i]->entries[row].row;
			const uint64_t *seen = stats_view_find(&view, 1, is->name, is->kind);
			uint64_t *word = stats_block_queue(&block, 1);

			if (is->kind == STAT_TIMES)
				continue;
			assert_true(stats_view_rests(&view));
			word += seen - stats_view_next(&view, 1, 0, NULL);
			stat_set(word, 7);
			assert_false(stats_view_rests(&view));
			assert_int_equal(stats_view_rests(&view), is->kind != STAT_SINCE);
			stat_set(word, 0);
			assert_false(stats_view_rests(&view));
		}
		stats_view_close(&view);
		stats_block_close(&block);
	}
}

/* --- the lists --- */

static const struct stat_entry *find(const struct stat_list *list, const char *name)
{
	const struct stat_entry *found = NULL;

	for (uint32_t i = 0; i < list->nr; i++)
		if (strcmp(list->entries[i].row.name, name) == 0) {
			assert_null(found);
			found = &list->entries[i];
		}
	return found;
}

static void a_name_means_one_thing_in_both_lists(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < vbd_stat_list.nr; i++) {
		const struct stat_entry *disk = &vbd_stat_list.entries[i];
		const struct stat_entry *nic = find(&vif_stat_list, disk->row.name);

		assert_ptr_equal(find(&vbd_stat_list, disk->row.name), disk);
		assert_true(!nic || strcmp(nic->help, disk->help) == 0);
		assert_true(!nic || strcmp(nic->row.unit, disk->row.unit) == 0);
	}
	assert_non_null(find(&vif_stat_list, "notify_sent"));
}

static long long count_of(const struct vbd_stats *stats, const char *name)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	long long value;

	stats_print(&vbd_stat_list, stats, out);
	fclose(out);
	value = value_of(text, name);
	free(text);
	return value;
}

static void each_operation_and_each_refusal_has_its_counter(void **state)
{
	struct vbd_stats stats = { 0 };

	(void)state;
	for (uint8_t op = 0; op < BLKIF_INDIRECT; op++) {
		struct blk_request req = { .op = op };

		if (op == 4) /* no such operation */
			continue;
		vbd_stats_take(&stats, &req);
		assert_int_equal(count_of(&stats, blkif_op_name(op)), 1);
	}
	vbd_stats_take(&stats, &(struct blk_request){ .op = BLKIF_WRITE, .indirect = 1 });
	assert_int_equal(stats.write, 2);
	assert_int_equal(count_of(&stats, blkif_op_name(BLKIF_INDIRECT)), 1);
	for (int fault = BLKIF_FINE + 1; fault < BLKIF_NR_FAULTS; fault++) {
		vbd_stats_refuse(&stats, (enum blkif_fault)fault);
		assert_int_equal(count_of(&stats, blkif_fault_name((enum blkif_fault)fault)), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_counted_is_read_by_its_name),
		cmocka_unit_test(a_dump_of_ones_own_says_the_same),
		cmocka_unit_test(rows_of_another_version_are_read),
		cmocka_unit_test(only_sealed_memory_is_mapped),
		cmocka_unit_test(no_word_of_a_header_leads_out_of_the_block),
		cmocka_unit_test(a_row_is_a_name_a_unit_and_a_kind),
		cmocka_unit_test(a_time_is_in_the_bucket_that_begins_before_it),
		cmocka_unit_test(times_are_told_by_count_mean_and_quantiles),
		cmocka_unit_test(what_began_is_told_by_its_age),
		cmocka_unit_test(what_rests_neither_changes_nor_waits),
		cmocka_unit_test(a_name_means_one_thing_in_both_lists),
		cmocka_unit_test(each_operation_and_each_refusal_has_its_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
