/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netback/vif_guard.h"

struct vif_guard_rules {
	struct filter filter;
	struct vif_guard_rules *older;
};

static const struct filter deny = { .want = FILTER_WANT_SILENCE };

static int read_key(struct device *dev, const char *key, char *buf, size_t size)
{
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, key, buf, size);

	if (err == -ENOENT)
		buf[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

static int refuse(struct device *dev, const char *key, const char *wrong)
{
	device_log(dev, LOG_LEVEL_WARNING,
		   "antispoof: `%s` %s; what the guest sends is dropped until it is put right", key,
		   wrong);
	return -EINVAL;
}

static int read_want(struct device *dev, unsigned int otherwise, unsigned int *ret)
{
	char text[128];
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, "antispoof", text,
			     sizeof(text));

	*ret = otherwise;
	if (err == -ENOENT)
		return 0;
	if (!err)
		err = filter_parse_want(text, ret);
	return err ? refuse(dev, "antispoof", "is not on, off or a list of mac, ip, dhcp, ra") : 0;
}

static int read_mac(struct device *dev, struct filter *filter)
{
	char text[32];
	int err = read_key(dev, "mac", text, sizeof(text));

	if (!err)
		err = filter_parse_mac(text, filter->mac);
	return err ? refuse(dev, "mac", "is no hardware address") : 0;
}

/* Without `ip=` there is nothing to hold its addresses against. */
static int read_addrs(struct device *dev, struct filter *filter)
{
	char text[STORE_VALUE_MAX];
	int err = read_key(dev, "ip", text, sizeof(text));

	if (!err)
		err = filter_parse_addrs(text, filter);
	if (err)
		return refuse(dev, "ip", "is no list of at most 32 addresses and prefixes");
	if (!filter->nr_addrs)
		filter->want &= ~(unsigned int)FILTER_WANT_IP;
	return 0;
}

/* A new vif's keys are told one by one, and mean the same again and again. */
static bool is_news(const struct vif_guard *guard, const struct filter *filter)
{
	const struct filter *now = atomic_load(&guard->now);

	return now ? memcmp(now, filter, sizeof(*filter)) != 0 : filter->want != 0;
}

static int read_filter(struct device *dev, unsigned int otherwise, struct filter *filter)
{
	int err = read_want(dev, otherwise, &filter->want);

	if (err || !filter->want)
		return err;
	err = read_mac(dev, filter);
	return err ? err : read_addrs(dev, filter);
}

static void publish(struct vif_guard *guard, const struct filter *filter)
{
	atomic_store_explicit(&guard->now, filter, memory_order_release);
}

void vif_guard_read(struct vif_guard *guard, struct device *dev, unsigned int otherwise)
{
	struct vif_guard_rules *rules = calloc(1, sizeof(*rules));

	if (!rules || read_filter(dev, otherwise, &rules->filter)) {
		publish(guard, &deny);
		free(rules);
		return;
	}
	if (!is_news(guard, &rules->filter)) {
		free(rules);
		return;
	}
	if (rules->filter.want && !rules->filter.nr_addrs)
		device_log(dev, LOG_LEVEL_INFO, "antispoof: the vif has no ip=, so it may use any");
	rules->older = guard->all;
	guard->all = rules;
	publish(guard, rules->filter.want ? &rules->filter : NULL);
}

bool vif_guard_reads(const char *key)
{
	return !strcmp(key, "antispoof") || !strcmp(key, "mac") || !strcmp(key, "ip");
}

void vif_guard_done(struct vif_guard *guard)
{
	struct vif_guard_rules *rules;

	publish(guard, NULL);
	while ((rules = guard->all)) {
		guard->all = rules->older;
		free(rules);
	}
}
