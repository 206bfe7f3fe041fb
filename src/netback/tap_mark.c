/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mapfile.h"
#include "netback/tap.h"
#include "netback/tap_mark.h"
#include "rtnl.h"

struct mark {
	int32_t ifindex;
};

static int path_of(const char *dir, uint32_t domid, uint32_t devid, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/vif-%u-%u.tap", dir, domid, devid);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int tap_mark(const char *dir, uint32_t domid, uint32_t devid, int ifindex)
{
	char path[PATH_MAX];
	void *mark;
	int err = path_of(dir, domid, devid, path);

	if (!err)
		err = mapfile_create(path, sizeof(struct mark), &mark);
	if (err)
		return err;
	*(struct mark *)mark = (struct mark){ .ifindex = ifindex };
	mapfile_unmap(mark, sizeof(struct mark));
	return 0;
}

void tap_unmark(const char *dir, uint32_t domid, uint32_t devid)
{
	char path[PATH_MAX];

	if (path_of(dir, domid, devid, path) == 0)
		unlink(path);
}

static int read_mark(const char *dir, uint32_t domid, uint32_t devid)
{
	char path[PATH_MAX];
	int ifindex = 0;
	void *mark;

	if (path_of(dir, domid, devid, path) || mapfile_open(path, sizeof(struct mark), &mark))
		return 0;
	ifindex = ((const struct mark *)mark)->ifindex;
	mapfile_unmap(mark, sizeof(struct mark));
	return ifindex;
}

/* An index is used again only after a reboot, and then the runtime directory is empty. */
static bool is_tap(int ifindex)
{
	struct rtnl_info info = { 0 };
	struct rtnl *rtnl;
	int err;

	if (ifindex <= 0 || rtnl_new(&rtnl))
		return false;
	err = rtnl_get(rtnl, ifindex, &info);
	rtnl_free(rtnl);
	return !err && !strcmp(info.kind, "tun");
}

static void remove_tap(int ifindex)
{
	char name[IFNAMSIZ];
	struct tap tap;

	if (!is_tap(ifindex) || !if_indextoname((unsigned int)ifindex, name))
		return;
	if (tap_open(&tap, name, true) == 0) {
		log_info("%s is removed: its vif went while no pvbackd ran", name);
		tap_close(&tap, true);
	}
}

void tap_mark_sweep(struct store *store, const char *dir_path)
{
	DIR *dir = opendir(dir_path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		uint32_t domid, devid;
		char be_path[64];
		int end = 0;

		if (sscanf(entry->d_name, "vif-%u-%u.tap%n", &domid, &devid, &end) != 2 ||
		    end == 0 || entry->d_name[end])
			continue;
		snprintf(be_path, sizeof(be_path), "backend/vif/%u/%u", domid, devid);
		if (!store_is_gone(store, be_path, "state"))
			continue;
		remove_tap(read_mark(dir_path, domid, devid));
		tap_unmark(dir_path, domid, devid);
	}
	if (dir)
		closedir(dir);
}
