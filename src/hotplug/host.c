/* SPDX-License-Identifier: MIT */
/* The state of this Dom0; see host.h. */
#include <dirent.h>
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
#include "hotplug/target.h"

int hotplug_host_check_daemon(const char *runtime_dir, struct hotplug_failure *failure)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", runtime_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		/* Sees locks of both fcntl families: a process's own and open-file ones. */
		if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
			lock.l_type = F_UNLCK;
		close(fd);
		if (lock.l_type != F_UNLCK)
			return 0;
	}
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
	alarm(HOTPLUG_LOCK_LIMIT_S);
	err = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	alarm(0);
	if (!err)
		return fd;

	close(fd);
	if (err == -EINTR)
		return hotplug_fail(
			failure, -ETIMEDOUT,
			"another block-pvbackd has held %s for %d s; see what it waits for "
			"(fuser %s), then attach again",
			path, HOTPLUG_LOCK_LIMIT_S, path);
	return hotplug_fail(failure, err, "%s cannot be locked: %s", path, strerror(-err));
}

/* 0, or -EBUSY if the block device `dev` is mounted against `mode`; `what` begins the sentence. */
static int check_mounted(dev_t dev, enum hotplug_mode mode, const char *what,
			 struct hotplug_failure *failure)
{
	char dir[PATH_MAX];
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	bool conflict;

	if (!mountinfo) {
		int err = -errno;

		return hotplug_fail(failure, err, "/proc/self/mountinfo cannot be read: %s",
				    strerror(-err));
	}
	conflict = hotplug_mount_conflicts(mountinfo, dev, mode, dir, sizeof(dir));
	fclose(mountinfo);
	if (conflict)
		return hotplug_fail_busy(failure,
					 "%s is mounted on %s in this domain; unmount it, or use "
					 "another disk",
					 what, dir);
	return 0;
}

/* The first line of a small file, without its newline. */
static bool read_line(const char *path, char *buf, int size)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(buf, size, f) != NULL;
	fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	return ok;
}

/* Is the loop device NAME one on the file `identity`? Then its number goes to *ret_dev. */
static bool loop_is_on(const char *sysfs, const char *name, const struct hotplug_identity *identity,
		       dev_t *ret_dev)
{
	struct hotplug_identity backing;
	char path[PATH_MAX];
	char line[PATH_MAX];
	unsigned int major;
	unsigned int minor;

	snprintf(path, sizeof(path), "%s/block/%s/loop/backing_file", sysfs, name);
	if (!read_line(path, line, sizeof(line)) || hotplug_target_identify(line, &backing) < 0 ||
	    !hotplug_identity_equal(&backing, identity))
		return false;

	snprintf(path, sizeof(path), "%s/block/%s/dev", sysfs, name);
	if (!read_line(path, line, sizeof(line)) || sscanf(line, "%u:%u", &major, &minor) != 2)
		return false;
	*ret_dev = makedev(major, minor);
	return true;
}

static int check_loops(const char *sysfs, const char *image,
		       const struct hotplug_identity *identity, enum hotplug_mode mode,
		       struct hotplug_failure *failure)
{
	char what[PATH_MAX + 64];
	char dirname[PATH_MAX];
	struct dirent *entry;
	int err = 0;
	dev_t dev;
	DIR *dir;

	snprintf(dirname, sizeof(dirname), "%s/block", sysfs);
	dir = opendir(dirname);
	if (!dir)
		return 0; /* no block layer in sight: no loop devices either */
	while (!err && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "loop", 4) != 0 ||
		    !loop_is_on(sysfs, entry->d_name, identity, &dev))
			continue;
		snprintf(what, sizeof(what), "%s (as /dev/%.16s)", image, entry->d_name);
		err = check_mounted(dev, mode, what, failure);
	}
	closedir(dir);
	return err;
}

int hotplug_host_check_mounts(const char *sysfs, const char *path,
			      const struct hotplug_identity *identity, enum hotplug_mode mode,
			      struct hotplug_failure *failure)
{
	if (mode == HOTPLUG_MODE_UNCHECKED)
		return 0;
	if (identity->is_block)
		return check_mounted(identity->dev, mode, path, failure);
	return check_loops(sysfs, path, identity, mode, failure);
}
