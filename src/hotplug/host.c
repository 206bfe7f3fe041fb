/* SPDX-License-Identifier: MIT */
/* The state of this Dom0; see host.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hotplug/host.h"
#include "hotplug/medium.h"
#include "control/owner.h"

int hotplug_host_check_daemon(const char *runtime_dir, struct hotplug_failure *failure)
{
	if (owner_lives(runtime_dir))
		return 0;
	return hotplug_fail(failure, -ESRCH,
			    "pvbackd is not running; start it with systemctl start pvbackd");
}

int hotplug_host_check_driver(const char *sysfs, const struct hotplug_request *req,
			      struct hotplug_failure *failure)
{
	const char *module = req->script == HOTPLUG_SCRIPT_VIF ? "xen-netback" : "xen-blkback";
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/bus/xen-backend/devices/%s-%u-%u/driver", sysfs, req->kind,
		 req->domid, req->devid);
	if (lstat(path, &st) < 0)
		return 0;
	return hotplug_fail(
		failure, -EBUSY,
		"%s is loaded and owns this device; unload it with modprobe -r %s and see "
		"that pvbackd's modprobe.d file is installed",
		module, module);
}

static void on_alarm(int signo)
{
	(void)signo; /* it only has to interrupt flock() */
}

int hotplug_host_lock(const char *runtime_dir, struct hotplug_failure *failure)
{
	const struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART */
	unsigned int limit = hotplug_seconds_left(HOTPLUG_LIMIT_S);
	char path[PATH_MAX];
	int err;
	int fd;

	snprintf(path, sizeof(path), "%s/hotplug.lock", runtime_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err = -errno;
		return hotplug_fail(failure, err, "%s cannot be opened: %s", path, strerror(-err));
	}

	sigaction(SIGALRM, &action, NULL);
	alarm(limit);
	err = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	alarm(0);
	if (!err)
		return fd;

	close(fd);
	if (err == -EINTR)
		return hotplug_fail(
			failure, -ETIMEDOUT,
			"another block-pvbackd has held %s for %u s; see what it waits for "
			"(fuser %s), then attach again",
			path, limit, path);
	return hotplug_fail(failure, err, "%s cannot be locked: %s", path, strerror(-err));
}

/* --- how this domain uses the disk --- */

struct uses {
	const char *root;
	struct hotplug_book *book;
	const char *path;
	const struct hotplug_medium *wanted;
	enum hotplug_mode mode;
	struct hotplug_failure *failure;
	int err; /* -EINPROGRESS: go on, to note all that has to be asked */
};

static bool collides(struct uses *uses, const struct hotplug_identity *identity)
{
	struct hotplug_medium other;

	if (hotplug_medium_find(uses->root, uses->book, identity, &other)) {
		uses->err = -EINPROGRESS;
		return false;
	}
	return hotplug_media_collide(&other, uses->wanted);
}

/* The same for a path. */
static bool path_collides(struct uses *uses, const char *path)
{
	struct hotplug_identity identity;
	int err = hotplug_book_look(uses->book, path, false, &identity);

	if (err == -EINPROGRESS)
		uses->err = err;
	return !err && collides(uses, &identity);
}

static FILE *open_proc(struct uses *uses, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/%s", uses->root, name);
	return fopen(path, "re");
}

/* btrfs and similar file systems report a device number of their own. Then the source counts. */
static bool mount_collides(struct uses *uses, const struct hotplug_mount *mount)
{
	const struct hotplug_identity identity = { .is_block = true, .dev = mount->dev };

	if (major(mount->dev) != 0)
		return collides(uses, &identity);
	return strncmp(mount->source, "/dev/", 5) == 0 && path_collides(uses, mount->source);
}

static int check_mounts(struct uses *uses)
{
	FILE *mountinfo = open_proc(uses, "self/mountinfo");
	struct hotplug_mount mount;
	int err = 0;

	if (!mountinfo) {
		err = -errno;
		return hotplug_fail(uses->failure, err, "/proc/self/mountinfo cannot be read: %s",
				    strerror(-err));
	}
	while (!err && hotplug_mount_next(mountinfo, &mount))
		if (hotplug_mount_forbids(&mount, uses->mode) && mount_collides(uses, &mount))
			err = hotplug_fail_busy(
				uses->failure,
				"%s is in use in this domain: %s is mounted on %s; unmount it, "
				"or use another disk",
				uses->path, mount.source, mount.dir);
	fclose(mountinfo);
	return err;
}

static int check_swaps(struct uses *uses)
{
	FILE *swaps = open_proc(uses, "swaps");
	char path[PATH_MAX];
	int err = 0;

	if (!swaps)
		return 0; /* the kernel has no swap */
	while (!err && hotplug_swap_next(swaps, path))
		if (path_collides(uses, path))
			err = hotplug_fail_busy(uses->failure,
						"%s is in use in this domain: %s is swapped to; "
						"turn that off (swapoff), or use another disk",
						uses->path, path);
	fclose(swaps);
	return err;
}

/* A block device that is made of others uses them. */
static int check_holder(void *user, const char *name)
{
	struct uses *uses = user;
	struct hotplug_identity holder = { .is_block = true };
	char path[PATH_MAX], text[PATH_MAX];
	struct hotplug_medium medium;
	unsigned int maj, min;

	snprintf(path, sizeof(path), "%s/sys/block/%s/dev", uses->root, name);
	if (!hotplug_read_line(path, text, sizeof(text)) || sscanf(text, "%u:%u", &maj, &min) != 2)
		return 0;
	holder.dev = makedev(maj, min);
	if (hotplug_medium_find(uses->root, uses->book, &holder, &medium))
		uses->err = -EINPROGRESS;
	else if (hotplug_medium_is_on(&medium, uses->wanted)) {
		hotplug_medium_name(uses->root, holder.dev, text, sizeof(text));
		return hotplug_fail_busy(uses->failure,
					 "%s is in use in this domain: %s is made of it; take "
					 "that apart (lsblk shows what it is), or use another disk",
					 uses->path, text);
	}
	return 0;
}

static int check_holders(struct uses *uses)
{
	char dir[PATH_MAX];

	if (uses->mode == HOTPLUG_MODE_READ)
		return 0; /* a device that is not mounted writes nothing */
	snprintf(dir, sizeof(dir), "%s/sys/block", uses->root);
	return hotplug_for_each(dir, check_holder, uses);
}

int hotplug_host_check_uses(const char *root, struct hotplug_book *book, const char *path,
			    const struct hotplug_medium *wanted, enum hotplug_mode mode,
			    struct hotplug_failure *failure)
{
	struct uses uses = {
		.root = root,
		.book = book,
		.path = path,
		.wanted = wanted,
		.mode = mode,
		.failure = failure,
	};
	int err;

	if (mode == HOTPLUG_MODE_UNCHECKED)
		return 0;
	err = check_mounts(&uses);
	if (!err)
		err = check_swaps(&uses);
	if (!err)
		err = check_holders(&uses);
	return err ? err : uses.err;
}
