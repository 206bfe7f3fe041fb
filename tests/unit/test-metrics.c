/* SPDX-License-Identifier: MIT */
/* The metrics for Prometheus. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "blkback/vbd_stats.h"
#include "control/metrics.h"
#include "netback/vif_stats.h"

#define S UINT64_C(1000000000)

static struct stats_block disk_block, nic_block;
static struct stats_view disk_view, nic_view;
static struct vbd_stats *rings[2];
static struct vif_stats *queue;

static void write_to(FILE *out, enum metrics_format format)
{
	const struct metrics metrics = { out, format };
	const struct metrics_device devices[] = { { "web", "xvda", "vbd", &disk_view },
						  { "a\"b\\c\nd", "xvdb", "vbd3", &disk_view },
						  { "web", "vif0", "vif", &nic_view } };
	const struct metrics_label version[] = { { "version", "1" }, { NULL, NULL } };

	metrics_family(&metrics, "pvbackd_build", METRICS_INFO, "Which daemon it is.");
	metrics_sample(&metrics, "pvbackd_build", METRICS_INFO, version, 1);
	metrics_devices(&metrics, devices, 3, 100 * S);
	metrics_end(&metrics);
}

static char *text_of(enum metrics_format format)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	write_to(out, format);
	fclose(out);
	return text;
}

/* True if the text has this line. */
static bool has(const char *text, const char *line)
{
	const char *at = text;
	size_t len = strlen(line);

	while ((at = strstr(at, line))) {
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
		at++;
	}
	return false;
}

static void queues_are_added_up(void **state)
{
	char *text;

	(void)state;
	stat_add(&rings[0]->read, 3);
	stat_add(&rings[1]->read, 4);
	stat_add(&queue->rx_drop_big, 5);
	text = text_of(METRICS_TEXT);
	assert_true(has(text, "pvbackd_disk_requests_total{domain=\"web\",device=\"xvda\",kind="
			      "\"vbd\",op=\"read\"} 7"));
	assert_true(has(text, "pvbackd_vif_dropped_frames_total{domain=\"web\",device=\"vif0\","
			      "kind=\"vif\",reason=\"rx_big\"} 5"));
	free(text);
}

static void ages_and_times_are_seconds(void **state)
{
	char *text;

	(void)state;
	stat_set(&rings[0]->oldest, 99 * S);
	stat_set(&rings[1]->oldest, 97 * S + S / 2);
	stat_took(&rings[0]->time_limit, 0, 1500000, 2);
	text = text_of(METRICS_TEXT);
	assert_true(has(text, "pvbackd_disk_oldest_request_seconds{domain=\"web\",device=\"xvda\","
			      "kind=\"vbd\"} 2.500000000"));
	assert_true(has(text, "pvbackd_disk_stage_seconds_total{domain=\"web\",device=\"xvda\","
			      "kind=\"vbd\",stage=\"limit\"} 0.003000000"));
	free(text);
}

static void a_time_to_come_has_no_age(void **state)
{
	char *text;

	(void)state;
	stat_set(&rings[0]->oldest, UINT64_MAX);
	stat_set(&rings[1]->oldest, 0);
	text = text_of(METRICS_TEXT);
	assert_true(has(text, "pvbackd_disk_oldest_request_seconds{domain=\"web\",device=\"xvda\","
			      "kind=\"vbd\"} 0.000000000"));
	free(text);
}

