/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/mapfile.h"
#include "netback/tap_mark.h"
#include "netback/vif_file.h"

int vif_file_path(const struct vif_id *id, const char *suffix, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/vif-%u-%u%s", id->dir, id->domid, id->devid, suffix);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

void vif_file_forget(const struct vif_id *id, const char *suffix)
{
	char path[PATH_MAX];

	if (vif_file_path(id, suffix, path) == 0)
		unlink(path);
}

void vif_file_close(void *addr, size_t bytes, const struct vif_id *id, const char *suffix,
		    bool remove)
{
	if (!addr)
		return;
	mapfile_unmap(addr, bytes);
	if (remove)
		vif_file_forget(id, suffix);
}

const struct leftover vif_leftovers[] = {
	{ "vif-%u-%u.state%n", { "vif" }, NULL },
	{ "vif-%u-%u-%*u.ring%n", { "vif" }, NULL },
	{ "vif-%u-%u.tap%n", { "vif" }, tap_mark_remove },
	{ 0 },
};
