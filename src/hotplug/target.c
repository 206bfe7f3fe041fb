/* SPDX-License-Identifier: MIT */
/* The storage behind a disk; see target.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hotplug/aside.h"
#include "hotplug/server.h"
#include "hotplug/target.h"
#include "core/nbd_name.h"
#include "control/store.h"

#define INSPECT_LIMIT_S 10

static int check_type(const char *type, struct hotplug_failure *failure)
{
	static const char *const served[] = { "phy", "file", "vbd3", "tap", NULL };

	for (const char *const *t = served; *t; t++)
		if (strcmp(type, *t) == 0)
			return 0;
	return hotplug_fail(failure, -EOPNOTSUPP,
			    "a disk of type '%s' is not served by pvbackd; use a raw image with "
			    "phy: or file: in the disk line",
			    type);
}

/*
 * A prefix is letters and digits before the first ':', with no '/' before it. Returns its length
 * with the colon, or 0.
 */
static size_t prefix_length(const char *params)
{
	size_t len = strspn(params, "abcdefghijklmnopqrstuvwxyz0123456789");

	return len > 0 && params[len] == ':' ? len + 1 : 0;
}

static bool prefix_is_raw(const char *params, size_t len)
{
	static const char *const raw[] = { "phy:", "file:", "raw:", "aio:", "tap:", NULL };

	for (const char *const *r = raw; *r; r++)
		if (strlen(*r) == len && strncmp(params, *r, len) == 0)
			return true;
	return false;
}

/* Skip the prefixes. */
static int skip_prefixes(const char **params, const char **driver, struct hotplug_failure *failure)
{
	size_t prefix;

	while ((prefix = prefix_length(*params)) > 0) {
		const char *named = hotplug_server_driver(*params, prefix - 1);

		if (!named && !prefix_is_raw(*params, prefix))
			return hotplug_fail(
				failure, -EOPNOTSUPP,
				"image format '%.*s' is not served by pvbackd; raw, qcow2, vhd, "
				"vhdx, vmdk and nbd are: convert the image with qemu-img convert, "
				"or "
				"leave out script= and use backendtype=qdisk",
				(int)prefix - 1, *params);
		if (named)
			*driver = named;
		*params += prefix;
	}
	return 0;
}

int hotplug_target_parse(const char *type, const char *params, struct hotplug_image *ret_image,
			 struct hotplug_failure *failure)
{
	struct hotplug_image image = { .is_nbd = nbd_name_is(params) };
	const char *below = "/dev/";
	int err;

	err = check_type(type, failure);
	if (!err && !image.is_nbd)
		err = skip_prefixes(&params, &image.driver, failure);
	if (err)
		return err;
	if (image.is_nbd || params[0] == '/' || params[0] == '\0')
		below = "";
	if ((size_t)snprintf(image.path, sizeof(image.path), "%s%s", below, params) >=
	    sizeof(image.path))
		return hotplug_fail(failure, -ENAMETOOLONG,
				    "the path in the disk line is longer than %zu bytes",
				    sizeof(image.path) - 1);
	*ret_image = image;
	return 0;
}

static int identity_from_stat(const struct stat *st, struct hotplug_identity *ret)
{
	if (S_ISBLK(st->st_mode))
		*ret = (struct hotplug_identity){ .is_block = true, .dev = st->st_rdev };
	else if (S_ISREG(st->st_mode))
		*ret = (struct hotplug_identity){ .dev = st->st_dev, .ino = st->st_ino };
	else
		return -ENOTBLK;
	return 0;
}

int hotplug_target_identify(const char *path, struct hotplug_identity *ret_identity)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return identity_from_stat(&st, ret_identity);
}

/* Explain an errno of stat or open. `path` is as the admin wrote it. */
static int fail_to_open(struct hotplug_failure *failure, int err, const char *path, bool for_write)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
		return hotplug_fail(
			failure, err,
			"%s does not exist; correct the path in the disk line, or create "
			"it",
			path);
	case ENOTBLK:
		return hotplug_fail(
			failure, err,
			"%s is neither a block device nor a plain file; correct the path "
			"in the disk line",
			path);
	case EROFS:
	case EACCES:
	case EPERM:
		return hotplug_fail(failure, err,
				    for_write
					    ? "%s is read-only; make it writable, or use r instead "
					      "of w in the disk line"
					    : "%s cannot be read; correct its permissions",
				    path);
	case ENOMEDIUM:
	case ENXIO:
		return hotplug_fail(failure, err,
				    "%s has no medium or no device behind it; insert or connect it",
				    path);
	default:
		return hotplug_fail(failure, err, "%s cannot be opened: %s", path, strerror(-err));
	}
}

