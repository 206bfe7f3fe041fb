/* SPDX-License-Identifier: MIT */
/*
 * A medium may grow while a guest uses it (lvextend, truncate). The rings learn of it
 * first, then the frontend: `sectors` and state 4 once more in one transaction, which is what
 * Linux' blkfront and Windows' drivers look at. Less than it was told is never announced: requests beyond the end
 * fail.
 *
 * The size is asked for once a second, for all disks in one wake-up and by one thread (slow.h), for the answer may
 * not come. inotify would wake us at every write of the guest to a file, and says nothing about block devices.
 */
#include <stdio.h>

#include "core/container_of.h"
#include "blkback/vbd.h"
#include "core/parse.h"

static uint64_t sectors_of(const struct vbd *vbd)
{
	return vbd->image.bytes / BLKIF_SECTOR_SIZE;
}

static int write_size(struct store *store, xs_transaction_t t, void *user)
{
	struct vbd *vbd = user;
	const char *dir = vbd->dev.be_path;
	uint32_t state;
	int err = store_read_u32(store, t, dir, "state", 0, XENBUS_NR_STATES, &state);

	if (err || state != XENBUS_CONNECTED)
		return err;
	vbd->size.told = sectors_of(vbd);
	err = store_writef(store, t, dir, "sectors", "%llu", (unsigned long long)vbd->size.told);
	return err ? err : store_writef(store, t, dir, "state", "%d", XENBUS_CONNECTED);
}

static void announce(struct vbd *vbd)
{
	if (sectors_of(vbd) > vbd->size.told)
		store_transact(vbd->dev.env->store, vbd->dev.be_path, write_size, vbd);
}

/* Every ring takes requests of the new size. */
void vbd_resize_queue_done(struct vbd_queue *q)
{
	struct vbd *vbd = q->owner;

	if (--vbd->nr_resizing == 0)
		announce(vbd);
}

static void tell_queues(struct vbd *vbd)
{
	vbd->nr_resizing = vbd->nr_queues;
	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		vbd_queue_resize(&vbd->queues[i], sectors_of(vbd));
}

static void changed(struct vbd *vbd, uint64_t bytes)
{
	bool grew = bytes > vbd->image.bytes;

	vbd->image.bytes = bytes;
	device_log(
		&vbd->dev, grew ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "the image %s to %llu MiB%s",
		grew ? "grew" : "shrank", (unsigned long long)(bytes >> 20),
		sectors_of(vbd) < vbd->size.told ? "; the guest is not told and gets errors beyond"
						 : "");
	tell_queues(vbd);
}

/* --- the question --- */

static struct vbd *asking_vbd(struct slow_request *req)
{
	return container_of(req, struct vbd, size.req);
}

static void ask(struct slow_request *req)
{
	struct vbd *vbd = asking_vbd(req);

	vbd->size.err = image_size(&vbd->image, &vbd->size.bytes);
}

static void answered(struct slow_request *req)
{
	struct vbd *vbd = asking_vbd(req);

	vbd->size.asked = false;
	vbd_image_answered(vbd);
	if (vbd->closed)
		vbd_close_image(vbd, vbd->closed);
	else if (vbd->size_tick.loop && !vbd->size.err && vbd->size.bytes != vbd->image.bytes)
		changed(vbd, vbd->size.bytes);
}

static void look(void *user)
{
	struct vbd *vbd = user;
	struct vbd_size *size = &vbd->size;

	if (size->asked)
		slow_look(vbd->dev.env->asker);
	if (size->asked && ++size->nr_looks == VBD_PATIENCE_S)
		vbd_image_late(vbd);
	if (size->asked || vbd->nr_resizing)
		return;
	size->req =
		(struct slow_request){ .home = vbd->dev.env->loop, .work = ask, .done = answered };
	size->nr_looks = 0;
	size->asked = slow_run(vbd->dev.env->asker, &size->req) == 0;
}

/* An image may have grown while nobody looked. */
void vbd_resize_start(struct vbd *vbd)
{
	char text[24];

	vbd->nr_resizing = 0;
	vbd->size.told = sectors_of(vbd);
	if (vbd->resume && !vbd_read_own(vbd, "sectors", text, sizeof(text)))
		parse_u64(text, 0, UINT64_MAX, &vbd->size.told);
	announce(vbd);
	loop_tick_add(vbd->dev.env->loop, &vbd->size_tick, look, vbd);
}

void vbd_resize_stop(struct vbd *vbd)
{
	loop_tick_remove(&vbd->size_tick);
}
