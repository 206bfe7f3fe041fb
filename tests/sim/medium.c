/* SPDX-License-Identifier: MIT */
/*
 * medium.c - simulates a disk with large blocks, faults and delays, for a backend that need not know of it: LD_PRELOAD.
 *
 * XENSIM_BLOCK=N: a file that was opened with O_DIRECT accepts only transfers that begin and end at multiples of N, like a disk of
 * N-byte blocks. Others fail with EINVAL.
 * XENSIM_FAULTS=DIR: faults are switched on by files in DIR, as long as they exist:
 *
 *   enospc        each write fails with ENOSPC
 *   eio           each request fails with EIO; with ecanceled, with ECANCELED
 *   efault        each request in pieces fails with EFAULT, as with a kernel that does not find the pages behind a mapped grant
 *   eflush        each flush fails with EIO
 *   hang-NAME     no call returns that opens, closes, measures, syncs, reads or punches a file called NAME; with
 *                 hang-NAME.connect, none that connects to NAME. Submitted requests complete.
 *   dead-NAME     the same, and not even SIGKILL ends the process in the call: its descriptors stay open, like those of a
 *                 process that waits in the kernel for dead storage
 *   swallow-NAME  requests are taken and never answered
 *   slow-NAME     requests are answered after 20 ms
 *   wait-NAME     each transfer waits in io_submit(), as with a kernel whose queue is full, or fails with EAGAIN if it has
 *                 RWF_NOWAIT
 *
 * Such files in DIR/control, DIR/guest and DIR/opener are for processes of that role only (role.h).
 *
 * DIR and /proc/self/fd are opened at the start, so that a process that later has no file system still finds these files.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "role.h"

#define MEMORY_ALIGNMENT 512u

static int faults_dir = -1, own_fds = -1;

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
	char ours[512];

	if (faults_dir < 0)
		return false;
	snprintf(ours, sizeof(ours), "%s/%s", sim_role, name);
	return faccessat(faults_dir, name, F_OK, 0) == 0 ||
	       faccessat(faults_dir, ours, F_OK, 0) == 0;
}

/* --- calls that do not come back --- */

/* Whether there is a fault for the file of this name. */
static bool path_has(const char *fault, const char *path)
{
	const char *slash = strrchr(path, '/');
	char name[300];

	snprintf(name, sizeof(name), "%s-%.255s", fault, slash ? slash + 1 : path);
	return has_fault(name);
}

static bool path_of(int fd, char *path, size_t size)
{
	char link[16];
	ssize_t n;

	if (faults_dir < 0)
		return false;
	snprintf(link, sizeof(link), "%d", fd);
	n = readlinkat(own_fds, link, path, size - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return true;
}

static bool fd_has(const char *fault, int fd)
{
	char path[4096];

	return path_of(fd, path, sizeof(path)) && path_has(fault, path);
}

/* A process that shares all our descriptors, and is not killed with us. */
static void stay_when_killed(const char *path)
{
	if (!path_has("dead", path) || syscall(SYS_clone, CLONE_FILES, NULL, NULL, NULL, NULL))
		return;
	while (path_has("dead", path))
		usleep(10000);
	_exit(0);
}

static void wait_for_path(const char *path)
{
	stay_when_killed(path);
	while (path_has("hang", path) || path_has("dead", path))
		usleep(10000);
}

static void wait_for(int fd)
{
	char path[4096];

	if (path_of(fd, path, sizeof(path)))
		wait_for_path(path);
}

#define NEXT(name) *(void **)&next = dlsym(RTLD_NEXT, name)

int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...);
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	NEXT("open");
	wait_for_path(path);
	return next(path, flags, mode);
}

int stat(const char *path, struct stat *st)
{
	int (*next)(const char *, struct stat *);

	NEXT("stat");
	wait_for_path(path);
	return next(path, st);
}

int fstat(int fd, struct stat *st)
{
	int (*next)(int, struct stat *);

	NEXT("fstat");
	wait_for(fd);
	return next(fd, st);
}

/* Storage that may hang is on another machine, so its size must look as on a network file system. */
int fstatfs(int fd, struct statfs *fs)
{
	int (*next)(int, struct statfs *);
	int ret;

	NEXT("fstatfs");
	ret = next(fd, fs);
	if (ret == 0 && fs->f_type != TMPFS_MAGIC)
		fs->f_type = NFS_SUPER_MAGIC;
	return ret;
}

