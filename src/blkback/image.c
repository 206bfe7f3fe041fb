/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/container_of.h"
#include "blkback/image.h"
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

/* Holes can be punched into files; a block device says what it can. */
static void learn_discard(struct image *image, const struct stat *st)
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

static int file_size(const struct image *image, uint64_t *ret_bytes)
{
	struct stat st;

	if (image->block_device)
		return ioctl(image->fd, BLKGETSIZE64, ret_bytes) < 0 ? -errno : 0;
	if (fstat(image->fd, &st) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static bool reads_directly(int fd, void *buf, uint32_t bytes)
{
	return pread(fd, buf, bytes, 0) == (ssize_t)bytes;
}

/*
 * The smallest request that the medium takes past the page cache: one read is the proof. 0 when
 * there is none, or the medium does not end with such a block.
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
 * A device says what it writes at once; a file has it from its disk, where it lies on one. `sectors`
 * must be a multiple (blkif.h).
 */
static uint32_t physical_block(const struct image *image, const struct stat *st)
{
	unsigned long long limit = 0;
	unsigned int physical = 0;

	if (!image->block_device)
		limit = queue_limit(st->st_dev, "physical_block_size");
	else if (ioctl(image->fd, BLKPBSZGET, &physical) == 0)
		limit = physical;
	return limit > image->block && limit <= PHYSICAL_MAX && image->bytes % limit == 0
		       ? (uint32_t)limit
		       : image->block;
}

static int reopen_buffered(struct image *image)
{
	int flags = fcntl(image->fd, F_GETFL);

	if (flags < 0 || fcntl(image->fd, F_SETFL, flags & ~O_DIRECT) < 0)
		return -errno;
	image->direct = false;
	image->block = BLKIF_SECTOR_SIZE;
	return 0;
}

/* Two disks may have one medium, under whatever names. */
static struct blocks *blocks_of(const struct stat *st)
{
	bool device = S_ISBLK(st->st_mode);
	char medium[64];

	snprintf(medium, sizeof(medium), "%s %llx %llx", device ? "device" : "file",
		 (unsigned long long)(device ? st->st_rdev : st->st_dev),
		 (unsigned long long)(device ? 0 : st->st_ino));
	return blocks_get(medium);
}

/* To note when a file was read its file system may have to wait. No matter where we may not ask for this. */
static void leave_times(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NOATIME);
}

static int measure(struct image *image)
{
	struct stat st;
	int err;

	if (fstat(image->fd, &st) < 0)
		return -errno;
	image->blocks = blocks_of(&st);
	if (!image->blocks)
		return -ENOMEM;
	image->block = BLKIF_SECTOR_SIZE;
	learn_discard(image, &st);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTSUP;
	image->block_device = S_ISBLK(st.st_mode);
	leave_times(image->fd);
	err = image_size(image, &image->bytes);
	if (!err && image->bytes == 0)
		err = -ENODATA;
	if (!err && image->direct) {
		image->block = direct_block(image->fd, image->bytes);
		err = image->block ? 0 : reopen_buffered(image);
	}
	if (!err)
		image->physical_block = physical_block(image, &st);
	return err;
}

/* --- requests --- */

/* Whole sectors of the device only: what is not covered whole is left as it is. */
static int discard_range(const struct image *image, uint64_t offset, uint64_t bytes, bool secure)
{
	uint64_t unit = image->physical_block;
	uint64_t from = (offset + unit - 1) / unit * unit;
	uint64_t range[2] = { from, 0 };

	if (offset + bytes <= from)
		return 0;
	range[1] = (offset + bytes - from) / unit * unit;
	if (range[1] == 0)
		return 0;
	return ioctl(image->fd, secure ? BLKSECDISCARD : BLKDISCARD, range) < 0 ? -errno : 0;
}

static int discard(const struct image *image, uint64_t offset, uint64_t bytes, bool secure)
{
	if (bytes == 0)
		return 0;
	if (image->block_device)
		return discard_range(image, offset, bytes, secure);
	return fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			 (off_t)bytes) < 0
		       ? -errno
		       : 0;
}

static struct image_request *request_of(void *slow)
{
	return container_of(slow, struct image_request, slow);
}

static void discard_work(struct slow_request *slow)
{
	struct image_request *req = request_of(slow);

	req->result = discard(req->image, req->offset, req->bytes, req->secure);
}

