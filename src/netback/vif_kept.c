/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "mapfile.h"
#include "netback/vif_kept.h"

#define MAGIC   0x5445454b56500001ull
#define VERSION 1u

static int path_of(const struct vif_kept_id *id, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/vif-%u-%u.state", id->dir, id->domid, id->devid);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int vif_kept_create(const struct vif_kept_id *id, struct vif_kept **ret)
{
	struct vif_kept *kept;
	char path[PATH_MAX];
	void *addr;
	int err = path_of(id, path);

	if (!err)
		err = mapfile_create(path, sizeof(*kept), &addr);
	if (err)
		return err;
	kept = addr;
	kept->magic = MAGIC;
	kept->version = VERSION;
	kept->bytes = sizeof(*kept);
	kept->domid = id->domid;
	kept->devid = id->devid;
	*ret = kept;
	return 0;
}

static bool is_usable(const struct vif_kept *kept, const struct vif_kept_id *id)
{
	return kept->magic == MAGIC && kept->version == VERSION && kept->bytes == sizeof(*kept) &&
	       kept->domid == id->domid && kept->devid == id->devid;
}

int vif_kept_open(const struct vif_kept_id *id, struct vif_kept **ret)
{
	char path[PATH_MAX];
	void *addr;
	int err = path_of(id, path);

	if (!err)
		err = mapfile_open(path, sizeof(struct vif_kept), &addr);
	if (err)
		return err;
	if (!is_usable(addr, id)) {
		mapfile_unmap(addr, sizeof(struct vif_kept));
		return -EBADMSG;
	}
	*ret = addr;
	return 0;
}

struct vif_kept *vif_kept_close(struct vif_kept *kept, const struct vif_kept_id *id, bool remove)
{
	char path[PATH_MAX];

	if (!kept)
		return NULL;
	mapfile_unmap(kept, sizeof(*kept));
	if (remove && path_of(id, path) == 0)
		unlink(path);
	return NULL;
}

void vif_kept_forget(const struct vif_kept_id *id)
{
	char path[PATH_MAX];

	if (path_of(id, path) == 0)
		unlink(path);
}

void vif_kept_sweep(struct store *store, const char *runtime_dir)
{
	DIR *dir = opendir(runtime_dir);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		unsigned int domid, devid;
		char be_path[64];
		int end = 0;

		if (sscanf(entry->d_name, "vif-%u-%u.state%n", &domid, &devid, &end) != 2 ||
		    end == 0 || entry->d_name[end])
			continue;
		snprintf(be_path, sizeof(be_path), "backend/vif/%u/%u", domid, devid);
		if (store_is_gone(store, be_path, "state"))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}