int fsync(int fd)
{
	int (*next)(int);

	NEXT("fsync");
	wait_for(fd);
	return next(fd);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	int (*next)(int, int, off_t, off_t);

	NEXT("fallocate");
	wait_for(fd);
	return next(fd, mode, offset, bytes);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int (*next)(int, const struct sockaddr *, socklen_t);
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)addr;
	char path[sizeof(un->sun_path) + sizeof(".connect")] = "";

	NEXT("connect");
	if (addr->sa_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path))
		memcpy(path, un->sun_path, len - offsetof(struct sockaddr_un, sun_path));
	if (*path)
		wait_for_path(strcat(path, ".connect"));
	return next(fd, addr, len);
}

int close(int fd)
{
	int (*next)(int);

	NEXT("close");
	wait_for(fd);
	return next(fd);
}

/* --- requests --- */

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
	if (op == IO_CMD_FDSYNC && has_fault("eflush"))
		return -EIO;
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

static bool is_swallowed(const struct iocb *iocb)
{
	return fd_has("swallow", iocb->aio_fildes);
}

/* --- a medium that takes its time: each request has a thread that waits --- */

#define SLOW_US 20000

typedef int (*submit_fn)(io_context_t, long, struct iocb **);

struct slow {
	io_context_t ctx;
	struct iocb *iocb;
	submit_fn submit;
};

static void *submit_late(void *user)
{
	struct slow *slow = user;

	usleep(SLOW_US);
	if (slow->submit(slow->ctx, 1, &slow->iocb) != 1)
		abort();
	free(slow);
	return NULL;
}

static int submit_slowly(io_context_t ctx, struct iocb *iocb, submit_fn submit)
{
	struct slow *slow = malloc(sizeof(*slow));
	pthread_t thread;

	if (!slow)
		return -ENOMEM;
	*slow = (struct slow){ ctx, iocb, submit };
	if (pthread_create(&thread, NULL, submit_late, slow))
		abort();
	pthread_detach(thread);
	return 1;
}

static bool is_slow(const struct iocb *iocb)
{
	return fd_has("slow", iocb->aio_fildes);
}

/* --- one that has to wait --- */

static bool has_to_wait(const struct iocb *iocb)
{
	return iocb->aio_lio_opcode != IO_CMD_FDSYNC && fd_has("wait", iocb->aio_fildes);
}

static bool is_plain(const struct iocb *iocb)
{
	return !is_swallowed(iocb) && !is_slow(iocb) && !has_to_wait(iocb) && verdict(iocb) == 0;
}

/* Submit a read from an empty pipe instead. */
static int say_again(submit_fn next, io_context_t ctx, const struct iocb *iocb)
{
	static int empty[2] = { -1, -1 };
	static char byte;
	struct iocb instead, *list = &instead;

	if (empty[0] < 0 && pipe2(empty, O_NONBLOCK | O_CLOEXEC) < 0)
		return -errno;
	io_prep_pread(&instead, empty[0], &byte, 1, 0);
	instead.data = iocb->data;
	instead.u.c.flags = iocb->u.c.flags;
	instead.u.c.resfd = iocb->u.c.resfd;
	return next(ctx, 1, &list);
}

/* The kernel takes the requests before the first that it refuses. It returns the error if it refuses the very first. */
int io_submit(io_context_t ctx, long nr, struct iocb *iocbs[])
{
	static submit_fn next;
	long fine = 0;
	int err;

	if (!next)
		NEXT("io_submit");
	if (nr > 0 && is_swallowed(iocbs[0]))
		return 1;
	if (nr > 0 && is_slow(iocbs[0]))
		return submit_slowly(ctx, iocbs[0], next);
	if (nr > 0 && has_to_wait(iocbs[0]) && iocbs[0]->aio_rw_flags & RWF_NOWAIT)
		return say_again(next, ctx, iocbs[0]);
	while (nr > 0 && has_to_wait(iocbs[0]))
		usleep(10000);
	while (fine < nr && is_plain(iocbs[fine]))
		fine++;
	if (fine > 0 || nr <= 0)
		return next(ctx, fine, iocbs);
	err = verdict(iocbs[0]);
	return err ? err : io_submit(ctx, nr, iocbs); /* the fault has changed meanwhile */
}

ssize_t pread(int fd, void *buf, size_t bytes, off_t offset)
{
	static ssize_t (*next)(int, void *, size_t, off_t);

	if (!next)
		NEXT("pread");
	wait_for(fd);
	if (fits(fd, buf, bytes, offset))
		return next(fd, buf, bytes, offset);
	errno = EINVAL;
	return -1;
}

ssize_t pread64(int fd, void *buf, size_t bytes, off64_t offset)
{
	return pread(fd, buf, bytes, (off_t)offset);
}

static void __attribute__((constructor)) begin(void)
{
	int (*next)(const char *, int, ...);
	const char *dir = getenv("XENSIM_FAULTS");

	NEXT("open");
	if (!dir)
		return;
	own_fds = next("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	faults_dir = next(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (faults_dir < 0 || own_fds < 0)
		abort();
}
