/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "core/mapfile.h"
#include "netback/vif_undo.h"

struct suffix {
	char text[24];
};

static struct suffix suffix_of(unsigned int queue)
{
	struct suffix suffix;

	snprintf(suffix.text, sizeof(suffix.text), "-%u.ring", queue);
	return suffix;
}

int vif_undo_open(const struct vif_id *id, unsigned int queue, bool resume, struct vif_undo **ret)
{
	char path[PATH_MAX];
	void *addr;
	int err = vif_file_path(id, suffix_of(queue).text, path);

	if (err)
		return err;
	err = resume ? mapfile_open(path, sizeof(**ret), &addr) : -ENOENT;
	if (err == -ENOENT)
		err = mapfile_create(path, sizeof(**ret), &addr);
	if (!err)
		*ret = addr;
	return err;
}

struct vif_undo *vif_undo_close(struct vif_undo *undo, const struct vif_id *id, unsigned int queue,
				bool remove)
{
	vif_file_close(undo, sizeof(*undo), id, suffix_of(queue).text, remove);
	return NULL;
}

void vif_undo_forget(const struct vif_id *id)
{
	for (unsigned int queue = 0; queue <= VIF_UNDO_CTRL; queue++)
		vif_file_forget(id, suffix_of(queue).text);
}
