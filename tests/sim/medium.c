/* SPDX-License-Identifier: MIT */
/*
 * medium.c - a disk with demands and faults, under a backend that knows nothing of it: LD_PRELOAD.
 *
 * XENSIM_BLOCK=N: like a disk of N-byte blocks, a file opened with O_DIRECT takes what begins and ends
 * at multiples of N, and says EINVAL to the rest.
 * XENSIM_FAULTS=DIR: while there is a file DIR/enospc every write is refused with ENOSPC; with
 * DIR/eio every request with EIO, with DIR/ecanceled with ECANCELED; with DIR/efault every one in pieces with EFAULT, as by a kernel that cannot
 * find the pages behind a mapped grant.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define MEMORY_ALIGNMENT 512u

static bool fits(int fd, const void *buf, size_t bytes, long long offset)
{
	const char *env = getenv("XENSIM_BLOCK");
	size_t block = env ? strtoul(env, NULL, 10) : 1;
	int flags = fcntl(fd, F_GETFL);

	if (block <= 1 || flags < 0 || !(flags & O_DIRECT))
		return true;
	return bytes % block == 0 && (size_t)offset % block == 0 &&
	       (uintptr_t)buf % MEMORY_ALIGNMENT == 0;
}

static bool has_fault(const char *name)
{
	const char *dir = getenv("XENSIM_FAULTS");
	char path[512];

	return dir && snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

static bool pieces_fit(const struct iocb *iocb)
{
	long long offset = iocb->u.c.offset;
	const struct iovec *vec = iocb->u.c.buf;

	for (unsigned long i = 0; i < iocb->u.c.nbytes; i++) {
		if (!fits(iocb->aio_fildes, vec[i].iov_base, vec[i].iov_len, offset))
			return false;
		offset += (long long)vec[i].iov_len;
	}
	return true;
}

static int verdict(const struct iocb *iocb)
{
	int op = iocb->aio_lio_opcode;
	bool moves = op == IO_CMD_PREAD || op == IO_CMD_PWRITE;
	bool in_pieces = op == IO_CMD_PREADV || op == IO_CMD_PWRITEV;

	if (has_fault("eio"))
		return -EIO;
	if (has_fault("ecanceled"))
		return -ECANCELED;
	if ((op == IO_CMD_PWRITE || op == IO_CMD_PWRITEV) && has_fault("enospc"))
		return -ENOSPC;
	if (in_pieces && has_fault("efault"))
		return -EFAULT;
	if (in_pieces)
		return pieces_fit(iocb) ? 0 : -EINVAL;
	return !moves || fits(iocb->aio_fildes, iocb->u.c.buf, iocb->u.c.nbytes, iocb->u.c.offset)
		       ? 0
		       : -EINVAL;
}

/* The kernel takes what stands before the first that it refuses, and says why when that is the first. */
int io_submit(io_context_t ctx, long nr, struct iocb *iocbs[])
{
	static int (*next)(io_context_t, long, struct iocb **);
	long fine = 0;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "io_submit");
	while (fine < nr && verdict(iocbs[fine]) == 0)
		fine++;
	return fine == 0 && nr > 0 ? verdict(iocbs[0]) : next(ctx, fine, iocbs);
}

ssize_t pread(int fd, void *buf, size_t bytes, off_t offset)
{
	static ssize_t (*next)(int, void *, size_t, off_t);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "pread");
	if (fits(fd, buf, bytes, offset))
		return next(fd, buf, bytes, offset);
	errno = EINVAL;
	return -1;
}

ssize_t pread64(int fd, void *buf, size_t bytes, off64_t offset)
{
	return pread(fd, buf, bytes, (off_t)offset);
}
