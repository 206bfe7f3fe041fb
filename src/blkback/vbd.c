/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blkback/vbd.h"

enum { INFO_CDROM = 1, INFO_REMOVABLE = 2, INFO_READ_ONLY = 4 }; /* blkif.h, VDISK_* */
enum { LOOP_MAJOR = 7 };

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

static int read_own(struct vbd *vbd, const char *key, char *buf, size_t size)
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
	vbd->cdrom = !read_own(vbd, "device-type", text, sizeof(text)) && !strcmp(text, "cdrom");
	vbd->discard = read_own(vbd, "discard-enable", text, sizeof(text)) || strcmp(text, "0");
	vbd->removable = !read_own(vbd, "removable", text, sizeof(text)) && !strcmp(text, "1");
	vbd_read_options(vbd);
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

	if (!read_own(vbd_of(dev), "hotplug-status", status, sizeof(status)))
		return !strcmp(status, "connected");
	return store_exists(dev->env->store, XBT_NULL, dev->be_path, "physical-device");
}

/* --- the image --- */

/* `params` as the toolstack means it: an absolute path, or a name below /dev. */
static int params_path(struct vbd *vbd, char *path, size_t size)
{
	char params[STORE_VALUE_MAX];
	int n, err = read_own(vbd, "params", params, sizeof(params));

	if (err)
		return err;
	if (!*params)
		return -ENOENT;
	n = snprintf(path, size, "%s%s", *params == '/' ? "" : "/dev/", params);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* 0 for what cannot be looked at. */
static mode_t look_at(const char *path, dev_t *ret_rdev)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	*ret_rdev = S_ISBLK(st.st_mode) ? st.st_rdev : 0;
	return st.st_mode;
}

static int copy_path(const char *from, char *path, size_t size)
{
	if (strlen(from) >= size)
		return -ENAMETOOLONG;
	memcpy(path, from, strlen(from) + 1);
	return 0;
}

/* Whether `params` itself is what stands behind this device: the device, or the file in its loop. */
static bool is_params(const char *params, dev_t device)
{
	dev_t rdev = 0;
	mode_t mode = look_at(params, &rdev);

	return S_ISREG(mode) ? major(device) == LOOP_MAJOR : S_ISBLK(mode) && rdev == device;
}

/*
 * What the script made ready: physical-device-path, or MAJOR:MINOR in hex, which may come before
 * there is a path. A loop device around a file stands for the file, without a second page
 * cache in between.
 */
static int image_path(struct vbd *vbd, char *path, size_t size)
{
	char params[STORE_VALUE_MAX], numbers[32];
	unsigned int maj, min;
	dev_t rdev = 0;

	if (params_path(vbd, params, sizeof(params)))
		*params = '\0';
	if (!read_own(vbd, "physical-device-path", path, size) && *path)
		return S_ISBLK(look_at(path, &rdev)) && is_params(params, rdev)
			       ? copy_path(params, path, size)
			       : 0;
	if (read_own(vbd, "physical-device", numbers, sizeof(numbers)))
		return *params ? copy_path(params, path, size) : -ENOENT;
	if (sscanf(numbers, "%x:%x", &maj, &min) != 2)
		return -EINVAL;
	if (is_params(params, makedev(maj, min)))
		return copy_path(params, path, size);
	snprintf(path, size, "/dev/block/%u:%u", maj, min);
	return 0;
}

int vbd_open_image(struct vbd *vbd)
{
	char path[STORE_VALUE_MAX + 8], mode[8];
	bool read_only;
	int err;

	if (vbd->image.ops)
		return 0;
	err = image_path(vbd, path, sizeof(path));
	if (err) {
		device_reason(&vbd->dev, err,
			      "no image: neither the hotplug script nor `params` names one");
		return err;
	}
	read_only = read_own(vbd, "mode", mode, sizeof(mode)) || *mode != 'w';
	err = image_open(&vbd->image, path, read_only);
	if (err) {
		device_reason(&vbd->dev, err, "cannot open the image %s: %s", path,
			      err == -ENOTSUP ? "it is neither a file nor a block device"
					      : strerror(-err));
		return err;
	}
	device_log(&vbd->dev, LOG_LEVEL_INFO, "image %s, %llu MiB%s%s", path,
		   (unsigned long long)(vbd->image.bytes >> 20), read_only ? ", read-only" : "",
		   vbd->image.direct ? "" : ", through the page cache");
	return 0;
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

void vbd_sweep_journals(struct store *store, const char *runtime_dir)
{
	DIR *dir = opendir(runtime_dir);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		unsigned int domid, devid, queue;
		char be_path[64];
		int end = 0;

		if (sscanf(entry->d_name, "vbd-%u-%u-%u.journal%n", &domid, &devid, &queue, &end) !=
			    3 ||
		    end == 0 || entry->d_name[end])
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
