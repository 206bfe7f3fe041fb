/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "control/metrics.h"

#define NS_PER_S UINT64_C(1000000000)

enum { LE_STEP = 8 }; /* so many buckets of core/stats.h make one here: a factor of four */

/* How a figure becomes a metric. */
enum how { AS_IT_IS, AS_AGE, AS_HISTOGRAM, AS_TOTAL };

/* Rows of one family follow each other. */
struct row {
	const char *list;   /* "vbd", "vif": whose figure it is */
	const char *family; /* NULL ends the table */
	enum metrics_type type;
	const char *help;
	enum how how;
	const char *label,
		*value; /* that the family's members differ by; NULL: there is one member */
	const char *figure;
};

#define DISK(family, type, help, how, label, value, figure)                                        \
	{ "vbd", "pvbackd_disk_" family, type, help, how, label, value, figure },
#define NIC(family, type, help, how, label, value, figure)                                         \
	{ "vif", "pvbackd_vif_" family, type, help, how, label, value, figure },

#define REQUESTS(op)                                                                               \
	DISK("requests", METRICS_COUNTER, "Requests that the guest made.", AS_IT_IS, "op", #op, #op)
#define DISK_BYTES(direction, figure)                                                              \
	DISK("bytes", METRICS_COUNTER, "Data that the guest read or wrote.", AS_IT_IS,             \
	     "direction", direction, figure)
#define DISK_ERRORS(cause, figure)                                                                 \
	DISK("errors", METRICS_COUNTER, "Requests that were answered with an error.", AS_IT_IS,    \
	     "cause", cause, figure)
#define DISK_WAITS(reason, figure)                                                                 \
	DISK("waits", METRICS_COUNTER, "How often something had to wait.", AS_IT_IS, "reason",     \
	     reason, figure)
#define DISK_STAGE(stage)                                                                          \
	DISK("stage_seconds", METRICS_COUNTER, "Where the time of all requests went.", AS_TOTAL,   \
	     "stage", #stage, "time_" #stage)
#define NOTIFICATIONS(KIND, sent, figure)                                                          \
	KIND("notifications", METRICS_COUNTER,                                                     \
	     "Answers made public, and whether the guest had to be woken.", AS_IT_IS, "sent",      \
	     sent, figure)
#define FRAMES(direction, figure)                                                                  \
	NIC("frames", METRICS_COUNTER, "Frames that reached the other side.", AS_IT_IS,            \
	    "direction", direction, figure)
#define NIC_BYTES(direction, figure)                                                               \
	NIC("bytes", METRICS_COUNTER, "Bytes in these frames.", AS_IT_IS, "direction", direction,  \
	    figure)
#define LARGE(direction, figure)                                                                   \
	NIC("large_frames", METRICS_COUNTER, "Large TCP frames among them.", AS_IT_IS,             \
	    "direction", direction, figure)
#define FINISHED(direction, figure)                                                                \
	NIC("checksums_finished", METRICS_COUNTER, "Checksums that the daemon computed.",          \
	    AS_IT_IS, "direction", direction, figure)
#define DROPPED(reason, figure)                                                                    \
	NIC("dropped_frames", METRICS_COUNTER, "Frames that were dropped.", AS_IT_IS, "reason",    \
	    reason, figure)
#define REFUSED(reason)                                                                            \
	NIC("refused_frames", METRICS_COUNTER, "Frames of the guest that port security refused.",  \
	    AS_IT_IS, "reason", #reason, "tx_refused_" #reason)
#define NIC_WAITS(reason, figure)                                                                  \
	NIC("waits", METRICS_COUNTER, "How often something had to wait.", AS_IT_IS, "reason",      \
	    reason, figure)
#define NIC_STAGE(stage, figure)                                                                   \
	NIC("wait_seconds", METRICS_COUNTER, "For how long it had to wait.", AS_TOTAL, "reason",   \
	    stage, figure)

/* clang-format off */
static const struct row rows[] = {
	REQUESTS(read) REQUESTS(write) REQUESTS(barrier) REQUESTS(flush) REQUESTS(discard)
	DISK("indirect_requests", METRICS_COUNTER, "Requests that listed their pages in another page.", AS_IT_IS, NULL, NULL, "indirect")
	DISK("in_place_requests", METRICS_COUNTER, "Reads and writes whose data was not copied.", AS_IT_IS, NULL, NULL, "in_place")
	DISK("registered_requests", METRICS_COUNTER, "Reads and writes by an io_uring, with buffers that stay registered.", AS_IT_IS, NULL, NULL, "registered")
	DISK_BYTES("read", "bytes_read") DISK_BYTES("written", "bytes_written")
	DISK_ERRORS("medium", "io_errors") DISK_ERRORS("grant", "copy_errors")
	DISK_ERRORS("operation", "bad_operation") DISK_ERRORS("segment_count", "bad_segment_count")
	DISK_ERRORS("segment_range", "bad_segment_range") DISK_ERRORS("beyond_end", "beyond_end")
	DISK_ERRORS("read_only", "read_only")
	DISK("no_space_errors", METRICS_COUNTER, "Errors of the medium for which it had no space left.", AS_IT_IS, NULL, NULL, "no_space")
	NOTIFICATIONS(DISK, "yes", "notify_sent") NOTIFICATIONS(DISK, "no", "notify_suppressed")
	DISK_WAITS("buffer", "buffer_waits") DISK_WAITS("medium", "submit_waits") DISK_WAITS("limit", "throttled")
	DISK("held_requests", METRICS_COUNTER, "Requests held for an admin, because the medium failed.", AS_IT_IS, NULL, NULL, "stalls")
	DISK("replayed_requests", METRICS_COUNTER, "Requests of an earlier daemon that were carried out again.", AS_IT_IS, NULL, NULL, "replayed")
	DISK("kept_pages", METRICS_GAUGE, "Pages of the guest that stay mapped.", AS_IT_IS, NULL, NULL, "kept")
	DISK("kept_page_events", METRICS_COUNTER, "Uses of persistent grants.", AS_IT_IS, "event", "used", "kept_uses")
	DISK("kept_page_events", METRICS_COUNTER, "Uses of persistent grants.", AS_IT_IS, "event", "mapped", "kept_maps")
	DISK("kept_page_events", METRICS_COUNTER, "Uses of persistent grants.", AS_IT_IS, "event", "dropped", "kept_drops")
	DISK("in_flight_requests", METRICS_GAUGE, "Requests that were taken and are not answered yet.", AS_IT_IS, NULL, NULL, "in_flight")
	DISK("submitted_requests", METRICS_GAUGE, "Requests that the medium has.", AS_IT_IS, NULL, NULL, "submitted")
	DISK("oldest_request_seconds", METRICS_GAUGE, "Age of the oldest request that is not answered yet.", AS_AGE, NULL, NULL, "oldest")
	DISK("oldest_submitted_seconds", METRICS_GAUGE, "How long the medium has had the request that it has had longest.", AS_AGE, NULL, NULL, "oldest_submitted")
	DISK("request_seconds", METRICS_HISTOGRAM, "From the taking of a request to its answer.", AS_HISTOGRAM, NULL, NULL, "time_total")
	DISK("medium_seconds", METRICS_HISTOGRAM, "What the medium took of that.", AS_HISTOGRAM, NULL, NULL, "time_medium")
	DISK_STAGE(order) DISK_STAGE(limit) DISK_STAGE(buffer) DISK_STAGE(copy) DISK_STAGE(medium) DISK_STAGE(held) DISK_STAGE(answer)

	FRAMES("from_guest", "tx_packets") FRAMES("to_guest", "rx_packets")
	NIC_BYTES("from_guest", "tx_bytes") NIC_BYTES("to_guest", "rx_bytes")
	LARGE("from_guest", "tx_gso") LARGE("to_guest", "rx_gso")
	FINISHED("from_guest", "tx_csum_finished") FINISHED("to_guest", "rx_csum_finished")
	NIC("tap_frames", METRICS_COUNTER, "Frames taken from the tap.", AS_IT_IS, NULL, NULL, "rx_read")
	NIC("merged_frames", METRICS_COUNTER, "Large TCP frames that went to the guest as one with another.", AS_IT_IS, NULL, NULL, "rx_merged")
	NIC("segmented_frames", METRICS_COUNTER, "Large TCP frames that were cut for the guest.", AS_IT_IS, NULL, NULL, "rx_segmented")
	NIC("segments", METRICS_COUNTER, "What these were cut into.", AS_IT_IS, NULL, NULL, "rx_segments")
	NIC("multicast_changes", METRICS_COUNTER, "Multicast addresses added or removed by the guest.", AS_IT_IS, "taken", "yes", "tx_mcast")
	NIC("multicast_changes", METRICS_COUNTER, "Multicast addresses added or removed by the guest.", AS_IT_IS, "taken", "no", "tx_mcast_refused")
	DROPPED("tx_slots", "tx_drop_slots") DROPPED("tx_long", "tx_drop_long") DROPPED("tx_short", "tx_drop_short")
	DROPPED("tx_copy", "tx_drop_copy") DROPPED("tx_header", "tx_drop_header") DROPPED("tx_gso", "tx_drop_gso")
	DROPPED("tx_csum", "tx_drop_csum") DROPPED("tx_tap_down", "tx_drop_tap_down")
	DROPPED("tx_tap_busy", "tx_drop_tap_busy") DROPPED("tx_tap_error", "tx_drop_tap_error")
	DROPPED("rx_stalled", "rx_drop_stalled") DROPPED("rx_big", "rx_drop_big") DROPPED("rx_mcast", "rx_drop_mcast")
	DROPPED("rx_header", "rx_drop_header") DROPPED("rx_copy", "rx_drop_copy")
	REFUSED(mac) REFUSED(type) REFUSED(arp) REFUSED(ipv4) REFUSED(ipv6) REFUSED(nd) REFUSED(dhcp) REFUSED(ra)
	REFUSED(header) REFUSED(rules)
	NIC("tap_read_errors", METRICS_COUNTER, "How often the tap could not be read.", AS_IT_IS, NULL, NULL, "rx_read_errors")
	NIC("stalls", METRICS_COUNTER, "How often the guest had no slots for so long that the carrier went off.", AS_IT_IS, NULL, NULL, "rx_stalled")
	NIC("without_slots_seconds", METRICS_GAUGE, "How long the guest has posted too few slots.", AS_AGE, NULL, NULL, "rx_no_slots")
	NIC("held_frames", METRICS_COUNTER, "Frames that had to wait for the guest's slots.", AS_IT_IS, NULL, NULL, "rx_held")
	NIC_WAITS("tx_limit", "tx_throttled") NIC_WAITS("rx_limit", "rx_throttled") NIC_WAITS("rx_slots", "rx_starved")
	NOTIFICATIONS(NIC, "yes", "notify_sent") NOTIFICATIONS(NIC, "no", "notify_suppressed")
	NIC("from_guest_seconds", METRICS_HISTOGRAM, "From the taking of a frame to its answer.", AS_HISTOGRAM, NULL, NULL, "time_tx")
	NIC("to_guest_seconds", METRICS_HISTOGRAM, "From the reading of a frame to when the guest has it.", AS_HISTOGRAM, NULL, NULL, "time_rx")
	NIC_STAGE("tx_limit", "time_tx_limit") NIC_STAGE("rx_limit", "time_rx_limit") NIC_STAGE("rx_slots", "time_rx_slots")
	{ 0 }
};
/* clang-format on */

/* --- lines --- */

static const char *suffix(enum metrics_type type)
{
	return type == METRICS_COUNTER ? "_total" : type == METRICS_INFO ? "_info" : "";
}

/* In the older format a family has the name of its samples, and there is no type info. */
void metrics_family(const struct metrics *metrics, const char *name, enum metrics_type type,
		    const char *help)
{
	static const char *const words[] = { "counter", "gauge", "histogram", "info" };
	const char *word = words[type], *end = "";

	if (metrics->format == METRICS_TEXT) {
		end = suffix(type);
		if (type == METRICS_INFO)
			word = "gauge";
	}
	fprintf(metrics->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, end, help, name, end, word);
}

static void write_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void write_name(const struct metrics *metrics, const char *name, const char *end,
		       const struct metrics_label *labels)
{
	char before = '{';

	fprintf(metrics->out, "%s%s", name, end);
	for (; labels->name; labels++) {
		fprintf(metrics->out, "%c%s=\"", before, labels->name);
		write_escaped(metrics->out, labels->value);
		fputc('"', metrics->out);
		before = ',';
	}
	fputs(before == ',' ? "} " : " ", metrics->out);
}

void metrics_sample(const struct metrics *metrics, const char *name, enum metrics_type type,
		    const struct metrics_label *labels, uint64_t value)
{
	write_name(metrics, name, suffix(type), labels);
	fprintf(metrics->out, "%" PRIu64 "\n", value);
}

static void write_seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_S, ns % NS_PER_S);
}

void metrics_seconds(const struct metrics *metrics, const char *name, enum metrics_type type,
		     const struct metrics_label *labels, uint64_t ns)
{
	write_name(metrics, name, suffix(type), labels);
	write_seconds(metrics->out, ns);
	fputc('\n', metrics->out);
}

void metrics_end(const struct metrics *metrics)
{
	if (metrics->format == METRICS_OPEN)
		fputs("# EOF\n", metrics->out);
}

/* --- figures --- */

static struct stat_times times_of(const struct stats_view *figures, const char *name)
{
	struct stat_times all = { 0 };

	for (uint32_t i = 0; i < figures->nr_queues; i++) {
		const uint64_t *words = stats_view_find(figures, i, name, STAT_TIMES);
		struct stat_times times;

		if (!words)
			continue;
		times = stat_times_get(words);
		all.sum += times.sum;
		for (uint32_t b = 0; b < STAT_BUCKETS; b++)
			all.buckets[b] += times.buckets[b];
	}
	return all;
}

/* `labels` has room for one more. */
static void write_histogram(const struct metrics *metrics, const char *name,
			    struct metrics_label *labels, const struct stat_times *times)
{
	struct metrics_label *le = labels;
	uint64_t below = 0;
	char bound[32];

	while (le->name)
		le++;
	for (uint32_t b = 0; b < STAT_BUCKETS - 1; b++) {
		uint64_t ns = stat_bucket_begin(b + 1);

		below += times->buckets[b];
		if (b % LE_STEP)
			continue;
		snprintf(bound, sizeof(bound), "%" PRIu64 ".%09" PRIu64, ns / NS_PER_S,
			 ns % NS_PER_S);
		le[0] = (struct metrics_label){ "le", bound };
		write_name(metrics, name, "_bucket", labels);
		fprintf(metrics->out, "%" PRIu64 "\n", below);
	}
	below += times->buckets[STAT_BUCKETS - 1];
	le[0].value = "+Inf";
	write_name(metrics, name, "_bucket", labels);
	fprintf(metrics->out, "%" PRIu64 "\n", below);
	le[0].name = NULL;
	write_name(metrics, name, "_sum", labels);
	write_seconds(metrics->out, times->sum);
	fputc('\n', metrics->out);
	write_name(metrics, name, "_count", labels);
	fprintf(metrics->out, "%" PRIu64 "\n", below);
}

static void write_row(const struct metrics *metrics, const struct row *row,
		      const struct metrics_device *device, uint64_t now_ns)
{
	const struct stats_view *figures = device->figures;
	struct metrics_label labels[] = { { "domain", device->domain },
					  { "device", device->device },
					  { "kind", device->kind },
					  { row->label, row->value },
					  { NULL, NULL },
					  { NULL, NULL } };
	struct stat_times times;
	uint64_t since_ns;

	switch (row->how) {
	case AS_IT_IS:
		metrics_sample(
			metrics, row->family, row->type, labels,
			stats_view_sum(figures, row->figure,
				       row->type == METRICS_GAUGE ? STAT_GAUGE : STAT_COUNTER));
		break;
	case AS_AGE:
		since_ns = stats_view_oldest(figures, row->figure, now_ns);
		metrics_seconds(metrics, row->family, row->type, labels,
				since_ns ? now_ns - since_ns : 0);
		break;
	case AS_TOTAL:
		times = times_of(figures, row->figure);
		metrics_seconds(metrics, row->family, row->type, labels, times.sum);
		break;
	case AS_HISTOGRAM:
		times = times_of(figures, row->figure);
		write_histogram(metrics, row->family, labels, &times);
		break;
	}
}

/* A disk in backend/vbd3 counts as one in backend/vbd does. */
static bool is_of(const struct row *row, const struct metrics_device *device)
{
	return !strncmp(row->list, device->kind, strlen(row->list));
}

void metrics_devices(const struct metrics *metrics, const struct metrics_device *devices, size_t nr,
		     uint64_t now_ns)
{
	const char *family = "";

	for (const struct row *row = rows; row->family; row++) {
		if (strcmp(family, row->family) != 0)
			metrics_family(metrics, row->family, row->type, row->help);
		family = row->family;
		for (size_t i = 0; i < nr; i++)
			if (is_of(row, &devices[i]))
				write_row(metrics, row, &devices[i], now_ns);
	}
}

bool metrics_has(const char *list, const char *figure)
{
	const struct row *row = rows;

	while (row->family && (strcmp(row->list, list) != 0 || strcmp(row->figure, figure) != 0))
		row++;
	return row->family != NULL;
}
