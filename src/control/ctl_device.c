/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/cpu.h"
#include "control/ctl_device.h"
#include "control/guests.h"
#include "control/json.h"
#include "control/keys.h"
#include "control/names.h"

#define NS_PER_S 1000000000ull

/* --- names --- */

static void add_name(struct json_object *list, const char *guest, const char *device)
{
	char text[DEVICE_NAME_MAX];

	if (*device && snprintf(text, sizeof(text), "%s/%s", guest, device) < (int)sizeof(text))
		json_object_array_add(list, json_of_text(text));
}

static void add_names(const struct device *dev, struct json_object *ret)
{
	struct json_object *all;
	char domid[16], whole[32], name[DEVICE_NAME_MAX];
	struct names names;

	names_read(dev, &names);
	snprintf(domid, sizeof(domid), "%u", dev->domid);
	snprintf(whole, sizeof(whole), "%s/%u", dev->ops->kind, dev->domid);
	snprintf(name, sizeof(name), "%s/%s", names.guest, names_printed(&names));
	json_add_text(ret, "guest", names.guest);
	json_add_text(ret, "name", name);
	all = json_add_list(ret, "names");
	add_name(all, names.guest, names.prefixed);
	add_name(all, names.guest, names.own);
	add_name(all, names.guest, names.number);
	add_name(all, domid, names_printed(&names));
	add_name(all, whole, names.number);
	json_object_array_add(all, json_object_new_string(dev->name));
}

/* --- settings --- */

static const struct key *own_key(const struct device *dev, const struct key *key)
{
	const struct key *own = dev->ops->own_keys;

	while (own->name && (own->at != key->at || !own->size))
		own++;
	return own->name ? own : NULL;
}

/* Where the value in force comes from. A key in the device's own directory comes first, unless its value is wrong. */
static const char *source_of(const struct device *dev, const struct key *key, const void *in_force,
			     void *scratch)
{
	const struct key *own = own_key(dev, key);
	char text[STORE_VALUE_MAX];

	if (own &&
	    !store_read(dev->env->store, XBT_NULL, dev->be_path, own->name, text, sizeof(text)) &&
	    !own->parse(own, text, (char *)scratch + own->at) &&
	    key_is_same(key, in_force, scratch))
		return "xenstore";
	return key_is_same(key, in_force, dev->ops->defaults) ? "default" : "configuration";
}

static struct json_object *new_setting(const struct device *dev, const struct key *key,
				       const void *in_force)
{
	const struct key *own = own_key(dev, key);
	struct json_object *setting = json_object_new_object();
	char value[STORE_VALUE_MAX];

	key_print(key, in_force, value, sizeof(value));
	json_add_text(setting, "key", own ? own->name : key->name);
	json_add_text(setting, "value", value);
	return setting;
}

static struct json_object *whole_setting(const struct device *dev, const struct key *key,
					 const void *in_force, void *scratch)
{
	struct json_object *setting = new_setting(dev, key, in_force);

	json_add_text(setting, "from", source_of(dev, key, in_force, scratch));
	json_add_flag(setting, "live", key->when == KEY_AT_ONCE);
	json_add_text(setting, "meaning", key_meaning(key, in_force));
	return setting;
}

/* The limits that are set. */
static void add_limits(const struct device *dev, struct json_object *to, const void *in_force)
{
	struct json_object *limits = json_add_list(to, "limits");

	for (const struct key *key = dev->ops->keys; key->name; key++)
		if (key->is_limit && !key_is_same(key, in_force, dev->ops->defaults))
			json_object_array_add(limits, new_setting(dev, key, in_force));
}

static void add_settings(const struct device *dev, struct json_object *to, const void *in_force,
			 void *scratch)
{
	struct json_object *settings = json_add_list(to, "settings");

	for (const struct key *key = dev->ops->keys; key->name; key++)
		json_object_array_add(settings, whole_setting(dev, key, in_force, scratch));
}

struct json_object *ctl_device_setting(const struct device *dev, const struct key *key)
{
	char *in_force = device_is_probed(dev) ? calloc(2, dev->ops->options_size) : NULL;
	struct json_object *setting;

	if (!in_force)
		return NULL;
	dev->ops->in_force(dev, in_force);
	setting = whole_setting(dev, key, in_force, in_force + dev->ops->options_size);
	free(in_force);
	return setting;
}

static void add_options(const struct device *dev, struct json_object *to, enum ctl_depth depth)
{
	char *in_force = calloc(2, dev->ops->options_size);

	if (!in_force)
		return;
	dev->ops->in_force(dev, in_force);
	add_limits(dev, to, in_force);
	if (depth >= CTL_WHOLE)
		add_settings(dev, to, in_force, in_force + dev->ops->options_size);
	free(in_force);
}

/* --- figures --- */

static void add_buckets(struct json_object *to, const struct stat_times *times)
{
	struct json_object *buckets = json_add_list(to, "buckets");

	for (uint32_t i = 0; i < STAT_BUCKETS; i++) {
		struct json_object *bucket;

		if (!times->buckets[i])
			continue;
		bucket = json_object_new_array_ext(2);
		json_object_array_add(bucket, json_object_new_uint64(stat_bucket_begin(i)));
		json_object_array_add(bucket, json_object_new_uint64(times->buckets[i]));
		json_object_array_add(buckets, bucket);
	}
}

