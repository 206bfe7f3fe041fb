/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "blkback/image.h"
#include "blkback/image_open.h"
#include "ring/blkif.h"

#define PHYSICAL_MAX (1u << 20)

/* A number from /sys/dev/block/MAJOR:MINOR/queue; a partition's queue is its disk's. 0 when unknown. */
static unsigned long long queue_limit(dev_t dev, const char *name)
{
	static const char *const places[] = { "", "/.." };
	unsigned long long value = 0;

	for (unsigned int i = 0; i < 2; i++) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s/queue/%s", major(dev),
			 minor(dev), places[i], name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%llu", &value) != 1)
			value = 0;
		fclose(file);
		break;
	}
	return value;
}

/* Files support holes. A block device's limits say what it supports. */
static void learn_discard(struct message_image *image, const struct stat *st)
{
	unsigned long long granularity;

	if (S_ISREG(st->st_mode)) {
		image->discard = true;
		image->discard_granularity = (uint32_t)st->st_blksize;
		return;
	}
	granularity = queue_limit(st->st_rdev, "discard_granularity");
	image->discard = queue_limit(st->st_rdev, "discard_max_bytes") > 0 && granularity > 0 &&
			 granularity <= UINT32_MAX;
	image->discard_granularity = (uint32_t)granularity;
	image->secure_discard = queue_limit(st->st_rdev, "secure_erase_max_bytes") > 0;
}

static bool reads_directly(int fd, void *buf, uint32_t bytes)
{
	return pread(fd, buf, bytes, 0) == (ssize_t)bytes;
}

/*
 * The smallest request that the medium accepts past the page cache, found by reads. 0 when there is none, or when the
 * medium's size is not a multiple of it.
 */
static uint32_t direct_block(int fd, uint64_t bytes)
{
	uint32_t block = BLKIF_SECTOR_SIZE;
	void *buf;

	if (bytes == 0 || posix_memalign(&buf, IMAGE_BLOCK_MAX, IMAGE_BLOCK_MAX))
		return 0;
	while (block <= IMAGE_BLOCK_MAX && (bytes < block || !reads_directly(fd, buf, block)))
		block *= 2;
	free(buf);
	return block <= IMAGE_BLOCK_MAX && bytes % block == 0 ? block : 0;
}

/*
 * A block device says how much it writes at once. For a file, the disk under its file system says it, if there is one.
 * `sectors` must be a multiple (blkif.h).
 */
static uint32_t physical_block(int fd, const struct message_image *image, const struct stat *st)
{
	unsigned long long limit = 0;
	unsigned int physical = 0;

	if (!image->block_device)
		limit = queue_limit(st->st_dev, "physical_block_size");
	else if (ioctl(fd, BLKPBSZGET, &physical) == 0)
		limit = physical;
	return limit > image->block && limit <= PHYSICAL_MAX && image->bytes % limit == 0
		       ? (uint32_t)limit
		       : image->block;
}

static int reopen_buffered(int fd, struct message_image *image)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
		return -errno;
	image->direct = false;
	image->block = BLKIF_SECTOR_SIZE;
	return 0;
}

/*
 * The file system may have to wait to update a file's access time. If the kernel refuses O_NOATIME, the file is used
 * without.
 */
static void leave_times(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NOATIME);
}

/* Whether fstat() never blocks: true of these local file systems. Others may have to ask a server or other hosts. */
static bool knows_sizes(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
	       fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == F2FS_SUPER_MAGIC;
}

static int measure(int fd, struct message_image *image)
{
	struct stat st;
	uint64_t bytes;
	int err = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTSUP;
	image->block_device = S_ISBLK(st.st_mode);
	image->dev = image->block_device ? st.st_rdev : st.st_dev;
	image->inode = image->block_device ? 0 : st.st_ino;
	image->size_at_hand = image->block_device || knows_sizes(fd);
	leave_times(fd);
	bytes = (uint64_t)st.st_size;
	if (image->block_device && ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return -errno;
	image->bytes = bytes / BLKIF_SECTOR_SIZE * BLKIF_SECTOR_SIZE;
	if (image->bytes == 0)
		return -ENODATA;
	learn_discard(image, &st);
	image->block = image->direct ? direct_block(fd, image->bytes) : BLKIF_SECTOR_SIZE;
	if (image->block == 0)
		err = reopen_buffered(fd, image);
	if (!err)
		image->physical_block = physical_block(fd, image, &st);
	return err;
}

int image_open(const char *path, bool read_only, enum disk_cache cache, int *ret_fd,
	       struct message_image *ret_image)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_LARGEFILE | O_NOCTTY;
	struct message_image image = { .direct = cache == DISK_CACHE_NONE,
				       .fenced = true, /* a process ends after its I/O */
				       .read_only = read_only };
	struct stat st;
	int fd, err;

	if (cache == DISK_CACHE_WRITETHROUGH)
		flags |= O_DSYNC;
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTSUP; /* open() of a FIFO would block */
	fd = open(path, image.direct ? flags | O_DIRECT : flags);
	if (fd < 0 && errno == EINVAL && image.direct) {
		fd = open(path, flags);
		image.direct = false;
	}
	if (fd < 0)
		return -errno;
	err = measure(fd, &image);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	*ret_image = image;
	return 0;
}

int image_settle(int fd, bool read_only)
{
	if (!read_only && fsync(fd) < 0)
		return -errno;
	return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}
