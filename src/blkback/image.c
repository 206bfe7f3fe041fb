/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/container_of.h"
#include "blkback/image.h"
#include "blkback/medium_lock.h"
#include "core/statefile.h"
#include "ring/blkif.h"

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

/* --- requests --- */

/* Discard only the device's physical blocks that lie whole in the range. */
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

/* A discard has no asynchronous form and may block for long. */
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

/*
 * Requests that may block in spite of RWF_NOWAIT. The page cache blocks to read ahead, to free memory and to write
 * back. A write to a file blocks while its file system is frozen: the kernel waits for that before it looks at the
 * flag.
 */
static bool may_wait(const struct image_request *req)
{
	return !req->image->direct || (req->op == IMAGE_WRITE && !req->image->block_device);
}

static void submit_aio(struct aio *aio, struct image_request *req)
{
	prepare_iocb(req, &req->aio.iocb);
	req->aio.bytes = req->op == IMAGE_FLUSH ? 0 : req->bytes;
	req->aio.may_wait = may_wait(req);
	req->aio.cached = !req->image->direct;
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

/* Without a lock file, nobody would wait for writes that outlive the process. */
static void file_join(const struct image *image, struct aio_client *client)
{
	if (!image->direct || !image->block_device)
		aio_will_call(client);
	else if (image->read_only || image->lock_fd >= 0)
		aio_use_device(client, image->fd, image->lock_fd);
}

static void file_close(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);
}

static const struct image_ops file_ops = {
	.submit = file_submit,
	.recall = file_recall,
	.join = file_join,
	.takes_pieces = true,
	.size = file_size,
	.close = file_close,
};

/* Two disks may use one medium under different names. */
static struct blocks *blocks_of(const struct message_image *what, int lock_fd)
{
	char medium[MEDIUM_NAME_MAX];

	medium_name(what, medium, sizeof(medium));
	return blocks_get(medium, lock_fd);
}

int image_use(struct image *image, int fd, int lock_fd, const struct message_image *what)
{
	*image = (struct image){ .ops = &file_ops,
				 .fd = fd,
				 .lock_fd = lock_fd < 0 ? -1 : dup(lock_fd),
				 .bytes = what->bytes,
				 .block = what->block,
				 .blocks = blocks_of(what, lock_fd),
				 .physical_block = what->physical_block,
				 .direct = what->direct,
				 .block_device = what->block_device,
				 .size_at_hand = what->size_at_hand,
				 .read_only = what->read_only,
				 .discard = what->discard,
				 .secure_discard = what->secure_discard,
				 .discard_granularity = what->discard_granularity,
				 .fenced = what->fenced };
	if (image->blocks)
		return 0;
	image_close(image);
	return -ENOMEM;
}

struct message_image image_facts(const struct image *image)
{
	return (struct message_image){ .bytes = image->bytes,
				       .block = image->block,
				       .physical_block = image->physical_block,
				       .discard_granularity = image->discard_granularity,
				       .direct = image->direct,
				       .block_device = image->block_device,
				       .size_at_hand = image->size_at_hand,
				       .read_only = image->read_only,
				       .discard = image->discard,
				       .secure_discard = image->secure_discard,
				       .fenced = image->fenced };
}

void image_close(struct image *image)
{
	if (image->ops)
		image->ops->close(image);
	blocks_put(image->blocks);
	if (image->lock_fd >= 0)
		medium_lock_served(image->lock_fd);
	statefile_close(&image->lock_fd);
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
