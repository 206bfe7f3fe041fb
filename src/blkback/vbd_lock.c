/* SPDX-License-Identifier: MIT */
/*
 * The lock file of the medium that a disk writes to. The process that serves the disk gets a copy of the descriptor
 * with START, and closes it when the medium has given back all requests. Control's own descriptor is for a guest that
 * is gone before that.
 */
#include <errno.h>

#include "blkback/medium_lock.h"
#include "blkback/vbd.h"
#include "blkback/vbd_file.h"
#include "core/statefile.h"

static int name_of(const struct vbd *vbd, char *medium, size_t size)
{
	struct nbd_name name;
	const char *wrong;
	int err;

	if (!vbd->nbd) {
		medium_name(&vbd->image, medium, size);
		return 0;
	}
	err = nbd_name_parse(vbd->image_name, &name, &wrong);
	return err ? err : nbd_name_format(&name, medium, size);
}

/* Its guest may have gone at the same time as the process that served it. */
static bool has_requests_of_disks_that_are_gone(const struct vbd *vbd)
{
	struct medium_disk disk;
	uint64_t at = 0;

	while (medium_lock_others(vbd->lock_fd, &at, &disk))
		if (!vbd_file_has_journal(
			    &(struct vbd_id){ vbd->dev.env->runtime_dir, disk.domid, disk.devid }))
			return true;
	return false;
}

int vbd_lock_open(struct vbd *vbd)
{
	const struct medium_disk disk = { vbd->dev.domid, vbd->dev.devid };
	char medium[MEDIUM_NAME_MAX];
	int err;

	statefile_close(&vbd->lock_fd);
	if (vbd->image.read_only || name_of(vbd, medium, sizeof(medium)))
		return 0; /* the process that serves the disk reports a bad name */
	err = medium_lock_open(vbd->dev.env->runtime_dir, medium, &disk, &vbd->lock_fd);
	if (err || !has_requests_of_disks_that_are_gone(vbd))
		return err;
	statefile_close(&vbd->lock_fd);
	return -EBUSY;
}

void vbd_lock_leave(struct vbd *vbd)
{
	if (vbd->lock_fd >= 0)
		medium_lock_leave(vbd->lock_fd);
	statefile_close(&vbd->lock_fd);
}

void vbd_lock_forget(struct vbd *vbd)
{
	char medium[MEDIUM_NAME_MAX];

	if (!name_of(vbd, medium, sizeof(medium)))
		medium_lock_close(vbd->dev.env->runtime_dir, medium, &vbd->lock_fd);
	statefile_close(&vbd->lock_fd);
}
