/* SPDX-License-Identifier: MIT */
/* The file of the counters, by its name: control's side. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/xentop.h"

#define STATS_VERSION 1u
#define PATH_BYTES    80

static void dir_of(uint32_t pid, char *path)
{
	snprintf(path, PATH_BYTES, "/dev/shm/td3-%u", pid);
}

static void file_of(uint32_t pid, uint32_t domid, uint32_t devid, char *path)
{
	snprintf(path, PATH_BYTES, "/dev/shm/td3-%u/vbd-%u-%u", pid, domid, devid);
}

void xentop_forget(uint32_t pid, uint32_t domid, uint32_t devid)
{
	char path[PATH_BYTES];

	file_of(pid, domid, devid, path);
	unlink(path);
	dir_of(pid, path);
	rmdir(path); /* when it is empty */
}

static int make_file(const char *path, int *ret_fd)
{
	const struct xentop_stats empty = { .version = STATS_VERSION };
	int fd, err;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	err = -posix_fallocate(fd, 0, sizeof(empty));
	if (!err && pwrite(fd, &empty, sizeof(empty), 0) != (ssize_t)sizeof(empty))
		err = -EIO;
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

int xentop_create(uint32_t domid, uint32_t devid, int *ret_fd)
{
	uint32_t pid = (uint32_t)getpid();
	char path[PATH_BYTES];
	struct stat st;
	int err;

	dir_of(pid, path);
	/* Anybody may write to /dev/shm: a directory of another user is left alone. */
	if (mkdir(path, 0755) < 0 && (errno != EEXIST || lstat(path, &st) < 0 ||
				      !S_ISDIR(st.st_mode) || st.st_uid != geteuid()))
		return -EEXIST;
	file_of(pid, domid, devid, path);
	err = make_file(path, ret_fd);
	if (err)
		xentop_forget(pid, domid, devid);
	return err;
}