/*
 * Whether the daemon could open it. A block device is opened read-only even if it is to be written: closing a writable
 * descriptor makes udev probe the device again, at each attach.
 */
static int try_open(const char *path, bool is_block, bool for_write,
		    struct hotplug_identity *ret_identity, struct medium_id *ret_id)
{
	int read_only = 0;
	struct stat st;
	int err = 0;
	int fd;

	fd = open(path,
		  (for_write && !is_block ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;

	if (fstat(fd, &st) < 0)
		err = -errno;
	else
		err = identity_from_stat(&st, ret_identity);
	if (!err)
		err = medium_id_of(fd, ret_id);
	if (!err && for_write && ret_identity->is_block) {
		if (ioctl(fd, BLKROGET, &read_only) < 0)
			err = -errno;
		else if (read_only)
			err = -EROFS;
	}
	close(fd);
	return err;
}

/*
 * Whether somebody, in any namespace, has opened it exclusively. Mounts, swap, device mapper and md do that. During
 * this call nobody else can do it.
 */
static bool is_held(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return errno == EBUSY;
	close(fd);
	return false;
}

int hotplug_target_inspect(const char *path, enum hotplug_mode mode,
			   struct hotplug_target *ret_target, struct hotplug_failure *failure)
{
	const bool for_write = mode != HOTPLUG_MODE_READ;
	struct hotplug_target target = { 0 };
	int err;

	if (!realpath(path, target.path))
		return fail_to_open(failure, -errno, path, for_write);

	/* Before open(): on a FIFO or a terminal that could have effects. */
	err = hotplug_target_identify(target.path, &target.identity);
	if (!err)
		err = try_open(target.path, target.identity.is_block, for_write, &target.identity,
			       &target.medium_id);
	if (err)
		return fail_to_open(failure, err, path, for_write);
	if (target.medium_id.bytes == 0)
		return hotplug_fail(failure, -ENODATA,
				    "%s is empty (0 bytes); correct the path in the disk line, or "
				    "give the image its size",
				    path);

	if (strlen(target.path) >= STORE_VALUE_MAX)
		return hotplug_fail(failure, -ENAMETOOLONG,
				    "the image's path without links is longer than the %u bytes "
				    "that pvbackd serves; move it: %s",
				    STORE_VALUE_MAX - 1, target.path);

	target.is_held =
		mode == HOTPLUG_MODE_WRITE && target.identity.is_block && is_held(target.path);

	*ret_target = target;
	return 0;
}

struct inspection {
	char path[PATH_MAX];
	enum hotplug_mode mode;
	struct hotplug_target target;
	struct hotplug_failure failure;
	bool done;
	int err;
};

static void inspect(void *item)
{
	struct inspection *i = item;

	i->err = hotplug_target_inspect(i->path, i->mode, &i->target, &i->failure);
	i->done = true;
}

int hotplug_target_inspect_in_time(const char *path, enum hotplug_mode mode,
				   struct hotplug_target *ret_target,
				   struct hotplug_failure *failure)
{
	struct inspection *i = hotplug_aside_alloc(sizeof(*i), 1);
	int err = -ENOMEM;

	if (!i)
		return hotplug_fail(failure, err, "there is no memory");
	snprintf(i->path, sizeof(i->path), "%s", path);
	i->mode = mode;
	hotplug_aside(inspect, i, sizeof(*i), 1, hotplug_seconds_left(INSPECT_LIMIT_S));
	if (!i->done)
		err = hotplug_fail(failure, -ETIMEDOUT,
				   "%s does not answer, after %d s; look after its disk or server, "
				   "then attach it again",
				   path, INSPECT_LIMIT_S);
	else
		err = i->err;
	if (i->done && err)
		*failure = i->failure;
	if (i->done && !err)
		*ret_target = i->target;
	hotplug_aside_free(i, sizeof(*i), 1);
	return err;
}
