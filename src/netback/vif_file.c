/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "core/statefile.h"
#include "netback/tap_mark.h"
#include "netback/vif_file.h"
#include "netback/vif_kept.h"
#include "netback/vif_undo.h"

const struct leftover vif_leftovers[] = {
	{ "vif-%u-%u.state%n", { "vif" }, NULL },
	{ "vif-%u-%u-%*u.ring%n", { "vif" }, NULL },
	{ "vif-%u-%u.tap%n", { "vif" }, tap_mark_remove },
	{ 0 },
};

#define STATE ".state"
#define MARK  ".tap"

struct name {
	char text[STATEFILE_NAME_MAX];
};

static struct name name_of(const struct vif_id *id, const char *suffix)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "vif-%u-%u%s", id->domid, id->devid, suffix);
	return name;
}

static struct name undo_name(const struct vif_id *id, unsigned int queue)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "vif-%u-%u-%u.ring", id->domid, id->devid, queue);
	return name;
}

int vif_file_new_state(const struct vif_id *id, int *ret_fd)
{
	return statefile_create(id->dir, name_of(id, STATE).text, sizeof(struct vif_kept), ret_fd);
}

int vif_file_left_state(const struct vif_id *id, int *ret_fd)
{
	return statefile_open(id->dir, name_of(id, STATE).text, sizeof(struct vif_kept),
			      sizeof(struct vif_kept), ret_fd, NULL);
}

void vif_file_forget_state(const struct vif_id *id)
{
	statefile_remove(id->dir, name_of(id, STATE).text);
}

int vif_file_undo(const struct vif_id *id, unsigned int queue, bool resume, int *ret_fd)
{
	const struct name name = undo_name(id, queue);
	const size_t bytes = sizeof(struct vif_undo);
	int err = resume ? statefile_open(id->dir, name.text, bytes, bytes, ret_fd, NULL) : -ENOENT;

	return err == -ENOENT ? statefile_create(id->dir, name.text, bytes, ret_fd) : err;
}

void vif_file_forget_undo(const struct vif_id *id)
{
	for (unsigned int queue = 0; queue <= VIF_UNDO_CTRL; queue++)
		statefile_remove(id->dir, undo_name(id, queue).text);
}

int vif_file_new_mark(const struct vif_id *id, int *ret_fd)
{
	return statefile_create(id->dir, name_of(id, MARK).text, sizeof(struct tap_mark), ret_fd);
}

int vif_file_left_mark(const struct vif_id *id, int *ret_fd)
{
	const size_t whole = sizeof(struct tap_mark);
	size_t bytes;
	int fd, err = statefile_open(id->dir, name_of(id, MARK).text, TAP_MARK_OLD_BYTES, whole,
				     &fd, &bytes);

	if (err)
		return err;
	if (bytes == TAP_MARK_OLD_BYTES)
		err = -posix_fallocate(fd, 0, (off_t)whole);
	else if (bytes != whole)
		err = -EBADMSG;
	if (err)
		statefile_close(&fd);
	else
		*ret_fd = fd;
	return err;
}

void vif_file_forget_mark(const struct vif_id *id)
{
	statefile_remove(id->dir, name_of(id, MARK).text);
}
