/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "netback/offload.h"
#include "netback/vif_limits.h"

static const struct {
	const char *key, *unit;
	size_t at;
} keys[] = {
	{ "rate", "BYTES", offsetof(struct vif_limits, tx.bytes) },
	{ "rate-rx", "BYTES", offsetof(struct vif_limits, rx.bytes) },
	{ "packet-rate", "PACKETS", offsetof(struct vif_limits, tx.packets) },
	{ "packet-rate-rx", "PACKETS", offsetof(struct vif_limits, rx.packets) },
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
static void read_one(struct vif_limits *limits, struct device *dev, size_t i)
{
	struct rate *rate = (struct rate *)(void *)((char *)limits + keys[i].at);
	uint32_t amount = 0, usecs = 0;
	char text[64];
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, keys[i].key, text,
			     sizeof(text));

	if (!err)
		err = rate_parse(text, &amount, &usecs);
	if (!err || err == -ENOENT)
		rate_set(rate, amount, usecs);
	else
		device_log(dev, LOG_LEVEL_WARNING,
			   "`%s` is not %s,MICROSECONDS: what was in force stays", keys[i].key,
			   keys[i].unit);
}

void vif_limits_read(struct vif_limits *limits, struct device *dev)
{
	for (size_t i = 0; i < NR_KEYS; i++)
		read_one(limits, dev, i);
}

bool vif_limits_reads(const char *key)
{
	for (size_t i = 0; i < NR_KEYS; i++)
		if (!strcmp(key, keys[i].key))
			return true;
	return false;
}
