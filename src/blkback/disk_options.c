/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "blkback/disk_options.h"

#define AMOUNT_MAX ((uint64_t)1 << 40)
#define USECS      1000000u

const struct disk_options disk_options_default = {
	.max_persistent_grants = 1056, /* a ring of 32 requests of 32 pages each, and their lists */
};

static int parse_flag(const char *text, void *ret)
{
	bool yes = !strcmp(text, "yes") || !strcmp(text, "1");

	if (!yes && strcmp(text, "no") && strcmp(text, "0"))
		return -EINVAL;
	*(bool *)ret = yes;
	return 0;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int parse_grants(const char *text, void *ret)
{
	uint64_t nr;
	int err = parse_number(text, PERSISTENT_GRANTS_MAX, &nr);

	if (!err)
		*(uint32_t *)ret = (uint32_t)nr;
	return err;
}

static int parse_poll(const char *text, void *ret)
{
	uint64_t us;
	int err = parse_number(text, POLL_US_MAX, &us);

	if (!err)
		*(uint32_t *)ret = (uint32_t)us;
	return err;
}

static int parse_amount(const char *text, void *ret)
{
	return parse_number(text, AMOUNT_MAX, ret);
}

static int parse_cache(const char *text, void *ret)
{
	static const char *const names[] = { [DISK_CACHE_NONE] = "none",
					     [DISK_CACHE_WRITEBACK] = "writeback",
					     [DISK_CACHE_WRITETHROUGH] = "writethrough" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i])) {
			*(enum disk_cache *)ret = (enum disk_cache)i;
			return 0;
		}
	return -EINVAL;
}

static int parse_errors(const char *text, void *ret)
{
	bool stall = !strcmp(text, "stall");

	if (!stall && strcmp(text, "report"))
		return -EINVAL;
	*(enum disk_errors *)ret = stall ? DISK_ERRORS_STALL : DISK_ERRORS_REPORT;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(const char *text, void *ret);
	size_t at;
} entries[] = {
	{ "persistent-grants", parse_flag, offsetof(struct disk_options, persistent_grants) },
	{ "max-persistent-grants", parse_grants,
	  offsetof(struct disk_options, max_persistent_grants) },
	{ "error-policy", parse_errors, offsetof(struct disk_options, errors) },
	{ "iops", parse_amount, offsetof(struct disk_options, iops) },
	{ "iops-burst", parse_amount, offsetof(struct disk_options, iops_burst) },
	{ "bps", parse_amount, offsetof(struct disk_options, bps) },
	{ "bps-burst", parse_amount, offsetof(struct disk_options, bps_burst) },
	{ "cache-mode", parse_cache, offsetof(struct disk_options, cache) },
	{ "poll-time", parse_poll, offsetof(struct disk_options, poll_us) },
};

#define NR_ENTRIES (sizeof(entries) / sizeof(entries[0]))

int disk_options_set(struct disk_options *options, const char *name, const char *value)
{
	for (size_t i = 0; i < NR_ENTRIES; i++)
		if (!strcmp(entries[i].name, name))
			return entries[i].parse(value, (char *)options + entries[i].at);
	return -ENOENT;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void disk_rate(uint64_t per_second, uint64_t burst, uint32_t *ret_amount, uint32_t *ret_usecs)
{
	*ret_amount = *ret_usecs = 0;
	if (per_second == 0)
		return;
	burst = most(burst ? burst : per_second / 10, most(per_second / 1000, 1));
	if (burst > UINT32_MAX)
		burst = UINT32_MAX;
	if (burst / per_second >= UINT32_MAX / USECS) /* more than an hour's */
		burst = per_second * (UINT32_MAX / USECS);
	*ret_amount = (uint32_t)burst;
	*ret_usecs = (uint32_t)(burst * USECS / per_second);
}

const char *disk_options_name(unsigned int index)
{
	return index < NR_ENTRIES ? entries[index].name : NULL;
}
