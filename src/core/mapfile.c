/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mapfile.h"

static int map(int fd, size_t bytes, void **ret_addr)
{
	void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (addr == MAP_FAILED)
		return -errno;
	*ret_addr = addr;
	return 0;
}

int mapfile_create(const char *path, size_t bytes, void **ret_addr)
{
	int err, fd;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = -posix_fallocate(fd, 0, (off_t)bytes);
	if (!err)
		err = map(fd, bytes, ret_addr);
	close(fd);
	if (err)
		unlink(path);
	return err;
}

/* Nobody but us, or root, can have written it. */
static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       (st->st_uid == geteuid() || st->st_uid == 0) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int check_and_map(int fd, size_t most, void **ret_addr, size_t *ret_bytes)
{
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_ours(&st))
		return -EPERM;
	if (st.st_size == 0 || st.st_size > (off_t)most)
		return -EBADMSG;
	err = map(fd, (size_t)st.st_size, ret_addr);
	if (!err)
		*ret_bytes = (size_t)st.st_size;
	return err;
}

int mapfile_open_any(const char *path, size_t most, void **ret_addr, size_t *ret_bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int err;

	if (fd < 0)
		return errno == ELOOP || errno == EISDIR ? -EPERM : -errno;
	err = check_and_map(fd, most, ret_addr, ret_bytes);
	close(fd);
	return err;
}

int mapfile_open(const char *path, size_t bytes, void **ret_addr)
{
	size_t size;
	void *addr;
	int err = mapfile_open_any(path, bytes, &addr, &size);

	if (!err && size != bytes) {
		mapfile_unmap(addr, size);
		err = -EBADMSG;
	}
	if (!err)
		*ret_addr = addr;
	return err;
}

void mapfile_unmap(void *addr, size_t bytes)
{
	if (addr)
		munmap(addr, bytes);
}
