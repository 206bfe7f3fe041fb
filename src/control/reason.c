/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/reason.h"

/* In a driver domain's home the toolstack has made this node. The domain itself could not make it again. */
#define TOP "error"

static void path_of(const char *be_path, char path[STORE_PATH_MAX])
{
	snprintf(path, STORE_PATH_MAX, TOP "/%.*s", (int)(STORE_DIR_MAX - sizeof(TOP)), be_path);
}

void reason_write(struct store *store, const char *be_path, int err, const char *text)
{
	char path[STORE_PATH_MAX];

	path_of(be_path, path);
	store_writef(store, XBT_NULL, path, "error", "%d %s", -err, text);
}

int reason_read(struct store *store, const char *be_path, char *buf, size_t size)
{
	char path[STORE_PATH_MAX], node[STORE_VALUE_MAX];
	const char *text;
	int err;

	path_of(be_path, path);
	err = store_read(store, XBT_NULL, path, "error", node, sizeof(node));
	if (err)
		return err;
	text = strchr(node, ' '); /* behind the number */
	snprintf(buf, size, "%s", text ? text + 1 : node);
	return 0;
}

static bool is_empty(struct store *store, xs_transaction_t t, const char *path)
{
	unsigned int nr;
	char **names;

	if (store_list(store, t, path, &names, &nr))
		return false;
	free(names);
	return nr == 0;
}

static int remove_upwards(struct store *store, xs_transaction_t t, void *user)
{
	char path[STORE_PATH_MAX];
	int err;

	path_of(user, path);
	do {
		err = store_remove(store, t, "", path);
		if (err)
			return err;
		*strrchr(path, '/') = '\0';
	} while (strcmp(path, TOP) && is_empty(store, t, path));
	return 0;
}

void reason_clear(struct store *store, const char *be_path)
{
	char path[STORE_PATH_MAX];

	path_of(be_path, path);
	if (store_exists(store, XBT_NULL, path, "error"))
		store_transact(store, NULL, remove_upwards, (void *)(uintptr_t)be_path);
}

static void sweep_domain(struct store *store, const char *dir)
{
	char path[STORE_PATH_MAX];
	unsigned int nr;
	char **names;

	if (store_list(store, XBT_NULL, dir, &names, &nr))
		return;
	for (unsigned int i = 0; i < nr; i++)
		if (snprintf(path, sizeof(path), "%s/%s", dir + strlen(TOP "/"), names[i]) <
			    (int)sizeof(path) &&
		    store_is_gone(store, path, "state"))
			reason_clear(store, path);
	free(names);
}

void reason_sweep(struct store *store, const char *kind)
{
	char dir[STORE_PATH_MAX], path[STORE_PATH_MAX];
	unsigned int nr;
	char **names;

	snprintf(dir, sizeof(dir), TOP "/backend/%s", kind);
	if (store_list(store, XBT_NULL, dir, &names, &nr))
		return;
	for (unsigned int i = 0; i < nr; i++)
		if (snprintf(path, sizeof(path), "%s/%s", dir, names[i]) < (int)sizeof(path))
			sweep_domain(store, path);
	free(names);
}
