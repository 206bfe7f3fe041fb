/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/statefile.h"

struct path {
	char text[PATH_MAX];
};

static int make_path(const char *dir, const char *name, const char *suffix, struct path *ret)
{
	int n = snprintf(ret->text, sizeof(ret->text), "%s/%s%s", dir, name, suffix);

	return n < 0 || n >= (int)sizeof(ret->text) ? -ENAMETOOLONG : 0;
}

/* --- by name --- */

static int create_unfinished(const char *path, size_t bytes, int *ret_fd)
{
	int err, fd;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = -posix_fallocate(fd, 0, (off_t)bytes);
	if (err) {
		close(fd);
		unlink(path);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int statefile_create(const char *dir, const char *name, size_t bytes, int *ret_fd)
{
	struct path unfinished, path;
	int fd = -1, err = make_path(dir, name, STATEFILE_NEW, &unfinished);

	if (!err)
		err = make_path(dir, name, "", &path);
	if (!err)
		err = create_unfinished(unfinished.text, bytes, &fd);
	if (err)
		return err;
	if (rename(unfinished.text, path.text) < 0) {
		err = -errno;
		close(fd);
		unlink(unfinished.text);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* Whether only we or root can have written the file. */
static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       (st->st_uid == geteuid() || st->st_uid == 0) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int check(int fd, size_t least, size_t most, size_t *ret_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_ours(&st))
		return -EPERM;
	if (st.st_size < (off_t)least || st.st_size > (off_t)most)
		return -EBADMSG;
	if (ret_bytes)
		*ret_bytes = (size_t)st.st_size;
	return 0;
}

int statefile_open(const char *dir, const char *name, size_t least, size_t most, int *ret_fd,
		   size_t *ret_bytes)
{
	struct path path;
	int fd, err = make_path(dir, name, "", &path);

	if (err)
		return err;
	fd = open(path.text, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP || errno == EISDIR ? -EPERM : -errno;
	err = check(fd, least, most, ret_bytes);
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

bool statefile_exists(const char *dir, const char *name)
{
	struct path path;

	return make_path(dir, name, "", &path) == 0 && access(path.text, F_OK) == 0;
}

void statefile_remove(const char *dir, const char *name)
{
	struct path path;

	if (make_path(dir, name, "", &path) == 0)
		unlink(path.text);
}

/* --- by descriptor --- */

int statefile_map(int fd, size_t bytes, void **ret_addr)
{
	struct stat st;
	void *addr;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)bytes)
		return -EBADMSG;
	addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return -errno;
	*ret_addr = addr;
	return 0;
}

int statefile_map_all(int fd, size_t most, void **ret_addr, size_t *ret_bytes)
{
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size > (off_t)most)
		return -EBADMSG;
	err = statefile_map(fd, (size_t)st.st_size, ret_addr);
	if (!err)
		*ret_bytes = (size_t)st.st_size;
	return err;
}

void statefile_unmap(void *addr, size_t bytes)
{
	if (addr)
		munmap(addr, bytes);
}

void statefile_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
