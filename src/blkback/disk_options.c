/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "blkback/disk_options.h"

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

static const struct {
	const char *name;
	int (*parse)(const char *text, void *ret);
	size_t at;
} entries[] = {
	{ "persistent-grants", parse_flag, offsetof(struct disk_options, persistent_grants) },
	{ "max-persistent-grants", parse_grants,
	  offsetof(struct disk_options, max_persistent_grants) },
};

#define NR_ENTRIES (sizeof(entries) / sizeof(entries[0]))

int disk_options_set(struct disk_options *options, const char *name, const char *value)
{
	for (size_t i = 0; i < NR_ENTRIES; i++)
		if (!strcmp(entries[i].name, name))
			return entries[i].parse(value, (char *)options + entries[i].at);
	return -ENOENT;
}

const char *disk_options_name(unsigned int index)
{
	return index < NR_ENTRIES ? entries[index].name : NULL;
}
