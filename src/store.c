/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "store.h"

#define MAX_CONFLICTS 100

int store_open(struct store *store)
{
	*store = (struct store){ .xs = xs_open(0) };
	if (!store->xs)
		return errno ? -errno : -EIO;
	if (store_read_u32(store, XBT_NULL, "", "domid", 0, 0x7fef, &store->domid))
		store->domid = 0; /* Dom0 need not have the node */
	return 0;
}

int store_open_watches(struct store *store)
{
	/* Not XS_UNWATCH_FILTER: with it libxenstore 4.17 leaks each event that it throws away. */
	store->watches = xs_open(0);
	return store->watches ? 0 : errno ? -errno : -EIO;
}

void store_close_watches(struct store *store)
{
	if (store->watches)
		xs_close(store->watches);
	store->watches = NULL;
}

void store_close(struct store *store)
{
	store_drop_names(store);
	store_close_watches(store);
	if (store->xs)
		xs_close(store->xs);
	store->xs = NULL;
}

/* DIR/KEY; an empty DIR is our own home. */
static int join(char *path, const char *dir, const char *key)
{
	int n = snprintf(path, STORE_PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", key);

	return n < 0 || (unsigned int)n >= STORE_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* --- names that are held --- */

void store_hold_names(struct store *store, const char *dir)
{
	store_drop_names(store);
	store->names = xs_directory(store->xs, XBT_NULL, dir, &store->nr_names);
	store->names_of = dir;
}

void store_drop_names(struct store *store)
{
	free(store->names);
	store->names = NULL;
}

const char *store_held_name(const struct store *store, unsigned int index)
{
	return store->names && index < store->nr_names ? store->names[index] : NULL;
}

static bool is_known_missing(const struct store *store, xs_transaction_t t, const char *dir,
			     const char *key)
{
	if (!store->names || t != XBT_NULL || strcmp(dir, store->names_of) != 0 || strchr(key, '/'))
		return false;
	for (unsigned int i = 0; i < store->nr_names; i++)
		if (!strcmp(store->names[i], key))
			return false;
	return true;
}

/* --- reading --- */

/* The caller frees it. NULL with errno set. */
static char *fetch(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		   unsigned int *ret_len)
{
	char path[STORE_PATH_MAX];
	int err = is_known_missing(store, t, dir, key) ? -ENOENT : join(path, dir, key);

	errno = -err;
	return err ? NULL : xs_read(store->xs, t, path, ret_len);
}

static bool is_plain_text(const char *text, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

static int copy_value(const char *value, unsigned int len, char *buf, size_t size)
{
	if (len >= size)
		return -E2BIG;
	if (!is_plain_text(value, len))
		return -EINVAL;
	memcpy(buf, value, len);
	buf[len] = '\0';
	return 0;
}

int store_read(struct store *store, xs_transaction_t t, const char *dir, const char *key, char *buf,
	       size_t size)
{
	unsigned int len;
	char *value = fetch(store, t, dir, key, &len);
	int err;

	if (!value)
		return errno ? -errno : -EIO;
	err = copy_value(value, len, buf, size);
	free(value);
	return err;
}

int store_read_u32(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		   uint32_t min, uint32_t max, uint32_t *ret)
{
	char text[32];
	int err = store_read(store, t, dir, key, text, sizeof(text));

	if (err)
		return err == -E2BIG ? -ERANGE : err;
	return parse_u32(text, min, max, ret);
}

int store_read_flag(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		    bool fallback, bool *ret)
{
	uint32_t value = fallback;
	int err = store_read_u32(store, t, dir, key, 0, 1, &value);

	if (err && err != -ENOENT)
		return err;
	*ret = value != 0;
	return 0;
}

bool store_exists(struct store *store, xs_transaction_t t, const char *dir, const char *key)
{
	unsigned int len;
	char *value = fetch(store, t, dir, key, &len);

	free(value);
	return value != NULL;
}

bool store_is_gone(struct store *store, const char *dir, const char *key)
{
	char text[STORE_VALUE_MAX];

	return store_read(store, XBT_NULL, dir, key, text, sizeof(text)) == -ENOENT;
}

int store_write(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		const char *value)
{
	char path[STORE_PATH_MAX];
	int err = join(path, dir, key);

	if (err)
		return err;
	if (!xs_write(store->xs, t, path, value, (unsigned int)strlen(value)))
		return errno ? -errno : -EIO;
	return 0;
}

int store_writef(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		 const char *fmt, ...)
{
	char value[STORE_VALUE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0 || (unsigned int)n >= sizeof(value))
		return -E2BIG;
	return store_write(store, t, dir, key, value);
}

int store_remove(struct store *store, xs_transaction_t t, const char *dir, const char *key)
{
	char path[STORE_PATH_MAX];
	int err = join(path, dir, key);

	if (err)
		return err;
	if (!xs_rm(store->xs, t, path))
		return errno ? -errno : -EIO;
	return 0;
}

/* One try: -EAGAIN when somebody else changed what we read. */
static int transact_once(struct store *store, const char *dir, store_fn fn, void *user)
{
	xs_transaction_t t = xs_transaction_start(store->xs);
	int err;

	if (t == XBT_NULL)
		return errno ? -errno : -EIO;
	err = !dir || store_exists(store, t, dir, "state") ? fn(store, t, user) : -ENOENT;
	if (!xs_transaction_end(store->xs, t, err != 0) && !err)
		err = errno ? -errno : -EIO;
	return err;
}

int store_transact(struct store *store, const char *dir, store_fn fn, void *user)
{
	int err = -EAGAIN;

	for (unsigned int i = 0; i < MAX_CONFLICTS && err == -EAGAIN; i++)
		err = transact_once(store, dir, fn, user);
	return err;
}
