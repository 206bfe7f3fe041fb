/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "netback/offload.h"
#include "netback/vif_limits.h"

#define ROW(key_, unit_, rate_, default_)                                                          \
	{                                                                                          \
		key_, unit_, offsetof(struct vif_limits, rate_),                                   \
			offsetof(struct vif_options, default_)                                     \
	}

static const struct {
	const char *key, *unit;
	size_t at, default_at;
} keys[] = {
	ROW("rate", "BYTES", tx.bytes, rate),
	ROW("rate-rx", "BYTES", rx.bytes, rate_rx),
	ROW("packet-rate", "PACKETS", tx.packets, packet_rate),
	ROW("packet-rate-rx", "PACKETS", rx.packets, packet_rate_rx),
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

void vif_limits_init(struct vif_limits *limits)
{
	const struct rate_pair none = { .bytes.min_burst = RATE_MIN_BURST_BYTES,
					.bytes.max_debt = RATE_MIN_BURST_BYTES,
					.packets.max_debt = OFFLOAD_MAX_SEGMENTS };

	*limits = (struct vif_limits){ .tx = none, .rx = none };
}

/* A value that cannot be read leaves in force what was. */
static void read_one(struct vif_limits *limits, struct device *dev,
		     const struct vif_options *options, size_t i)
{
	struct rate *rate = (struct rate *)(void *)((char *)limits + keys[i].at);
	struct vif_rate wanted;
	char text[64];
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, keys[i].key, text,
			     sizeof(text));

	if (err == -ENOENT)
		memcpy(&wanted, (const char *)options + keys[i].default_at, sizeof(wanted));
	else if (!err)
		err = rate_parse(text, &wanted.amount, &wanted.usecs);
	if (!err || err == -ENOENT)
		rate_set(rate, wanted.amount, wanted.usecs);
	else
		device_log(dev, LOG_LEVEL_WARNING,
			   "`%s` is not %s,MICROSECONDS: what was in force stays", keys[i].key,
			   keys[i].unit);
}

void vif_limits_read(struct vif_limits *limits, struct device *dev,
		     const struct vif_options *options)
{
	for (size_t i = 0; i < NR_KEYS; i++)
		read_one(limits, dev, options, i);
}

bool vif_limits_reads(const char *key)
{
	for (size_t i = 0; i < NR_KEYS; i++)
		if (!strcmp(key, keys[i].key))
			return true;
	return false;
}
