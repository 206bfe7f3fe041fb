/* SPDX-License-Identifier: MIT */
/* Which image a disk has, and opening it. Control thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blkback/nbd_link.h"
#include "blkback/vbd.h"

enum { LOOP_MAJOR = 7 };

#define RAW_PREFIX "aio:" /* libxl has it before a raw image's path in backend/vbd3 */

/* `params` as the toolstack means it: an absolute path, an NBD export, or a name below /dev. */
static int params_path(struct vbd *vbd, char *path, size_t size)
{
	char params[STORE_VALUE_MAX];
	const char *name = params;
	int n, err = vbd_read_own(vbd, "params", params, sizeof(params));

	if (err)
		return err;
	if (!strncmp(params, RAW_PREFIX, strlen(RAW_PREFIX)))
		name += strlen(RAW_PREFIX);
	if (!*name)
		return -ENOENT;
	n = snprintf(path, size, "%s%s", *name == '/' || nbd_name_is(name) ? "" : "/dev/", name);
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

/*
 * Whether `params` itself is what stands behind this device: the device, or the file in its loop; then
 * that loop device is remembered.
 */
static bool is_params(struct vbd *vbd, const char *params, dev_t device)
{
	dev_t rdev = 0;
	mode_t mode = look_at(params, &rdev);

	if (S_ISREG(mode) && major(device) == LOOP_MAJOR)
		vbd->loop = device;
	return vbd->loop || (S_ISBLK(mode) && rdev == device);
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

	vbd->loop = 0;
	if (params_path(vbd, params, sizeof(params)))
		*params = '\0';
	if (!vbd_read_own(vbd, "physical-device-path", path, size) && *path)
		return S_ISBLK(look_at(path, &rdev)) && is_params(vbd, params, rdev)
			       ? copy_path(params, path, size)
			       : 0;
	if (vbd_read_own(vbd, "physical-device", numbers, sizeof(numbers)))
		return *params ? copy_path(params, path, size) : -ENOENT;
	if (sscanf(numbers, "%x:%x", &maj, &min) != 2)
		return -EINVAL;
	if (is_params(vbd, params, makedev(maj, min)))
		return copy_path(params, path, size);
	snprintf(path, size, "/dev/block/%u:%u", maj, min);
	return 0;
}

/*
 * QEMU's emulated disk may have gone through a loop device that we leave out: what it wrote lies in the
 * device's page cache, one above the file's.
 */
static int settle_loop(const struct vbd *vbd)
{
	char path[32];
	int fd, err;

	if (!vbd->loop)
		return 0;
	snprintf(path, sizeof(path), "/dev/loop%u", minor(vbd->loop));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENXIO ? 0
							 : -errno; /* gone: nothing lies there */
	err = fsync(fd) < 0 ? -errno : 0;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return err;
}

int vbd_settle_image(struct vbd *vbd)
{
	int err = settle_loop(vbd), ret = image_settle(&vbd->image);

	return err ? err : ret;
}

static void log_image(struct vbd *vbd, const char *path)
{
	device_log(&vbd->dev, LOG_LEVEL_INFO, "image %s, %llu MiB%s%s%s", path,
		   (unsigned long long)(vbd->image.bytes >> 20),
		   vbd->image.read_only ? ", read-only" : "",
		   vbd->image.direct ? "" : ", through the page cache",
		   vbd->image.block > BLKIF_SECTOR_SIZE ? ", in blocks of more than 512 bytes"
							: "");
}

static int open_file(struct vbd *vbd, const char *path, bool read_only)
{
	int err = image_open(&vbd->image, path, read_only, vbd->options.cache);

	if (err) {
		device_reason(&vbd->dev, err, "cannot open the image %s: %s", path,
			      err == -ENOTSUP ? "it is neither a file nor a block device"
					      : strerror(-err));
		return err;
	}
	log_image(vbd, path);
	vbd_image_opened(vbd, 0);
	return 0;
}

/* --- NBD --- */

static void nbd_opened(void *user, int err, const char *why, const struct nbd_facts *facts)
{
	struct vbd *vbd = user;

	if (err) {
		device_reason(&vbd->dev, err, "cannot use the image %s: %s", vbd->image_name, why);
	} else {
		image_learn(&vbd->image, facts);
		log_image(vbd, vbd->image_name);
	}
	vbd_image_opened(vbd, err);
}

static struct worker *home_of(const struct vbd *vbd)
{
	const struct device_env *env = vbd->dev.env;

	return &env->workers[(vbd->dev.domid + vbd->dev.devid / 16) % env->nr_workers];
}

static int open_nbd(struct vbd *vbd, const char *path, bool read_only)
{
	struct nbd_link_setup setup = { .worker = home_of(vbd),
					.control = vbd->dev.env->loop,
					.read_only = read_only,
					.resume = vbd->resume,
					.timeout_s = vbd->options.nbd_timeout_s,
					.opened = nbd_opened,
					.user = vbd };
	const char *why = "";
	int err = nbd_name_parse(path, &setup.name, &why);

	if (!err && (strlen(path) >= sizeof(setup.image) ||
		     snprintf(setup.keep_path, sizeof(setup.keep_path), "%s/vbd-%u-%u.unflushed",
			      vbd->dev.env->runtime_dir, vbd->dev.domid,
			      vbd->dev.devid) >= (int)sizeof(setup.keep_path))) {
		err = -ENAMETOOLONG;
		why = "its name is too long";
	}
	if (!err) {
		snprintf(setup.who, sizeof(setup.who), "%s", vbd->dev.name);
		memcpy(setup.image, path, strlen(path) + 1);
		memcpy(vbd->image_name, path, strlen(path) + 1);
		err = image_open_nbd(&vbd->image, &setup);
		why = err == -EOPNOTSUPP ? "this pvbackd was built without libnbd" : strerror(-err);
	}
	if (err)
		device_reason(&vbd->dev, err, "cannot use the image %s: %s", path, why);
	return err;
}

/* A socket is that of an NBD server: libxl gives QEMU the same path as one, in backend/vbd3. */
static bool is_socket(const char *path)
{
	dev_t rdev;

	return S_ISSOCK(look_at(path, &rdev));
}

int vbd_open_image(struct vbd *vbd)
{
	char path[STORE_VALUE_MAX + 16], name[sizeof(path) + 16], mode[8];
	bool read_only;
	int err;

	if (vbd->image.ops) {
		vbd_image_opened(vbd, 0);
		return 0;
	}
	err = image_path(vbd, path, sizeof(path));
	if (err) {
		device_reason(&vbd->dev, err,
			      "no image: neither the hotplug script nor `params` names one");
		return err;
	}
	read_only = vbd_read_own(vbd, "mode", mode, sizeof(mode)) || *mode != 'w';
	if (!nbd_name_is(path) && !is_socket(path))
		return open_file(vbd, path, read_only);
	snprintf(name, sizeof(name), "%s%s", nbd_name_is(path) ? "" : "nbd:unix:", path);
	return open_nbd(vbd, name, read_only);
}
