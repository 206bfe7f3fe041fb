/* SPDX-License-Identifier: MIT */
/*
 * The medium behind a disk. What a ring asks of it goes through one small table, struct image_ops;
 * raw files and block devices, opened directly, are one implementation of it (image.c).
 */
#ifndef PVB_IMAGE_H
#define PVB_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "blkback/aio.h"
#include "blkback/slow.h"

struct image;
struct image_request;

enum image_op { IMAGE_READ, IMAGE_WRITE, IMAGE_FLUSH, IMAGE_DISCARD };

/* `result`: bytes moved by a read or write, else 0; or -errno. */
typedef void (*image_fn)(struct image_request *req, long result);

/* Embedded in whatever waits for it; filled in from `op` to `done` before image_submit(). */
struct image_request {
	struct aio_request aio;   /* first; of files and devices */
	struct slow_request slow; /* likewise */
	enum image_op op;
	bool secure;     /* a discard: only where the image has it */
	void *buf;       /* borrowed until `done` */
	uint64_t bytes;  /* a flush has none */
	uint64_t offset; /* bytes; the range lies inside the medium */
	image_fn done;
	/* the image's */
	const struct image *image; /* borrowed */
	long result;
};

struct image_ops {
	/* Worker thread: begin it, in this pass's batch; `done` follows once, in this turn or later. */
	void (*submit)(struct aio *aio, struct image_request *req);
	/* Control thread: see the functions below. */
	int (*size)(const struct image *image, uint64_t *ret_bytes);
	int (*settle)(const struct image *image);
	void (*close)(struct image *image);
};

struct image {
	const struct image_ops *ops; /* borrowed; NULL when closed */
	int fd;                      /* owned; -1 when there is none */
	uint64_t bytes;
	uint32_t physical_block; /* bytes, for `physical-sector-size` */
	bool direct;             /* O_DIRECT: nothing of it stays in our page cache */
	bool block_device;
	bool read_only;
	bool discard; /* space can be given back */
	bool secure_discard;
	uint32_t discard_granularity; /* bytes */
};

#define IMAGE_CLOSED                                                                               \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Open `path`, raw always (XSA-48). Directly where the medium can take 512-byte requests that
 * way, else through the page cache. 0; -ENOTSUP when it is neither a file nor a block device;
 * else -errno.
 */
int image_open(struct image *image, const char *path, bool read_only);
void image_close(struct image *image);

/* How large the medium is now. 0 with *ret_bytes, or -errno. */
int image_size(const struct image *image, uint64_t *ret_bytes);

/* Worker thread: hand a request to the medium. */
static inline void image_submit(struct aio *aio, const struct image *image,
				struct image_request *req)
{
	req->image = image;
	image->ops->submit(aio, req);
}

/*
 * At the hand-over from QEMU's emulated disk: what it wrote through the page
 * cache goes to the medium, and no stale page stays. 0 or -errno.
 */
int image_settle(const struct image *image);

#endif
