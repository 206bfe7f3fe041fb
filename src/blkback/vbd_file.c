/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "blkback/journal.h"
#include "blkback/nbd_keep.h"
#include "blkback/vbd.h"
#include "blkback/vbd_file.h"
#include "core/statefile.h"

const struct leftover vbd_leftovers[] = {
	{ "vbd-%u-%u-%*u.journal%n", { "vbd", "vbd3" }, NULL },
	{ "vbd-%u-%u.unflushed%n", { "vbd", "vbd3" }, NULL },
	{ 0 },
};

struct name {
	char text[STATEFILE_NAME_MAX];
};

static struct name journal_name(const struct vbd_id *id, uint32_t queue)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "vbd-%u-%u-%u.journal", id->domid, id->devid, queue);
	return name;
}

static struct name unflushed_name(const struct vbd_id *id)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "vbd-%u-%u.unflushed", id->domid, id->devid);
	return name;
}

static int open_journal(const struct vbd_id *id, uint32_t queue, int *ret_fd)
{
	return statefile_open(id->dir, journal_name(id, queue).text, 1, JOURNAL_MAX_BYTES, ret_fd,
			      NULL);
}

int vbd_file_journal(const struct vbd_id *id, uint32_t queue, uint32_t nr_slots, bool resume,
		     int *ret_fd)
{
	int err = resume ? open_journal(id, queue, ret_fd) : -ENOENT;

	if (err == -ENOENT)
		err = statefile_create(id->dir, journal_name(id, queue).text,
				       journal_bytes(nr_slots), ret_fd);
	return err;
}

bool vbd_file_has_journal(const struct vbd_id *id)
{
	return statefile_exists(id->dir, journal_name(id, 0).text);
}

bool vbd_file_flush_failed(const struct vbd_id *id)
{
	bool failed = false;
	int fd;

	for (uint32_t queue = 0; queue < VBD_MAX_QUEUES && !failed; queue++) {
		if (open_journal(id, queue, &fd))
			continue;
		failed = journal_left_flush_failed(fd);
		statefile_close(&fd);
	}
	return failed;
}

int vbd_file_unflushed(const struct vbd_id *id, bool resume, int *ret_fd, bool *ret_lost)
{
	const struct name name = unflushed_name(id);
	int err = resume ? statefile_open(id->dir, name.text, NBD_KEEP_FILE_BYTES,
					  NBD_KEEP_FILE_MAX_BYTES, ret_fd, NULL)
			 : -ENOENT;

	*ret_lost = err && err != -ENOENT;
	if (err)
		err = statefile_create(id->dir, name.text, NBD_KEEP_FILE_BYTES, ret_fd);
	return err;
}

void vbd_file_forget(const struct vbd_id *id)
{
	for (uint32_t queue = 0; queue < VBD_MAX_QUEUES; queue++)
		statefile_remove(id->dir, journal_name(id, queue).text);
	statefile_remove(id->dir, unflushed_name(id).text);
}
