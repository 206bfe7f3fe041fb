/* SPDX-License-Identifier: MIT */
/* The NBD half of struct image_ops: a thin layer over nbd_link.h. */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "blkback/image.h"
#include "blkback/medium_lock.h"
#include "blkback/nbd_link.h"
#include "core/statefile.h"
#include "ring/blkif.h"

#ifdef HAVE_LIBNBD

static void nbd_submit(struct aio *aio, struct image_request *req)
{
	(void)aio; /* the caller waits for its buffers; its aio context is not used */
	nbd_link_submit(req->image->nbd, req);
}

static void nbd_start(const struct image *image)
{
	nbd_link_start(image->nbd);
}

static void nbd_stop(const struct image *image, bool suspend)
{
	nbd_link_stop(image->nbd, suspend);
}

static void nbd_recall(struct aio *aio, struct image_request *req)
{
	(void)aio;
	nbd_link_recall(req->image->nbd, req);
}

static void nbd_halt(const struct image *image, bool halted)
{
	nbd_link_halt(image->nbd, halted);
}

static bool nbd_away(const struct image *image)
{
	return nbd_link_is_away(image->nbd);
}

static int nbd_size(const struct image *image, uint64_t *ret_bytes)
{
	*ret_bytes = nbd_link_bytes(image->nbd);
	return 0;
}

static void nbd_close_link(struct image *image)
{
	nbd_link_close(image->nbd);
}

static const struct image_ops nbd_ops = {
	.submit = nbd_submit,
	.start = nbd_start,
	.stop = nbd_stop,
	.recall = nbd_recall,
	.halt = nbd_halt,
	.away = nbd_away,
	.size = nbd_size,
	.close = nbd_close_link,
};

int image_open_nbd(struct image *image, const struct nbd_link_setup *setup, int lock_fd)
{
	char medium[MEDIUM_NAME_MAX];
	int copy = lock_fd < 0 ? -1 : dup(lock_fd);
	struct blocks *blocks;
	struct nbd_link *link;

	if (nbd_name_format(&setup->name, medium, sizeof(medium))) {
		statefile_close(&lock_fd);
		statefile_close(&copy);
		return -ENAMETOOLONG;
	}
	blocks = blocks_get(medium, lock_fd);
	link = blocks ? nbd_link_new(setup) : NULL;
	if (!link) {
		blocks_put(blocks);
		statefile_close(&copy);
		return -ENOMEM;
	}
	*image = (struct image){ .ops = &nbd_ops,
				 .fd = -1,
				 .lock_fd = copy,
				 .blocks = blocks,
				 .direct = true,
				 .read_only = setup->read_only,
				 .home = setup->worker,
				 .nbd = link };
	return 0;
}

#else

int image_open_nbd(struct image *image, const struct nbd_link_setup *setup, int lock_fd)
{
	(void)image;
	(void)setup;
	statefile_close(&lock_fd);
	return -EOPNOTSUPP;
}

/* Never called: no link asks for a connection. */
void nbd_link_connected(struct nbd_link *link, int err, const char *why, int fd, bool fenced)
{
	(void)link;
	(void)err;
	(void)why;
	(void)fd;
	(void)fenced;
}

#endif

void image_learn(struct image *image, const struct nbd_facts *facts)
{
	/* A server with larger blocks is asked for parts of a block, and may refuse. */
	image->block = facts->block <= IMAGE_BLOCK_MAX ? facts->block : BLKIF_SECTOR_SIZE;
	image_size(image, &image->bytes);
	/* `sectors` must be a multiple of it (blkif.h) */
	image->physical_block = image->bytes % facts->block ? image->block : facts->block;
	image->fenced = facts->fenced;
	image->discard = facts->trim;
	image->discard_granularity = facts->block;
}
