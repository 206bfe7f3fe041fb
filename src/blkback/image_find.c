/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blkback/image_find.h"
#include "blkback/image_open.h"
#include "core/nbd_name.h"

enum { LOOP_MAJOR = 7 };

static int use(struct image_find *find, const char *path)
{
	if (strlen(path) >= sizeof(find->path))
		return -ENAMETOOLONG;
	memcpy(find->path, path, strlen(path) + 1);
	return 0;
}

static bool parse_device(const struct image_find *find, dev_t *ret)
{
	unsigned int maj, min;

	if (sscanf(find->device, "%x:%x", &maj, &min) != 2)
		return false;
	*ret = makedev(maj, min);
	return true;
}

/* The device that the hotplug script prepared. */
static bool find_device(const struct image_find *find, dev_t *ret)
{
	struct stat st;

	if (!*find->device_path || stat(find->device_path, &st) < 0)
		return parse_device(find, ret);
	*ret = st.st_rdev;
	return S_ISBLK(st.st_mode);
}

/* Whether the loop device shows the whole file, and can be written if the disk can. */
static bool is_plain_loop(const struct image_find *find, dev_t device, const struct stat *file)
{
	struct loop_info64 info;
	char path[32];
	int fd, ret;

	if (major(device) != LOOP_MAJOR)
		return false;
	snprintf(path, sizeof(path), "/dev/loop%u", minor(device));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ret = ioctl(fd, LOOP_GET_STATUS64, &info);
	close(fd);
	return ret == 0 && info.lo_device == file->st_dev && info.lo_inode == file->st_ino &&
	       info.lo_offset == 0 && info.lo_sizelimit == 0 &&
	       !(info.lo_flags & LO_FLAGS_PARTSCAN) &&
	       (find->read_only || !(info.lo_flags & LO_FLAGS_READ_ONLY));
}

/* Whether this disk used the file before. Its loop device may have changed since, or be gone. */
static bool is_known_file(const struct image_find *find, const struct stat *file)
{
	return find->known && !find->medium.device && find->medium.dev == file->st_dev &&
	       find->medium.number == file->st_ino;
}

/*
 * Whether `params` itself is the medium behind the device: the same device under another name, or the file in its loop
 * device. The daemon then uses the file, which spares a second page cache. *ret_loop is the loop device.
 */
static bool is_params(const struct image_find *find, dev_t device, dev_t *ret_loop)
{
	struct stat st;

	if (stat(find->params, &st) < 0)
		return false;
	if (S_ISBLK(st.st_mode))
		return st.st_rdev == device;
	if (!S_ISREG(st.st_mode))
		return false;
	if (is_plain_loop(find, device, &st))
		*ret_loop = device;
	return *ret_loop || is_known_file(find, &st);
}

/*
 * What the hotplug script prepared: physical-device-path, or physical-device (MAJOR:MINOR in hex), which may be written
 * before the path.
 */
static int find_path(struct image_find *find, dev_t *ret_loop)
{
	dev_t device;

	if (find_device(find, &device)) {
		if (is_params(find, device, ret_loop))
			return use(find, find->params);
		if (!*find->device_path) {
			snprintf(find->path, sizeof(find->path), "/dev/block/%u:%u", major(device),
				 minor(device));
			return 0;
		}
	}
	if (*find->device_path)
		return use(find, find->device_path);
	if (*find->device)
		return -EINVAL;
	return *find->params ? use(find, find->params) : -ENOENT;
}

/*
 * QEMU's emulated disk may have written through a loop device that the daemon bypasses. Its data is still in the loop
 * device's page cache, above that of the file.
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
		return errno == ENOENT || errno == ENXIO ? 0 : -errno; /* gone: it holds no data */
	err = fsync(fd) < 0 ? -errno : 0;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return err;
}

static void settle(struct image_find *find, int fd, dev_t loop)
{
	int err = settle_loop(loop), ret = image_settle(fd, find->read_only);

	find->unsettled = err || ret;
}

static int __attribute__((format(printf, 3, 4)))
say(struct image_find *find, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(find->why, sizeof(find->why), fmt, ap);
	va_end(ap);
	return err;
}

/* A device must have the MAJOR:MINOR that the hotplug script wrote, if it wrote one. */
static bool has_number(const struct image_find *find, const struct medium_id *now)
{
	dev_t device;

	return !now->device || !parse_device(find, &device) || device == now->dev;
}

static int say_other(struct image_find *find, const char *was, const struct medium_id *now)
{
	char is[MEDIUM_ID_TEXT_MAX];

	medium_id_format(now, is, sizeof(is));
	return say(find, -ESTALE,
		   "%s is not what this disk was attached with (%s, now %s) and is not used",
		   find->path, was, is);
}

static int check_medium(struct image_find *find, int fd)
{
	char was[MEDIUM_ID_TEXT_MAX];
	struct medium_id now;
	int err = medium_id_of(fd, &now);

	if (err)
		return say(find, err, "cannot look at the image %s: %s", find->path,
			   strerror(-err));
	if (!has_number(find, &now))
		return say_other(find, find->device, &now);
	if (find->known && !find->any && !medium_id_same(&find->medium, &now)) {
		medium_id_format(&find->medium, was, sizeof(was));
		return say_other(find, was, &now);
	}
	find->medium = now;
	return 0;
}

static const char *words(int err)
{
	switch (err) {
	case -ENOTSUP:
		return "it is neither a file nor a block device";
	case -ENODATA:
		return "it is empty";
	default:
		return strerror(-err);
	}
}

static int open_image(struct image_find *find, dev_t loop, int *ret_fd)
{
	int fd, err = image_open(find->path, find->read_only, find->cache, &fd, &find->image);

	if (err)
		return say(find, err, "cannot open the image %s: %s", find->path, words(err));
	err = check_medium(find, fd);
	if (err) {
		close(fd);
		return err;
	}
	if (find->settle)
		settle(find, fd, loop);
	*ret_fd = fd;
	return 0;
}

/* A socket is that of an NBD server: in backend/vbd3, libxl gives QEMU the same path for one. */
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

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int find_image(struct image_find *find, int *ret_fd)
{
	dev_t loop = 0;
	int err = find_path(find, &loop);

	if (!err && !nbd_name_is(find->path) && is_socket(find->path))
		err = name_socket(find);
	if (err)
		return say(find, err,
			   "no image: neither the hotplug script nor `params` names one");
	find->nbd = find->nbd || nbd_name_is(find->path);
	return find->nbd ? 0 : open_image(find, loop, ret_fd);
}

static int answer(void *question)
{
	struct image_find *find = question;
	int fd = -1;

	find->err = find_image(find, &fd);
	return fd;
}

const struct opener_kind image_find_kind = { sizeof(struct image_find), answer };
