/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/parse.h"
#include "core/log.h"
#include "core/trace.h"

static struct trace_filter filter;
static const void *filter_owner;

static const struct {
	const char *name;
	unsigned int bit;
} categories[] = {
	{ "ring", TRACE_RING }, { "net", TRACE_NET },     { "blk", TRACE_BLK },
	{ "bus", TRACE_BUS },   { "grant", TRACE_GRANT },
};

static unsigned int category_bit(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]); i++)
		if (strlen(categories[i].name) == len && !memcmp(categories[i].name, name, len))
			return categories[i].bit;
	return 0;
}

/* "ring,blk" up to `end`. */
static int parse_categories(const char *text, const char *end, unsigned int *ret)
{
	unsigned int bits = 0;

	while (text < end) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma ? comma : end;
		unsigned int bit = category_bit(text, (size_t)(stop - text));

		if (!bit)
			return -EINVAL;
		bits |= bit;
		text = comma ? comma + 1 : end;
	}
	*ret = bits ? bits : TRACE_ALL;
	return 0;
}

/* Plain decimal that ends at `end`. */
static int parse_id(const char *text, const char *end, uint32_t *ret)
{
	uint32_t value;

	if (!parse_digits_u32(&text, UINT32_MAX, &value) || text != end)
		return -EINVAL;
	*ret = value;
	return 0;
}

int trace_parse(const char *text, struct trace_filter *ret)
{
	struct trace_filter parsed = { 0 };
	const char *at, *slash, *end;

	if (!text)
		text = "";
	end = text + strlen(text);
	at = strchr(text, '@');
	if (parse_categories(text, at ? at : end, &parsed.categories))
		return -EINVAL;
	slash = at ? strchr(at, '/') : NULL;
	parsed.one_domain = at != NULL;
	if (at && parse_id(at + 1, slash ? slash : end, &parsed.domid))
		return -EINVAL;
	parsed.one_device = slash != NULL;
	if (slash && parse_id(slash + 1, end, &parsed.devid))
		return -EINVAL;
	*ret = parsed;
	return 0;
}

void trace_set(const struct trace_filter *wanted, const void *owner)
{
	filter = *wanted;
	filter_owner = owner;
}

bool trace_is_of(const void *owner)
{
	return filter_owner == owner;
}

unsigned int trace_mask(uint32_t domid, uint32_t devid)
{
	if (filter.one_domain && filter.domid != domid)
		return 0;
	if (filter.one_device && filter.devid != devid)
		return 0;
	return filter.categories;
}

void trace_line(const struct trace_id *id, const char *fmt, ...)
{
	char who[48];
	va_list ap;

	snprintf(who, sizeof(who), "trace %s %u/%u/%u", id->kind, id->domid, id->devid, id->queue);
	va_start(ap, fmt);
	log_vtrace(who, fmt, ap);
	va_end(ap);
}
