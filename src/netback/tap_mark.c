/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "log.h"
#include "mapfile.h"
#include "netback/tap.h"
#include "netback/tap_mark.h"
#include "rtnl.h"

#define SUFFIX ".tap"

struct mark {
	int32_t ifindex;
};

int tap_mark(const struct vif_id *id, int ifindex)
{
	char path[PATH_MAX];
	void *mark;
	int err = vif_file_path(id, SUFFIX, path);

	if (!err)
		err = mapfile_create(path, sizeof(struct mark), &mark);
	if (err)
		return err;
	*(struct mark *)mark = (struct mark){ .ifindex = ifindex };
	mapfile_unmap(mark, sizeof(struct mark));
	return 0;
}

void tap_unmark(const struct vif_id *id)
{
	vif_file_forget(id, SUFFIX);
}

static int read_mark(const struct vif_id *id)
{
	char path[PATH_MAX];
	int ifindex = 0;
	void *mark;

	if (vif_file_path(id, SUFFIX, path) || mapfile_open(path, sizeof(struct mark), &mark))
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

void tap_mark_remove(const char *dir, uint32_t domid, uint32_t devid)
{
	int ifindex = read_mark(&(struct vif_id){ dir, domid, devid });
	char name[IFNAMSIZ];
	struct tap tap;

	if (!is_tap(ifindex) || !if_indextoname((unsigned int)ifindex, name))
		return;
	if (tap_open(&tap, name, true) == 0) {
		log_info("%s is removed: its vif went while no pvbackd ran", name);
		tap_close(&tap, true);
	}
}