/* The end of the highest bucket that is not empty; of the last bucket only the beginning is known. */
static uint64_t longest(const struct stat_times *times)
{
	uint32_t i = STAT_BUCKETS;

	while (i && !times->buckets[i - 1])
		i--;
	return i == 0 ? 0 : stat_bucket_begin(i < STAT_BUCKETS ? i : STAT_BUCKETS - 1);
}

static void add_times(struct json_object *to, const uint64_t *words, enum ctl_depth depth)
{
	const struct stat_times times = stat_times_get(words);

	json_add_u64(to, "count", stat_times_count(&times));
	json_add_u64(to, "sum", times.sum);
	json_add_u64(to, "p50", stat_times_count(&times) ? stat_times_quantile(&times, 500) : 0);
	json_add_u64(to, "p99", stat_times_count(&times) ? stat_times_quantile(&times, 990) : 0);
	json_add_u64(to, "max", longest(&times));
	if (depth == CTL_BUCKETS)
		add_buckets(to, &times);
}

static void add_figure(struct json_object *to, const struct stat_row *row, const uint64_t *words,
		       uint64_t now_ns, enum ctl_depth depth)
{
	static const char *const kinds[STAT_NR_KINDS] = { [STAT_COUNTER] = "counter",
							  [STAT_GAUGE] = "gauge",
							  [STAT_SINCE] = "since",
							  [STAT_TIMES] = "times" };
	struct json_object *figure = json_object_new_object();

	json_add_text(figure, "kind", kinds[row->kind]);
	json_add_text(figure, "unit", row->unit);
	if (row->kind == STAT_TIMES)
		add_times(figure, words, depth);
	else
		json_add_u64(figure, "value",
			     row->kind == STAT_SINCE ? stat_age(stat_get(words), now_ns)
						     : stat_get(words));
	json_object_object_add(to, row->name, figure);
}

static void add_queues(const struct device *dev, struct json_object *to, enum ctl_depth depth)
{
	struct json_object *queues = json_add_list(to, "queues");
	const struct stats_view *view = &dev->figures;
	uint64_t now_ns = loop_now_ns();

	for (uint32_t i = 0; i < view->nr_queues; i++) {
		struct json_object *queue = json_object_new_object();
		struct json_object *figures = json_object_new_object();
		const uint64_t *words = NULL;

		json_add_u64(queue, "index", i);
		for (uint32_t row = 0; row < view->nr_rows; row++) {
			words = stats_view_next(view, i, row, words);
			add_figure(figures, &view->rows[row], words, now_ns, depth);
		}
		json_object_object_add(queue, "figures", figures);
		json_object_array_add(queues, queue);
	}
}

/* --- a device --- */

static void add_pid(const struct device *dev, struct json_object *to)
{
	pid_t pid = guests_pid(dev);

	json_object_object_add(to, "pid", pid ? json_object_new_int(pid) : NULL);
	json_add_u64(to, "cpu_ns", cpu_ns(pid));
}

/* The notices (notice.h) that hold now. */
static void add_notices(const struct device *dev, struct json_object *to)
{
	const struct notice_rule *rules = dev->ops->notices;
	struct json_object *list = json_add_list(to, "notices");

	for (unsigned int i = 0; rules && rules[i].name; i++)
		if (dev->notices.of[i].holds)
			json_object_array_add(list, json_object_new_string(rules[i].name));
}

static void add_life(const struct device *dev, struct json_object *to)
{
	bool attached = dev->activity == DEVICE_ATTACHED;
	char why[STORE_VALUE_MAX];

	json_add_text(to, "state", xenbus_state_name(dev->seen.own));
	json_add_text(to, "frontend", xenbus_state_name(dev->seen.front));
	json_add_flag(to, "attached", attached);
	json_add_u64(to, "attached_s",
		     attached ? (loop_now_ns() - dev->attached_ns) / NS_PER_S : 0);
	add_pid(dev, to);
	json_add_text(to, "waits",
		      dev->awaits_guest &&
				      guests_awaited(dev->env->guests, dev->domid, why, sizeof(why))
			      ? why
			      : NULL);
	json_add_text(to, "reason", device_why(dev, why, sizeof(why)) ? why : NULL);
	json_add_flag(to, "foreign", dev->end == DEVICE_FOREIGN);
	json_add_flag(to, "halted", atomic_load(&dev->halted));
	add_notices(dev, to);
}

struct json_object *ctl_device_show(const struct device *dev, enum ctl_depth depth)
{
	struct json_object *ret = json_object_new_object(), *detail = NULL;

	json_add_text(ret, "kind", dev->ops->kind);
	json_add_u64(ret, "domid", dev->domid);
	json_add_u64(ret, "devid", dev->devid);
	add_names(dev, ret);
	add_life(dev, ret);
	if (depth >= CTL_WHOLE) {
		detail = json_object_new_object();
		json_object_object_add(ret, "detail", detail);
	}
	if (device_is_probed(dev)) {
		dev->ops->describe(dev, ret, detail);
		add_options(dev, ret, depth);
	}
	if (depth >= CTL_WHOLE)
		add_queues(dev, ret, depth);
	return ret;
}
