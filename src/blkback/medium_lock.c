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

static bool lock_bytes(int fd, uint64_t from, uint64_t nr, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)from, .l_len = (off_t)nr
	};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool lock_byte(int fd, uint64_t at, short type)
{
	return lock_bytes(fd, at, 1, type);
}

static uint64_t byte_of(const struct medium_disk *disk)
{
	return MEDIUM_LOCK_DISKS + ((uint64_t)disk->domid << 32) + disk->devid;
}

/* The descriptors of one disk's processes have this lock in common with no other. */
static bool lock_disk(int fd, const struct medium_disk *disk)
{
	return lock_byte(fd, byte_of(disk), F_WRLCK);
}

/* To the end of the file: also MEDIUM_LOCK_LEFT and MEDIUM_LOCK_USED. */
void medium_lock_served(int fd)
{
	lock_bytes(fd, MEDIUM_LOCK_DISKS, 0, F_UNLCK);
}

bool medium_lock_others(int fd, uint64_t *at, struct medium_disk *ret)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)(MEDIUM_LOCK_DISKS + *at),
			      .l_len = (off_t)(MEDIUM_LOCK_LEFT - MEDIUM_LOCK_DISKS - *at) };
	uint64_t found;

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return false;
	found = (uint64_t)lock.l_start - MEDIUM_LOCK_DISKS;
	ret->domid = (uint32_t)(found >> 32);
	ret->devid = (uint32_t)found;
	*at = found + 1;
	return true;
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
int medium_lock_open(const char *dir, const char *medium, const struct medium_disk *disk,
		     int *ret_fd)
{
	const struct name name = name_of(medium);
	int err = open_file(dir, name.text, ret_fd);

	if (err == -ENOENT)
		err = statefile_create(dir, name.text, 1, ret_fd);
	if (err)
		return err;
	if (was_left(*ret_fd))
		err = -EBUSY;
	else if (!lock_disk(*ret_fd, disk))
		err = -EAGAIN;
	if (err)
		statefile_close(ret_fd);
	else
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
