/* SPDX-License-Identifier: MIT */
/*
 * The lock file that goes with a disk's START. Within one process claims of blocks (blocks.h) are enough. An NBD export's
 * blocks are known to whoever serves it only, which makes no use of the file when they are small.
 */
#include "blkback/medium_lock.h"
#include "blkback/vbd.h"

static bool is_needed(const struct vbd *vbd)
{
	return vbd->dev.env->served_apart && !vbd->image.read_only &&
	       (vbd->nbd || vbd->image.block > BLKIF_SECTOR_SIZE);
}

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

int vbd_lock_open(const struct vbd *vbd, int *ret_fd)
{
	char medium[MEDIUM_NAME_MAX];

	if (!is_needed(vbd) || name_of(vbd, medium, sizeof(medium)))
		return 0; /* a name that cannot be is found by whoever would serve it, who says what is wrong */
	return medium_lock_open(vbd->dev.env->runtime_dir, medium, ret_fd);
}

void vbd_lock_forget(const struct vbd *vbd)
{
	char medium[MEDIUM_NAME_MAX];

	if (vbd->dev.env->served_apart && !name_of(vbd, medium, sizeof(medium)))
		medium_lock_remove(vbd->dev.env->runtime_dir, medium);
}
