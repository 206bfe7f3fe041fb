/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/leftover.h"
#include "core/statefile.h"

/*
 * `domid` and `devid` are those of the last file. Files of one device follow each other, so xenstore is asked once for
 * all.
 */
struct sweep {
	struct store *store;
	const char *dir;
	const struct leftover *const *lists;
	const char *backend; /* the first backend of the device's kind; NULL: none */
	uint32_t domid, devid;
	bool gone;
};

static bool is_gone(struct store *store, const char *const *backends, uint32_t domid,
		    uint32_t devid)
{
	char path[64];

	for (; *backends; backends++) {
		snprintf(path, sizeof(path), "backend/%s/%u/%u", *backends, domid, devid);
		if (!store_is_gone(store, path, "state"))
			return false;
	}
	return true;
}

static void ask(struct sweep *s, const struct leftover *kind, uint32_t domid, uint32_t devid)
{
	if (s->backend == kind->backends[0] && s->domid == domid && s->devid == devid)
		return;
	s->backend = kind->backends[0];
	s->domid = domid;
	s->devid = devid;
	s->gone = is_gone(s->store, kind->backends, domid, devid);
}

static bool fits(const struct leftover *kind, const char *name, uint32_t *ret_domid,
		 uint32_t *ret_devid)
{
	int end = 0;

	return sscanf(name, kind->pattern, ret_domid, ret_devid, &end) == 2 && end &&
	       (!name[end] || !strcmp(name + end, STATEFILE_NEW));
}

static const struct leftover *kind_of(const struct leftover *const *lists, const char *name,
				      uint32_t *ret_domid, uint32_t *ret_devid)
{
	for (; *lists; lists++)
		for (const struct leftover *kind = *lists; kind->pattern; kind++)
			if (fits(kind, name, ret_domid, ret_devid))
				return kind;
	return NULL;
}

static void look_at(struct sweep *s, const char *name)
{
	uint32_t domid, devid;
	const struct leftover *kind = kind_of(s->lists, name, &domid, &devid);
	char path[PATH_MAX];

	if (!kind || snprintf(path, sizeof(path), "%s/%s", s->dir, name) >= (int)sizeof(path))
		return;
	ask(s, kind, domid, devid);
	if (!s->gone)
		return;
	if (kind->remove)
		kind->remove(s->dir, domid, devid);
	unlink(path);
}

void leftover_sweep(struct store *store, const char *dir, const struct leftover *const *lists)
{
	struct sweep sweep = { .store = store, .dir = dir, .lists = lists };
	struct dirent **entries = NULL;
	int nr = scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < nr; i++) {
		look_at(&sweep, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}
