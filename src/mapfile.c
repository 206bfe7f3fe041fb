/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mapfile.h"

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

int mapfile_open(const char *path, size_t bytes, void **ret_addr)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int err;

	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size != (off_t)bytes)
		err = -EBADMSG;
	else
		err = map(fd, bytes, ret_addr);
	close(fd);
	return err;
}

void mapfile_unmap(void *addr, size_t bytes)
{
	if (addr)
		munmap(addr, bytes);
}
