/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blkback/image_find.h"
#include "nbd_name.h"

enum { LOOP_MAJOR = 7 };

/* 0 for what cannot be looked at. */
static mode_t look_at(const char *path, dev_t *ret_rdev)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	*ret_rdev = S_ISBLK(st.st_mode) ? st.st_rdev : 0;
	return st.st_mode;
}

static int use(struct image_find *find, const char *path)
{
	if (strlen(path) >= sizeof(find->path))
		return -ENAMETOOLONG;
	memcpy(find->path, path, strlen(path) + 1);
	return 0;
}

/*
 * Whether `params` itself is what stands behind this device: the device, or the file in its loop; then
 * that loop device is remembered.
 */
static bool is_params(const struct image_find *find, dev_t device, dev_t *ret_loop)
{
	dev_t rdev = 0;
	mode_t mode = look_at(find->params, &rdev);

	if (S_ISREG(mode) && major(device) == LOOP_MAJOR)
		*ret_loop = device;
	return *ret_loop || (S_ISBLK(mode) && rdev == device);
}

/*
 * What the script made ready: physical-device-path, or MAJOR:MINOR in hex, which may come before
 * there is a path. A loop device around a file stands for the file, without a second page
 * cache in between.
 */
static int find_path(struct image_find *find, dev_t *ret_loop)
{
	unsigned int maj, min;
	dev_t rdev = 0;

	if (*find->device_path)
		return use(find, S_ISBLK(look_at(find->device_path, &rdev)) &&
						 is_params(find, rdev, ret_loop)
					 ? find->params
					 : find->device_path);
	if (!*find->device)
		return *find->params ? use(find, find->params) : -ENOENT;
	if (sscanf(find->device, "%x:%x", &maj, &min) != 2)
		return -EINVAL;
	if (is_params(find, makedev(maj, min), ret_loop))
		return use(find, find->params);
	snprintf(find->path, sizeof(find->path), "/dev/block/%u:%u", maj, min);
	return 0;
}

/*
 * QEMU's emulated disk may have gone through a loop device that we leave out: what it wrote lies in the
 * device's page cache, one above the file's.
 */
static int settle_loop(dev_t loop)
{
	char path[32];
	int fd, err;

	if (!loop)
		return 0;
	snprintf(path, sizeof(path), "/dev/loop%u", minor(loop));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENXIO ? 0
							 : -errno; /* gone: nothing lies there */
	err = fsync(fd) < 0 ? -errno : 0;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return err;
}

static void settle(struct image_find *find, dev_t loop)
{
	int err = settle_loop(loop), ret = image_settle(&find->image);

	find->unsettled = err || ret;
}

static int open_image(struct image_find *find, dev_t loop)
{
	int err = image_open(&find->image, find->path, find->read_only, find->cache);

	if (err) {
		snprintf(find->why, sizeof(find->why), "cannot open the image %s: %s", find->path,
			 err == -ENOTSUP ? "it is neither a file nor a block device"
					 : strerror(-err));
		return err;
	}
	if (find->settle)
		settle(find, loop);
	return 0;
}

/* A socket is that of an NBD server: libxl gives QEMU the same path as one, in backend/vbd3. */
static int name_socket(struct image_find *find)
{
	char path[sizeof(find->path)];

	memcpy(path, find->path, sizeof(path));
	find->nbd = true;
	return snprintf(find->path, sizeof(find->path), "nbd:unix:%s", path) <
			       (int)sizeof(find->path)
		       ? 0
		       : -ENAMETOOLONG;
}

int image_find(struct image_find *find)
{
	dev_t rdev, loop = 0;
	int err = find_path(find, &loop);

	if (!err && !nbd_name_is(find->path) && S_ISSOCK(look_at(find->path, &rdev)))
		err = name_socket(find);
	if (err) {
		snprintf(find->why, sizeof(find->why),
			 "no image: neither the hotplug script nor `params` names one");
		return err;
	}
	find->nbd = find->nbd || nbd_name_is(find->path);
	return find->nbd ? 0 : open_image(find, loop);
}
