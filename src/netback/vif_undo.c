/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "mapfile.h"
#include "netback/tap.h"
#include "netback/vif_undo.h"

static int path_of(const struct vif_undo_id *id, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/vif-%u-%u-%u.ring", id->dir, id->domid, id->devid,
			 id->queue);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int vif_undo_open(const struct vif_undo_id *id, bool resume, struct vif_undo **ret)
{
	char path[PATH_MAX];
	void *addr;
	int err = path_of(id, path);

	if (err)
		return err;
	err = resume ? mapfile_open(path, sizeof(**ret), &addr) : -ENOENT;
	if (err == -ENOENT)
		err = mapfile_create(path, sizeof(**ret), &addr);
	if (!err)
		*ret = addr;
	return err;
}

struct vif_undo *vif_undo_close(struct vif_undo *undo, const struct vif_undo_id *id, bool remove)
{
	char path[PATH_MAX];

	if (!undo)
		return NULL;
	mapfile_unmap(undo, sizeof(*undo));
	if (remove && path_of(id, path) == 0)
		unlink(path);
	return NULL;
}

void vif_undo_forget(const struct vif_undo_id *id)
{
	struct vif_undo_id each = *id;
	char path[PATH_MAX];

	for (each.queue = 0; each.queue < TAP_MAX_QUEUES; each.queue++)
		if (path_of(&each, path) == 0)
			unlink(path);
}

void vif_undo_sweep(struct store *store, const char *runtime_dir)
{
	DIR *dir = opendir(runtime_dir);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		unsigned int domid, devid, queue;
		char be_path[64];
		int end = 0;

		if (sscanf(entry->d_name, "vif-%u-%u-%u.ring%n", &domid, &devid, &queue, &end) !=
			    3 ||
		    end == 0 || entry->d_name[end])
			continue;
		snprintf(be_path, sizeof(be_path), "backend/vif/%u/%u", domid, devid);
		if (store_is_gone(store, be_path, "state"))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}
