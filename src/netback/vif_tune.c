/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/rate.h"
#include "netback/filter.h"
#include "netback/vif_tune.h"

/* --- limits --- */

#define ROW(key_, unit_, at_, default_)                                                            \
	{                                                                                          \
		key_, unit_, offsetof(struct message_nic_tuning, at_),                             \
			offsetof(struct vif_options, default_)                                     \
	}

static const struct {
	const char *key, *unit;
	size_t at, default_at;
} limits[] = {
	ROW("rate", "BYTES", tx_bytes, rate),
	ROW("rate-rx", "BYTES", rx_bytes, rate_rx),
	ROW("packet-rate", "PACKETS", tx_packets, packet_rate),
	ROW("packet-rate-rx", "PACKETS", rx_packets, packet_rate_rx),
};

#define NR_LIMITS (sizeof(limits) / sizeof(limits[0]))

static void read_limit(struct message_nic_tuning *tuning, struct device *dev,
		       const struct vif_options *options, size_t i)
{
	struct message_rate wanted;
	char text[64];
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, limits[i].key, text,
			     sizeof(text));
	bool first = !device_is_probed(dev);

	if (!err)
		err = rate_parse(text, &wanted.amount, &wanted.usecs);
	if (err == -ENOENT || (err && first))
		memcpy(&wanted, (const char *)options + limits[i].default_at, sizeof(wanted));
	if (!err || err == -ENOENT || first)
		memcpy((char *)tuning + limits[i].at, &wanted, sizeof(wanted));
	if (err && err != -ENOENT)
		device_log(dev, LOG_LEVEL_WARNING, "`%s` is not %s,MICROSECONDS: %s", limits[i].key,
			   limits[i].unit,
			   first ? "the configuration's limit holds" : "what was in force stays");
}

static bool is_limit(const char *key)
{
	for (size_t i = 0; i < NR_LIMITS; i++)
		if (!strcmp(key, limits[i].key))
			return true;
	return false;
}

/* --- port security --- */

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

static int read_mac(struct device *dev, struct message_filter *filter)
{
	char text[32];
	int err = read_key(dev, "mac", text, sizeof(text));

	if (!err)
		err = filter_parse_mac(text, filter->mac);
	return err ? refuse(dev, "mac", "is no hardware address") : 0;
}

/* Without `ip=` there are no addresses to check against: *ret_any_ip. */
static int read_addrs(struct device *dev, struct message_filter *filter, bool *ret_any_ip)
{
	char text[STORE_VALUE_MAX];
	int err = read_key(dev, "ip", text, sizeof(text));

	if (!err)
		err = filter_parse_addrs(text, filter);
	if (err)
		return refuse(dev, "ip", "is no list of at most 32 addresses and prefixes");
	*ret_any_ip = filter->want & FILTER_WANT_IP && !filter->nr_addrs;
	if (*ret_any_ip)
		filter->want &= ~(unsigned int)FILTER_WANT_IP;
	return 0;
}

static int parse_filter(struct device *dev, unsigned int otherwise, struct message_filter *filter,
			bool *ret_any_ip)
{
	int err = read_want(dev, otherwise, &filter->want);

	if (err || !filter->want)
		return err;
	err = read_mac(dev, filter);
	return err ? err : read_addrs(dev, filter, ret_any_ip);
}

/* The watches of a new vif's keys fire one by one, with the same result each time: only a change is logged. */
static void read_filter(struct message_filter *ret, bool *any_ip, struct device *dev,
			unsigned int otherwise)
{
	bool was_any_ip = *any_ip;

	*any_ip = false;
	memset(ret, 0, sizeof(*ret)); /* the padding, too: the message is compared as bytes */
	if (parse_filter(dev, otherwise, ret, any_ip)) {
		memset(ret, 0, sizeof(*ret));
		ret->want = FILTER_WANT_SILENCE;
	}
	if (*any_ip && !was_any_ip)
		device_log(dev, LOG_LEVEL_INFO,
			   "antispoof: the vif has no ip=, so it may use any address");
}

static bool is_rule(const char *key)
{
	return !strcmp(key, "antispoof") || !strcmp(key, "mac") || !strcmp(key, "ip");
}

/* --- both --- */

void vif_tune_read(struct message_nic_tuning *tuning, bool *any_ip, struct device *dev,
		   const struct vif_options *options)
{
	for (size_t i = 0; i < NR_LIMITS; i++)
		read_limit(tuning, dev, options, i);
	read_filter(&tuning->filter, any_ip, dev, options->antispoof);
}

bool vif_tune_reads(const char *key)
{
	return is_limit(key) || is_rule(key);
}
