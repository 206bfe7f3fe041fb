/* SPDX-License-Identifier: MIT */
/*
 * A medium may grow while a guest uses it (lvextend, truncate). The rings learn of it first (disk.c). Then the frontend
 * does: control writes `sectors`, and state 4 once more, in one transaction. Linux' blkfront and the Windows drivers
 * react to that. A smaller size is never announced: requests beyond the end fail.
 */
#include <stdio.h>

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
	vbd->told = sectors_of(vbd);
	err = store_writef(store, t, dir, "sectors", "%llu", (unsigned long long)vbd->told);
	return err ? err : store_writef(store, t, dir, "state", "%d", XENBUS_CONNECTED);
}

static void announce(struct vbd *vbd)
{
	if (sectors_of(vbd) > vbd->told)
		store_transact(vbd->dev.env->store, vbd->dev.be_path, write_size, vbd);
}

void vbd_resized(struct vbd *vbd, uint64_t bytes)
{
	bool grew = bytes > vbd->image.bytes;

	if (bytes == vbd->image.bytes)
		return;
	vbd->image.bytes = bytes;
	device_log(&vbd->dev, grew ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		   "the image %s to %llu MiB%s", grew ? "grew" : "shrank",
		   (unsigned long long)(bytes >> 20),
		   sectors_of(vbd) < vbd->told ? "; the guest is not told and gets errors beyond"
					       : "");
	announce(vbd);
}

/* The image may have grown while no daemon ran. */
void vbd_resize_start(struct vbd *vbd)
{
	char text[24];

	vbd->told = sectors_of(vbd);
	if (vbd->resume && !vbd_read_own(vbd, "sectors", text, sizeof(text)))
		parse_u64(text, 0, UINT64_MAX, &vbd->told);
	announce(vbd);
}
