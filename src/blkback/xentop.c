/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/xentop.h"

#define STATS_VERSION 1u
#define PATH_BYTES    80

_Static_assert(sizeof(struct xentop_stats) == 96, "xentop's layout");
_Static_assert(offsetof(struct xentop_stats, read) == 16, "xentop's layout");
_Static_assert(offsetof(struct xentop_stats, write) == 48, "xentop's layout");
_Static_assert(offsetof(struct xentop_stats, io_errors) == 80, "xentop's layout");

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
	rmdir(path); /* when it was the last */
}

static int map_stats(struct xentop *xentop, const char *path)
{
	int fd, err;
	void *addr;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	err = -posix_fallocate(fd, 0, sizeof(struct xentop_stats));
	addr = err ? MAP_FAILED
		   : mmap(NULL, sizeof(struct xentop_stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  0);
	if (!err && addr == MAP_FAILED)
		err = -errno;
	close(fd);
	if (err)
		return err;
	xentop->stats = addr;
	xentop->stats->version = STATS_VERSION;
	return 0;
}

int xentop_open(struct xentop *xentop, uint32_t domid, uint32_t devid)
{
	uint32_t pid = (uint32_t)getpid();
	char path[PATH_BYTES];
	struct stat st;
	int err;

	*xentop = (struct xentop){ .domid = domid, .devid = devid };
	dir_of(pid, path);
	/* Anybody may write in /dev/shm: a directory that is not ours is left alone. */
	if (mkdir(path, 0755) < 0 && (errno != EEXIST || lstat(path, &st) < 0 ||
				      !S_ISDIR(st.st_mode) || st.st_uid != geteuid()))
		return -EEXIST;
	file_of(pid, domid, devid, path);
	err = map_stats(xentop, path);
	if (err)
		xentop_forget(pid, domid, devid);
	return err;
}

void xentop_close(struct xentop *xentop)
{
	if (!xentop->stats)
		return;
	munmap(xentop->stats, sizeof(*xentop->stats));
	xentop->stats = NULL;
	xentop_forget((uint32_t)getpid(), xentop->domid, xentop->devid);
}

/* The rings of a disk may be on several workers. */
static void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static struct xentop_flow *flow_of(struct xentop_stats *stats, const struct blk_request *req)
{
	if (req->op == BLKIF_READ)
		return &stats->read;
	return req->op == BLKIF_DISCARD ? NULL : &stats->write;
}

void xentop_taken(struct xentop_stats *stats, const struct blk_request *req)
{
	struct xentop_flow *flow = flow_of(stats, req);

	if (flow)
		add(&flow->submitted, 1);
}

void xentop_answered(struct xentop_stats *stats, const struct blk_request *req, bool ok,
		     uint64_t bytes, uint64_t ns)
{
	struct xentop_flow *flow = flow_of(stats, req);

	if (!ok)
		add(&stats->io_errors, 1);
	if (!flow)
		return;
	add(&flow->completed, 1);
	add(&flow->ticks, ns / 1000);
	if (ok)
		add(&flow->sectors, bytes / BLKIF_SECTOR_SIZE);
}
