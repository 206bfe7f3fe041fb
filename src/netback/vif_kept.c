/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "core/mapfile.h"
#include "netback/vif_kept.h"

#define MAGIC   0x5445454b56500001ull
#define VERSION 1u
#define SUFFIX  ".state"

int vif_kept_create(const struct vif_id *id, struct vif_kept **ret)
{
	struct vif_kept *kept;
	char path[PATH_MAX];
	void *addr;
	int err = vif_file_path(id, SUFFIX, path);

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

static bool is_usable(const struct vif_kept *kept, const struct vif_id *id)
{
	return kept->magic == MAGIC && kept->version == VERSION && kept->bytes == sizeof(*kept) &&
	       kept->domid == id->domid && kept->devid == id->devid;
}

int vif_kept_open(const struct vif_id *id, struct vif_kept **ret)
{
	char path[PATH_MAX];
	void *addr;
	int err = vif_file_path(id, SUFFIX, path);

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

struct vif_kept *vif_kept_close(struct vif_kept *kept, const struct vif_id *id, bool remove)
{
	vif_file_close(kept, sizeof(*kept), id, SUFFIX, remove);
	return NULL;
}

void vif_kept_forget(const struct vif_id *id)
{
	vif_file_forget(id, SUFFIX);
}
