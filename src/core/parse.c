/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/parse.h"

/* Moves *at behind all digits there. -EINVAL when there is none, -ERANGE for more than 64 bits. */
static int take_digits(const char **at, uint64_t *ret)
{
	const char *digit = *at;
	uint64_t value = 0;
	bool fits = true;

	for (; *digit >= '0' && *digit <= '9'; digit++)
		fits = fits && !__builtin_mul_overflow(value, 10u, &value) &&
		       !__builtin_add_overflow(value, (uint64_t)(*digit - '0'), &value);
	if (digit == *at)
		return -EINVAL;
	*at = digit;
	*ret = value;
	return fits ? 0 : -ERANGE;
}

bool parse_digits(const char **at, uint64_t max, uint64_t *ret)
{
	const char *end = *at;
	uint64_t value;

	if (take_digits(&end, &value) || value > max)
		return false;
	*at = end;
	*ret = value;
	return true;
}

bool parse_digits_u32(const char **at, uint32_t max, uint32_t *ret)
{
	uint64_t value;

	if (!parse_digits(at, max, &value))
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* 0 for what is no unit. */
static uint64_t unit_called(const char *text)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {
		{ "", 1 },
		{ "k", 1000 },
		{ "M", 1000000 },
		{ "G", 1000000000 },
		{ "T", 1000000000000 },
		{ "Ki", (uint64_t)1 << 10 },
		{ "Mi", (uint64_t)1 << 20 },
		{ "Gi", (uint64_t)1 << 30 },
		{ "Ti", (uint64_t)1 << 40 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(text, units[i].name))
			return units[i].factor;
	return 0;
}

int parse_amount(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value, factor;
	int err = take_digits(&text, &value);

	factor = err == -EINVAL ? 0 : unit_called(text);
	if (!factor)
		return -EINVAL;
	if (err || __builtin_mul_overflow(value, factor, &value) || value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (text[strspn(text, "0123456789")])
		return -EINVAL; /* a unit makes no sense here */
	return parse_amount(text, min, max, ret);
}

int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t value;
	int err = parse_u64(text, min, max, &value);

	if (!err)
		*ret = (uint32_t)value;
	return err;
}
