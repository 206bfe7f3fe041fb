/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/front.h"

void front_open(struct front_reader *r, struct device *dev)
{
	*r = (struct front_reader){ .dev = dev };
	memcpy(r->dir, dev->fe_path, sizeof(dev->fe_path));
}

void front_refuse(struct front_reader *r, int err, const char *fmt, ...)
{
	va_list ap;

	if (r->err)
		return;
	r->err = err;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
}

void front_enter_queue(struct front_reader *r, unsigned int index)
{
	int n = snprintf(r->dir, sizeof(r->dir), "%s/queue-%u", r->dev->fe_path, index);

	if (n < 0 || (size_t)n >= sizeof(r->dir))
		front_refuse(r, -ENAMETOOLONG, "the frontend's path is too long");
}

bool front_has(const struct front_reader *r, const char *key)
{
	return store_exists(r->dev->env->store, XBT_NULL, r->dir, key);
}

static void complain(struct front_reader *r, const char *key, uint32_t min, uint32_t max, int err)
{
	if (err == -ENOENT)
		front_refuse(r, err, "the frontend's key `%s` is missing", key);
	else if (err == -EINVAL || err == -ERANGE)
		front_refuse(r, err, "the frontend's key `%s` is not a number from %u to %u", key,
			     min, max);
	else
		front_refuse(r, err, "the frontend's key `%s` cannot be read: %s", key,
			     strerror(-err));
}

/* *ret is not changed when the key is missing or wrong. */
static void read_number(struct front_reader *r, const char *key, uint32_t min, uint32_t max,
			bool needed, uint32_t *ret)
{
	int err;

	if (r->err)
		return;
	err = store_read_u32(r->dev->env->store, XBT_NULL, r->dir, key, min, max, ret);
	if (err && (needed || err != -ENOENT))
		complain(r, key, min, max, err);
}

uint32_t front_number(struct front_reader *r, const char *key, uint32_t min, uint32_t max)
{
	uint32_t value = min;

	read_number(r, key, min, max, true, &value);
	return value;
}

uint32_t front_optional(struct front_reader *r, const char *key, uint32_t min, uint32_t max,
			uint32_t fallback)
{
	uint32_t value = fallback;

	read_number(r, key, min, max, false, &value);
	return value;
}

bool front_flag(struct front_reader *r, const char *key, bool fallback)
{
	return front_optional(r, key, 0, 1, fallback) != 0;
}

bool front_text(struct front_reader *r, const char *key, char *buf, size_t size)
{
	int err;

	*buf = '\0';
	if (r->err)
		return false;
	err = store_read(r->dev->env->store, XBT_NULL, r->dir, key, buf, size);
	if (err && err != -ENOENT)
		front_refuse(r, err, "the frontend's key `%s` cannot be used: %s", key,
			     strerror(-err));
	return !err;
}
