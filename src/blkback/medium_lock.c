/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "blkback/medium_lock.h"
#include "core/statefile.h"

struct name {
	char text[STATEFILE_NAME_MAX];
};

void medium_name(const struct message_image *image, char *text, size_t size)
{
	snprintf(text, size, "%s %llx %llx", image->block_device ? "device" : "file",
		 (unsigned long long)image->dev, (unsigned long long)image->inode);
}

/* FNV-1a. Two media with the same hash only wait for each other. */
static struct name name_of(const char *medium)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct name name;

	for (; *medium; medium++)
		hash = (hash ^ (uint8_t)*medium) * UINT64_C(0x100000001b3);
	snprintf(name.text, sizeof(name.text), "medium-%016" PRIx64 ".lock", hash);
	return name;
}

static int open_file(const char *dir, const char *name, int *ret_fd)
{
	return statefile_open(dir, name, 0, INT64_MAX, ret_fd, NULL);
}

static bool lock_byte(int fd, uint64_t at, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = 1
	};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Several processes may have left it, so each holds a shared lock. */
static bool was_left(int fd)
{
	if (!lock_byte(fd, MEDIUM_LOCK_LEFT, F_WRLCK))
		return true;
	lock_byte(fd, MEDIUM_LOCK_LEFT, F_UNLCK);
	return false;
}

void medium_lock_leave(int fd)
{
	lock_byte(fd, MEDIUM_LOCK_LEFT, F_RDLCK);
}

/* If the last lock fails, that is no error: the process that prevents it serves the medium, too, and could do worse. */
int medium_lock_open(const char *dir, const char *medium, int *ret_fd)
{
	const struct name name = name_of(medium);
	int err = open_file(dir, name.text, ret_fd);

	if (err == -ENOENT)
		err = statefile_create(dir, name.text, 1, ret_fd);
	if (!err && was_left(*ret_fd)) {
		statefile_close(ret_fd);
		err = -EBUSY;
	}
	if (!err)
		lock_byte(*ret_fd, MEDIUM_LOCK_USED, F_RDLCK);
	return err;
}

/* Only control adds users, so none can come in between. */
static void close_and_remove(const char *dir, const char *name, int *fd)
{
	if (lock_byte(*fd, MEDIUM_LOCK_USED, F_WRLCK))
		statefile_remove(dir, name);
	statefile_close(fd);
}

static void remove_unused(const char *dir, const char *name)
{
	int fd;

	if (!open_file(dir, name, &fd))
		close_and_remove(dir, name, &fd);
}

void medium_lock_close(const char *dir, const char *medium, int *fd)
{
	const struct name name = name_of(medium);

	if (*fd >= 0)
		close_and_remove(dir, name.text, fd);
	else
		remove_unused(dir, name.text);
}

static int is_lock(const struct dirent *entry)
{
	return fnmatch("medium-*.lock*", entry->d_name, 0) == 0;
}

void medium_lock_sweep(const char *dir)
{
	struct dirent **entries = NULL;
	int nr = scandir(dir, &entries, is_lock, alphasort);

	for (int i = 0; i < nr; i++) {
		remove_unused(dir, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}
