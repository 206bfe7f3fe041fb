/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "core/stats.h"
#include "ctl/device.h"
#include "ctl/json.h"
#include "ctl/load.h"

/* --- where each figure goes --- */

struct counter {
	const char *name;
	size_t at;
};

#define DISK(name_, field_)                                                                        \
	{                                                                                          \
		name_, offsetof(struct disk_load, field_)                                          \
	}
#define NIC(name_, field_)                                                                         \
	{                                                                                          \
		name_, offsetof(struct nic_load, field_)                                           \
	}

static const struct counter disk_counters[] = {
	DISK("read", reads),
	DISK("write", writes),
	DISK("flush", others),
	DISK("barrier", others),
	DISK("discard", others),
	DISK("bytes_read", bytes_read),
	DISK("bytes_written", bytes_written),
	DISK("io_errors", io_errors),
	DISK("no_space", no_space),
	DISK("copy_errors", copy_errors),
	DISK("bad_operation", refused),
	DISK("bad_segment_count", refused),
	DISK("bad_segment_range", refused),
	DISK("beyond_end", refused),
	DISK("read_only", refused),
	DISK("throttled", throttled),
	{ 0 },
};

static const struct counter nic_counters[] = {
	NIC("tx_packets", tx_frames),
	NIC("tx_bytes", tx_bytes),
	NIC("rx_packets", rx_frames),
	NIC("rx_bytes", rx_bytes),
	NIC("tx_refused_mac", drops[DROP_SECURITY]),
	NIC("tx_refused_type", drops[DROP_SECURITY]),
	NIC("tx_refused_arp", drops[DROP_SECURITY]),
	NIC("tx_refused_ipv4", drops[DROP_SECURITY]),
	NIC("tx_refused_ipv6", drops[DROP_SECURITY]),
	NIC("tx_refused_nd", drops[DROP_SECURITY]),
	NIC("tx_refused_dhcp", drops[DROP_SECURITY]),
	NIC("tx_refused_ra", drops[DROP_SECURITY]),
	NIC("tx_refused_header", drops[DROP_SECURITY]),
	NIC("tx_refused_rules", drops[DROP_RULES]),
	NIC("tx_drop_slots", drops[DROP_INVALID]),
	NIC("tx_drop_long", drops[DROP_INVALID]),
	NIC("tx_drop_short", drops[DROP_INVALID]),
	NIC("tx_drop_header", drops[DROP_INVALID]),
	NIC("tx_drop_gso", drops[DROP_INVALID]),
	NIC("tx_drop_csum", drops[DROP_INVALID]),
	NIC("tx_drop_tap_down", drops[DROP_TAP_DOWN]),
	NIC("tx_drop_tap_busy", drops[DROP_TAP_BUSY]),
	NIC("tx_drop_tap_error", drops[DROP_TAP_ERROR]),
	NIC("rx_drop_stalled", drops[DROP_NOT_TAKEN]),
	NIC("rx_drop_big", drops[DROP_TOO_BIG]),
	NIC("rx_drop_header", drops[DROP_HOST]),
	NIC("tx_drop_copy", drops[DROP_NO_MEMORY]),
	NIC("rx_drop_copy", drops[DROP_NO_MEMORY]),
	{ 0 },
};

static const char *const stage_names[NR_STAGES] = {
	[STAGE_ORDER] = "time_order",   [STAGE_LIMIT] = "time_limit",
	[STAGE_BUFFER] = "time_buffer", [STAGE_COPY] = "time_copy",
	[STAGE_MEDIUM] = "time_medium", [STAGE_HELD] = "time_held",
	[STAGE_ANSWER] = "time_answer",
};

/* --- one look: all queues together --- */

static struct json_object *figure_of(struct json_object *device, size_t queue, const char *name)
{
	return json_member(json_member(json_item(device, "queues", queue), "figures"), name);
}

static uint64_t total_of(struct json_object *device, const char *name)
{
	uint64_t total = 0;

	for (size_t i = 0; i < json_length(device, "queues"); i++)
		total += json_u64(figure_of(device, i, name), "value");
	return total;
}

static uint64_t most_of(struct json_object *device, const char *name)
{
	uint64_t most = 0;

	for (size_t i = 0; i < json_length(device, "queues"); i++) {
		uint64_t value = json_u64(figure_of(device, i, name), "value");

		most = value > most ? value : most;
	}
	return most;
}

static void add_bucket(struct json_object *pair, struct stat_times *ret)
{
	struct json_object *begin, *nr;

	if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) != 2)
		return;
	begin = json_object_array_get_idx(pair, 0);
	nr = json_object_array_get_idx(pair, 1);
	if (json_object_is_type(begin, json_type_int) && json_object_is_type(nr, json_type_int))
		ret->buckets[stat_bucket(json_object_get_uint64(begin))] +=
			json_object_get_uint64(nr);
}