/* The bounds are those of our own buckets, so each value is on the right side of a bound. */
static void a_histogram_counts_what_is_below(void **state)
{
#define LINE(end) "pvbackd_disk_request_seconds" end
#define OF        "domain=\"web\",device=\"xvda\",kind=\"vbd\""
	char *text;

	(void)state;
	stat_took(&rings[0]->time_total, 0, 1023, 1);
	stat_took(&rings[0]->time_total, 0, 1024, 1);
	stat_took(&rings[1]->time_total, 0, 4095, 1);
	stat_took(&rings[1]->time_total, 0, 4096, 1);
	stat_took(&rings[1]->time_total, 0, 1000 * S, 1);
	text = text_of(METRICS_TEXT);
	assert_true(has(text, LINE("_bucket{" OF ",le=\"0.000001024\"} 1")));
	assert_true(has(text, LINE("_bucket{" OF ",le=\"0.000004096\"} 3")));
	assert_true(has(text, LINE("_bucket{" OF ",le=\"0.000016384\"} 4")));
	assert_true(has(text, LINE("_bucket{" OF ",le=\"68.719476736\"} 4")));
	assert_true(has(text, LINE("_bucket{" OF ",le=\"+Inf\"} 5")));
	assert_true(has(text, LINE("_count{" OF "} 5")));
	assert_true(has(text, LINE("_sum{" OF "} 1000.000010238")));
	free(text);
}

static void names_of_guests_are_escaped(void **state)
{
	char *text = text_of(METRICS_TEXT);

	(void)state;
	assert_true(has(text, "pvbackd_disk_in_flight_requests{domain=\"a\\\"b\\\\c\\nd\",device="
			      "\"xvdb\",kind=\"vbd3\"} 0"));
	free(text);
}

static void the_formats_differ_where_they_must(void **state)
{
	char *text = text_of(METRICS_TEXT), *open = text_of(METRICS_OPEN);
	const char *sample = "pvbackd_vif_frames_total{domain=\"web\",device=\"vif0\",kind=\"vif\","
			     "direction=\"to_guest\"} 0";

	(void)state;
	assert_true(has(text, "# TYPE pvbackd_vif_frames_total counter") && has(text, sample));
	assert_true(has(open, "# TYPE pvbackd_vif_frames counter") && has(open, sample));
	assert_true(has(text, "# TYPE pvbackd_build_info gauge") &&
		    has(open, "# TYPE pvbackd_build info"));
	assert_true(has(text, "pvbackd_build_info{version=\"1\"} 1") &&
		    has(open, "pvbackd_build_info{version=\"1\"} 1"));
	assert_true(!has(text, "# EOF") && !strcmp(open + strlen(open) - 6, "# EOF\n"));
	free(text);
	free(open);
}

static void a_family_comes_once(void **state)
{
	char *text = text_of(METRICS_TEXT), *line = text;

	(void)state;
	while ((line = strstr(line, "# TYPE "))) {
		char *end = strchr(line, '\n'), *again;

		*end = '\0';
		again = strstr(end + 1, line);
		assert_true(!again);
		line = end + 1;
	}
	free(text);
}

/* A counter that is missing in the metrics would be noticed only when it is needed. */
static void every_figure_is_told(void **state)
{
	const struct stat_list *const lists[] = { &vbd_stat_list, &vif_stat_list };

	(void)state;
	for (unsigned int i = 0; i < 2; i++)
		for (uint32_t nr = 0; nr < lists[i]->nr; nr++)
			if (!metrics_has(lists[i]->name, lists[i]->entries[nr].row.name))
				fail_msg("%s of a %s is not among the metrics",
					 lists[i]->entries[nr].row.name, lists[i]->name);
}

static int begin(void **state)
{
	(void)state;
	if (stats_block_open(&disk_block, &vbd_stat_list, 2) ||
	    stats_view_open(&disk_view, disk_block.fd) ||
	    stats_block_open(&nic_block, &vif_stat_list, 1) ||
	    stats_view_open(&nic_view, nic_block.fd))
		return -1;
	rings[0] = stats_block_queue(&disk_block, 0);
	rings[1] = stats_block_queue(&disk_block, 1);
	queue = stats_block_queue(&nic_block, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	stats_view_close(&disk_view);
	stats_view_close(&nic_view);
	stats_block_close(&disk_block);
	stats_block_close(&nic_block);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(queues_are_added_up),         TEST(ages_and_times_are_seconds),
		TEST(a_time_to_come_has_no_age),   TEST(a_histogram_counts_what_is_below),
		TEST(names_of_guests_are_escaped), TEST(the_formats_differ_where_they_must),
		TEST(a_family_comes_once),         TEST(every_figure_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
