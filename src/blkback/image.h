/* SPDX-License-Identifier: MIT */
/*
 * The medium behind a disk. A ring uses it only through the table struct image_ops. image.c implements that for raw
 * files and block devices, image_nbd.c for NBD exports.
 */
#ifndef PVB_IMAGE_H
#define PVB_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "blkback/aio.h"
#include "blkback/blocks.h"
#include "core/messages.h"
#include "core/slow.h"
#include "guest/grant.h"
#include "ring/blkif.h"

#define IMAGE_BLOCK_MAX 4096u

/* The most that one request reads or writes: all segments of a ring's request, widened to whole blocks. */
#define IMAGE_BYTES_MAX (BLKIF_INDIRECT_SEGMENTS * GRANT_PAGE_SIZE + IMAGE_BLOCK_MAX)

struct image;
struct image_request;
struct nbd_conn;
struct nbd_facts;
struct nbd_link;
struct nbd_link_setup;

enum image_op { IMAGE_READ, IMAGE_WRITE, IMAGE_FLUSH, IMAGE_DISCARD };

/* `result`: bytes moved by a read or write, else 0; or any -errno of the medium's. */
typedef void (*image_fn)(struct image_request *req, long result);

/*
 * Embedded in the struct that waits for it. The members from `op` to `given_back` are filled in before image_submit().
 */
struct image_request {
	struct aio_request aio;   /* first; of files and devices */
	struct slow_request slow; /* of discards on files and devices */
	enum image_op op;
	bool secure;             /* a discard: only if the image supports it */
	bool durable;            /* a write: on the medium before `done`, as if flushed (FUA) */
	void *buf;               /* borrowed until `done` */
	const struct iovec *vec; /* borrowed: used in place of `buf`; see takes_pieces */
	uint32_t nr_vec;
	uint64_t bytes;  /* 0 for a flush */
	uint64_t offset; /* bytes; the range lies inside the medium */
	image_fn done;
	/* Called in place of done(): the medium has not done the request, and does not have it any more. */
	void (*given_back)(struct image_request *req);
	/* private to the image */
	const struct image *image; /* borrowed */
	bool recalled;
	long result;
	struct {
		TAILQ_ENTRY(image_request) link;
		struct nbd_conn *conn;    /* borrowed */
		uint64_t cookie;          /* libnbd's number of the command */
		uint64_t progress, chunk; /* of a discard that takes several commands */
		uint64_t mark;            /* the writes that a flush covers; see nbd_keep.h */
		uint32_t since, sent_at;  /* submitted; last sent: seconds of the link */
		int error;
		bool flushing; /* the write is done; a flush of it is under way */
		bool held;     /* waits for the server */
	} nbd;
};

struct image_ops {
	/*
	 * Worker thread: begin the request, in this pass's batch. done() or given_back() follows, in this turn or
	 * later.
	 */
	void (*submit)(struct aio *aio, struct image_request *req);
	/* Worker thread: see image_join(). May be NULL. */
	void (*join)(const struct image *image, struct aio_client *client);
	/* Worker thread: see image_start(). May be NULL. */
	void (*start)(const struct image *image);
	/*
	 * Worker thread: the rings stop. From now on, requests that cannot be served are given back. `suspend`: keep
	 * what the next daemon needs. May be NULL.
	 */
	void (*stop)(const struct image *image, bool suspend);
	/* Worker thread: see image_recall(). Not called again for a recalled request. */
	void (*recall)(struct aio *aio, struct image_request *req);
	/* Worker thread: see image_halt(). May be NULL, if the image sends only what is submitted. */
	void (*halt)(const struct image *image, bool halted);
	/* Worker thread: whether requests would only wait. May be NULL: never. */
	bool (*away)(const struct image *image);
	bool takes_pieces; /* takes `vec`; each piece is aligned to the image's block, in memory, too */
	/* See the functions below. */
	int (*size)(const struct image *image, uint64_t *ret_bytes);
	void (*close)(struct image *image);
};

struct image {
	const struct image_ops *ops; /* borrowed; NULL when closed */
	int fd;                      /* owned; -1 when there is none */
	int lock_fd;                 /* owned; of the medium's lock file, -1 when there is none */
	uint64_t bytes;
	uint32_t block;          /* bytes: requests and the medium's size are multiples of it */
	struct blocks *blocks;   /* owned: a share in the medium's blocks */
	uint32_t physical_block; /* bytes, for `physical-sector-size`; the same or more */
	bool direct;             /* O_DIRECT: nothing of it stays in our page cache */
	bool block_device;
	bool size_at_hand; /* the kernel knows its size without asking the medium */
	bool read_only;
	bool discard; /* space can be given back by discards */
	bool secure_discard;
	uint32_t discard_granularity; /* bytes */
	bool fenced;                  /* no request of an earlier process can still be executed */
	struct slow *slow;            /* borrowed: the disk's thread, for discards */
	struct worker *home;          /* borrowed: all rings must be on it; NULL: any worker */
	struct nbd_link *nbd;         /* owned */
};

#define IMAGE_CLOSED                                                                               \
	{                                                                                          \
		.fd = -1, .lock_fd = -1                                                            \
	}

/*
 * Functions that measure or close an image wait for the medium, which may never answer. Call them in a thread that
 * serves nobody else (slow.h).
 */

/*
 * Use what image_open() has opened and found. The image owns the descriptors, also after a failure: -ENOMEM. `lock_fd`:
 * as for blocks_get().
 */
int image_use(struct image *image, int fd, int lock_fd, const struct message_image *what);
/* The image's facts, as image_use() takes them. */
struct message_image image_facts(const struct image *image);
/*
 * Begin to connect to an NBD export. setup->opened() follows. If that reports success, image_learn() makes the image
 * complete. 0; -EOPNOTSUPP without libnbd; -ENOMEM. `lock_fd`: as for blocks_get(), also after a failure.
 */
int image_open_nbd(struct image *image, const struct nbd_link_setup *setup, int lock_fd);
void image_learn(struct image *image, const struct nbd_facts *facts);

void image_close(struct image *image);

/* How large the medium is now, in whole blocks of the image. 0 with *ret_bytes, or -errno. */
int image_size(const struct image *image, uint64_t *ret_bytes);

/* Worker thread: hand a request to the medium. */
static inline void image_submit(struct aio *aio, const struct image *image,
				struct image_request *req)
{
	req->image = image;
	req->recalled = false;
	image->ops->submit(aio, req);
}

/* Worker thread: take back a request. It is given back if the medium has not begun it, or ends without doing it. */
static inline void image_recall(struct aio *aio, struct image_request *req)
{
	if (!req->recalled)
		req->image->ops->recall(aio, req);
	req->recalled = true;
}

/*
 * Worker thread: the domain does not run, or runs again. While it does not run, nothing goes to the medium that an
 * earlier process or connection left to be repeated.
 */
static inline void image_halt(const struct image *image, bool halted)
{
	if (image->ops->halt)
		image->ops->halt(image, halted);
}

/* Worker thread: the image's requests of this ring will come by `client`, which has joined the worker. */
static inline void image_join(const struct image *image, struct aio_client *client)
{
	if (image->ops->join)
		image->ops->join(image, client);
}

/* Worker thread: a ring starts. An earlier one may have stopped. */
static inline void image_start(const struct image *image)
{
	if (image->ops->start)
		image->ops->start(image);
}

static inline void image_stop(const struct image *image, bool suspend)
{
	if (image->ops->stop)
		image->ops->stop(image, suspend);
}

static inline bool image_is_away(const struct image *image)
{
	return image->ops->away && image->ops->away(image);
}

#endif
