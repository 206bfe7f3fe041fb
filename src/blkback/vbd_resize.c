/* SPDX-License-Identifier: MIT */
/*
 * A medium may grow while a guest uses it (lvextend, truncate). The rings learn of it
 * first, then the frontend: `sectors` and state 4 once more in one transaction, which is what
 * Linux' blkfront and Windows' drivers look at. Smaller is never announced: requests beyond the end
 * fail.
 *
 * The size is asked for once a second, for all disks in one wake-up. inotify would wake us at every write
 * of the guest to a file, and says nothing about block devices.
 */
#include <errno.h>
#include <stdio.h>

#include "blkback/vbd.h"

static int write_size(struct store *store, xs_transaction_t t, void *user)
{
	struct vbd *vbd = user;
	const char *dir = vbd->dev.be_path;
	uint32_t state;
	int err = store_read_u32(store, t, dir, "state", 0, XENBUS_NR_STATES, &state);

	if (err || state != XENBUS_CONNECTED)
		return err;
	err = store_writef(store, t, dir, "sectors", "%llu",
			   (unsigned long long)(vbd->image.bytes / BLKIF_SECTOR_SIZE));
	return err ? err : store_writef(store, t, dir, "state", "%d", XENBUS_CONNECTED);
}

/* Every ring takes requests of the new size. */
void vbd_resize_queue_done(struct vbd_queue *q)
{
	struct vbd *vbd = q->owner;

	if (--vbd->nr_resizing == 0 && vbd->grew)
		store_transact(vbd->dev.env->store, vbd->dev.be_path, write_size, vbd);
}

static void tell_queues(struct vbd *vbd)
{
	vbd->nr_resizing = vbd->nr_queues;
	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		vbd_queue_resize(&vbd->queues[i], vbd->image.bytes / BLKIF_SECTOR_SIZE);
}

static void look(void *user)
{
	struct vbd *vbd = user;
	uint64_t bytes;

	if (vbd->nr_resizing || image_size(&vbd->image, &bytes) || bytes == vbd->image.bytes)
		return;
	vbd->grew = bytes > vbd->image.bytes;
	device_log(&vbd->dev, vbd->grew ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		   vbd->grew ? "the image grew to %llu MiB"
			     : "the image shrank to %llu MiB; the guest is not told and gets "
			       "errors beyond",
		   (unsigned long long)(bytes >> 20));
	vbd->image.bytes = bytes;
	tell_queues(vbd);
}

void vbd_resize_start(struct vbd *vbd)
{
	vbd->nr_resizing = 0;
	loop_tick_add(vbd->dev.env->loop, &vbd->size_tick, look, vbd);
}

void vbd_resize_stop(struct vbd *vbd)
{
	loop_tick_remove(&vbd->size_tick);
}