static void discard_done(struct slow_request *slow)
{
	struct image_request *req = request_of(slow);

	req->done(req, req->result);
}

/* It has no asynchronous form and may block for long. */
static void submit_discard(struct aio *aio, struct image_request *req)
{
	int err;

	req->slow = (struct slow_request){ .home = aio->worker->loop,
					   .work = discard_work,
					   .done = discard_done };
	err = slow_run(req->image->slow, &req->slow);
	if (err)
		req->done(req, err);
}

static struct image_request *aio_request_of(struct aio_request *aio)
{
	return (struct image_request *)(void *)aio;
}

static void aio_done(struct aio_request *aio, long result)
{
	struct image_request *req = aio_request_of(aio);

	req->done(req, result);
}

static void aio_given_back(struct aio_request *aio)
{
	struct image_request *req = aio_request_of(aio);

	req->given_back(req);
}

static void prepare_iocb(struct image_request *req, struct iocb *iocb)
{
	int fd = req->image->fd;
	long long offset = (long long)req->offset;

	if (req->op == IMAGE_FLUSH)
		io_prep_fdsync(iocb, fd);
	else if (req->nr_vec)
		(req->op == IMAGE_READ ? io_prep_preadv : io_prep_pwritev)(
			iocb, fd, req->vec, (int)req->nr_vec, offset);
	else
		(req->op == IMAGE_READ ? io_prep_pread : io_prep_pwrite)(iocb, fd, req->buf,
									 req->bytes, offset);
	if (req->op == IMAGE_WRITE && req->durable)
		iocb->aio_rw_flags = RWF_DSYNC;
}

/* The page cache reads ahead, makes room and writes through, and waits for that, whatever it is told. */
static void submit_aio(struct aio *aio, struct image_request *req)
{
	prepare_iocb(req, &req->aio.iocb);
	req->aio.bytes = req->op == IMAGE_FLUSH ? 0 : req->bytes;
	req->aio.may_wait = !req->image->direct;
	req->aio.done = aio_done;
	req->aio.given_back = aio_given_back;
	aio_add(aio, &req->aio);
}

static void file_submit(struct aio *aio, struct image_request *req)
{
	if (req->op == IMAGE_DISCARD)
		submit_discard(aio, req);
	else
		submit_aio(aio, req);
}

static void file_recall(struct aio *aio, struct image_request *req)
{
	bool had = req->op == IMAGE_DISCARD ? slow_recall(req->image->slow, &req->slow)
					    : aio_recall(aio, &req->aio);

	if (had)
		req->given_back(req);
}

/* --- life --- */

static void file_close(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);
}

static int file_settle(const struct image *image)
{
	if (!image->read_only && fsync(image->fd) < 0)
		return -errno;
	return -posix_fadvise(image->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static const struct image_ops file_ops = {
	.submit = file_submit,
	.recall = file_recall,
	.takes_pieces = true,
	.size = file_size,
	.settle = file_settle,
	.close = file_close,
};

int image_open(struct image *image, const char *path, bool read_only, enum disk_cache cache)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_LARGEFILE | O_NOCTTY;
	bool direct = cache == DISK_CACHE_NONE;
	struct stat st;
	int err;

	if (cache == DISK_CACHE_WRITETHROUGH)
		flags |= O_DSYNC;
	*image = (struct image)IMAGE_CLOSED;
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTSUP; /* opening a FIFO would hang us */
	*image = (struct image){ .ops = &file_ops,
				 .fd = open(path, direct ? flags | O_DIRECT : flags),
				 .direct = direct,
				 .fenced = true, /* the kernel ends a process after its I/O */
				 .read_only = read_only };
	if (image->fd < 0 && errno == EINVAL && direct) {
		image->fd = open(path, flags);
		image->direct = false;
	}
	err = image->fd < 0 ? -errno : measure(image);
	if (err)
		image_close(image);
	return err;
}

void image_close(struct image *image)
{
	if (image->ops)
		image->ops->close(image);
	blocks_put(image->blocks);
	*image = (struct image)IMAGE_CLOSED;
}

int image_size(const struct image *image, uint64_t *ret_bytes)
{
	uint64_t bytes;
	int err = image->ops->size(image, &bytes);

	if (!err)
		*ret_bytes = bytes / image->block * image->block;
	return err;
}

int image_settle(const struct image *image)
{
	return image->ops->settle(image);
}
