/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/vbd.h"

enum { INFO_CDROM = 1, INFO_REMOVABLE = 2, INFO_READ_ONLY = 4 }; /* blkif.h, VDISK_* */

struct vbd *vbd_of(struct device *dev)
{
	return (struct vbd *)(void *)dev;
}

unsigned int vbd_max_queues(const struct vbd *vbd)
{
	unsigned int nr = vbd->dev.env->nr_workers;

	return nr < VBD_MAX_QUEUES ? nr : VBD_MAX_QUEUES;
}

/* --- identity, from our own directory only --- */

int vbd_read_own(struct vbd *vbd, const char *key, char *buf, size_t size)
{
	return store_read(vbd->dev.env->store, XBT_NULL, vbd->dev.be_path, key, buf, size);
}

void vbd_read_options(struct vbd *vbd)
{
	char value[64];
	const char *name;

	vbd->options = *vbd->dev.env->disk;
	for (unsigned int i = 0; (name = disk_options_name(i)); i++)
		if (!read_own(vbd, name, value, sizeof(value)) &&
		    disk_options_set(&vbd->options, name, value))
			device_log(&vbd->dev, LOG_LEVEL_WARNING,
				   "its key `%s` cannot be `%s` and is left out; see pvbackd(8)",
				   name, value);
}

static int vbd_probe(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);
	char text[32];

	vbd->image = (struct image)IMAGE_CLOSED;
	vbd->cdrom =
		!vbd_read_own(vbd, "device-type", text, sizeof(text)) && !strcmp(text, "cdrom");
	vbd->discard = vbd_read_own(vbd, "discard-enable", text, sizeof(text)) || strcmp(text, "0");
	vbd->removable = !vbd_read_own(vbd, "removable", text, sizeof(text)) && !strcmp(text, "1");
	return 0;
}

static int write_features(struct vbd *vbd, xs_transaction_t t, const char *const *keys)
{
	int err = 0;

	for (; *keys && !err; keys++)
		err = store_write(vbd->dev.env->store, t, vbd->dev.be_path, *keys, "1");
	return err;
}

/* What holds whatever the image turns out to be; some frontends look at state 2 already. */
static int vbd_advertise(struct device *dev, xs_transaction_t t)
{
	static const char *const features[] = { "feature-flush-cache", "feature-barrier", NULL };
	struct store *store = dev->env->store;
	const char *dir = dev->be_path;
	int err = write_features(vbd_of(dev), t, features);

	if (!err)
		err = store_writef(store, t, dir, "max-ring-page-order", "%u", VBD_MAX_RING_ORDER);
	if (!err) /* the same for frontends from before there was an order (blkif.h, note 5) */
		err = store_writef(store, t, dir, "max-ring-pages", "%u", 1u << VBD_MAX_RING_ORDER);
	if (!err)
		err = store_writef(store, t, dir, "feature-max-indirect-segments", "%u",
				   BLKIF_INDIRECT_SEGMENTS);
	if (!err)
		err = store_writef(store, t, dir, "feature-persistent", "%d",
				   vbd_of(dev)->options.persistent_grants);
	if (!err)
		err = store_writef(store, t, dir, "multi-queue-max-queues", "%u",
				   vbd_max_queues(vbd_of(dev)));
	return err;
}

static int publish_discard(struct vbd *vbd, xs_transaction_t t)
{
	static const char *const features[] = { "feature-discard", NULL };
	struct store *store = vbd->dev.env->store;
	const char *dir = vbd->dev.be_path;
	int err;

	if (!vbd->discard || !vbd->image.discard)
		return 0;
	err = write_features(vbd, t, features);
	if (!err)
		err = store_writef(store, t, dir, "discard-granularity", "%u",
				   vbd->image.discard_granularity);
	if (!err)
		err = store_write(store, t, dir, "discard-alignment", "0");
	if (!err)
		err = store_writef(store, t, dir, "discard-secure", "%d",
				   vbd->image.secure_discard);
	return err;
}

/* The script has spoken when it wrote either of these. */
static bool vbd_plugged(struct device *dev)
{
	char status[32];

	if (!vbd_read_own(vbd_of(dev), "hotplug-status", status, sizeof(status)))
		return !strcmp(status, "connected");
	return store_exists(dev->env->store, XBT_NULL, dev->be_path, "physical-device");
}

static int vbd_publish(struct device *dev, xs_transaction_t t)
{
	struct vbd *vbd = vbd_of(dev);
	struct store *store = dev->env->store;
	const char *dir = dev->be_path;
	unsigned int info = (vbd->cdrom ? INFO_CDROM : 0u) |
			    (vbd->removable ? INFO_REMOVABLE : 0u) |
			    (vbd->image.read_only ? INFO_READ_ONLY : 0u);
	int err = vbd_advertise(dev, t);

	if (!err)
		err = publish_discard(vbd, t);
	if (!err)
		err = store_writef(store, t, dir, "sectors", "%llu",
				   (unsigned long long)(vbd->image.bytes / BLKIF_SECTOR_SIZE));
	if (!err)
		err = store_writef(store, t, dir, "info", "%u", info);
	if (!err)
		err = store_writef(store, t, dir, "sector-size", "%u", BLKIF_SECTOR_SIZE);
	if (!err)
		err = store_writef(store, t, dir, "physical-sector-size", "%u",
				   vbd->image.physical_block);
	return err;
}

/* A journal, or the unflushed writes of an NBD export. */
static bool is_leftover(const char *name, unsigned int *ret_domid, unsigned int *ret_devid)
{
	unsigned int queue;
	int end = 0;

	if (sscanf(name, "vbd-%u-%u-%u.journal%n", ret_domid, ret_devid, &queue, &end) != 3)
		sscanf(name, "vbd-%u-%u.unflushed%n", ret_domid, ret_devid, &end);
	return end > 0 && !name[end];
}

void vbd_sweep_journals(struct store *store, const char *runtime_dir)
{
	DIR *dir = opendir(runtime_dir);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		unsigned int domid, devid;
		char be_path[64];

		if (!is_leftover(entry->d_name, &domid, &devid))
			continue;
		snprintf(be_path, sizeof(be_path), "backend/vbd/%u/%u", domid, devid);
		if (!store_exists(store, XBT_NULL, be_path, "state"))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

static void vbd_done(struct device *dev, bool removed)
{
	(void)removed; /* a disk leaves nothing behind */
	image_close(&vbd_of(dev)->image);
}

const struct device_ops vbd_device_ops = {
	.kind = "vbd",
	.size = sizeof(struct vbd),
	.probe = vbd_probe,
	.advertise = vbd_advertise,
	.plugged = vbd_plugged,
	.attach = vbd_attach,
	.publish = vbd_publish,
	.detach = vbd_detach,
	.done = vbd_done,
};