static void add_times(struct json_object *figure, struct stat_times *ret)
{
	ret->sum += json_u64(figure, "sum");
	for (size_t i = 0; i < json_length(figure, "buckets"); i++)
		add_bucket(json_item(figure, "buckets", i), ret);
}

static struct stat_times times_of(struct json_object *device, const char *name)
{
	struct stat_times times = { 0 };

	for (size_t i = 0; i < json_length(device, "queues"); i++)
		add_times(figure_of(device, i, name), &times);
	return times;
}

/* --- the difference between two looks --- */

/* A counter that is smaller than before has started anew at zero. */
static uint64_t less(uint64_t now, uint64_t before)
{
	return now < before ? now : now - before;
}

static void count(struct json_object *before, struct json_object *now,
		  const struct counter *counters, void *ret)
{
	for (; counters->name; counters++)
		*(uint64_t *)(void *)((char *)ret + counters->at) +=
			less(total_of(now, counters->name), total_of(before, counters->name));
}

static struct load_times took(struct json_object *before, struct json_object *now, const char *name)
{
	struct stat_times times = times_of(now, name), was = times_of(before, name);
	struct load_times ret = { 0 };

	if (stat_times_count(&times) >= stat_times_count(&was)) {
		times.sum = less(times.sum, was.sum);
		for (uint32_t i = 0; i < STAT_BUCKETS; i++)
			times.buckets[i] = less(times.buckets[i], was.buckets[i]);
	}
	ret.count = stat_times_count(&times);
	if (!ret.count)
		return ret;
	ret.sum_ns = times.sum;
	ret.p50_ns = stat_times_quantile(&times, 500);
	ret.p99_ns = stat_times_quantile(&times, 990);
	return ret;
}

/* The longest wait of any queue. */
static uint64_t waited(struct json_object *before, struct json_object *now, const char *name)
{
	uint64_t most = 0;

	for (size_t i = 0; i < json_length(now, "queues"); i++) {
		uint64_t ns = less(json_u64(figure_of(now, i, name), "sum"),
				   json_u64(figure_of(before, i, name), "sum"));

		most = ns > most ? ns : most;
	}
	return most;
}

static void read_disk(struct json_object *before, struct json_object *now, struct disk_load *ret)
{
	count(before, now, disk_counters, ret);
	ret->in_flight = total_of(now, "in_flight");
	ret->submitted = total_of(now, "submitted");
	ret->oldest_ns = most_of(now, "oldest");
	ret->oldest_submitted_ns = most_of(now, "oldest_submitted");
	ret->total = took(before, now, "time_total");
	for (unsigned int i = 0; i < NR_STAGES; i++)
		ret->stages[i] = took(before, now, stage_names[i]);
}

static void read_nic(struct json_object *before, struct json_object *now, struct nic_load *ret)
{
	count(before, now, nic_counters, ret);
	ret->tx_limit_ns = waited(before, now, "time_tx_limit");
	ret->rx_limit_ns = waited(before, now, "time_rx_limit");
	ret->slots_ns = waited(before, now, "time_rx_slots");
	ret->no_slots_for_ns = most_of(now, "rx_no_slots");
	ret->tx = took(before, now, "time_tx");
	ret->rx = took(before, now, "time_rx");
}

static void read_limits(struct json_object *now, struct load *ret)
{
	for (size_t i = 0; i < json_length(now, "limits") && ret->nr_limits < LOAD_LIMITS; i++) {
		struct json_object *limit = json_item(now, "limits", i);

		ret->limits[ret->nr_limits++] =
			(struct load_limit){ .key = json_text(limit, "key"),
					     .value = json_text(limit, "value") };
	}
}

void load_read(struct json_object *before, struct json_object *now, uint64_t interval_ns,
	       struct load *ret)
{
	*ret = (struct load){ .name = json_text(now, "name"),
			      .guest = json_text(now, "guest"),
			      .target = json_text(now, "target"),
			      .state = json_text(now, "state"),
			      .frontend = json_text(now, "frontend"),
			      .reason = json_text(now, "reason"),
			      .waits = json_text(now, "waits"),
			      .tap = json_text(now, "tap"),
			      .bridge = json_text(now, "bridge"),
			      .master = json_text(now, "master"),
			      .script = json_text(now, "script"),
			      .is_disk = device_is_disk(now),
			      .attached = json_flag(now, "attached"),
			      .stalled = json_flag(now, "stalled"),
			      .halted = json_flag(now, "halted"),
			      .late = json_flag(now, "late"),
			      .carrier = json_flag(now, "carrier"),
			      .attached_s = json_u64(now, "attached_s"),
			      .interval_ns = interval_ns,
			      .cpu = -1 };
	read_limits(now, ret);
	if (ret->is_disk)
		read_disk(before, now, &ret->disk);
	else
		read_nic(before, now, &ret->nic);
}
