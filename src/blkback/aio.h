/* SPDX-License-Identifier: MIT */
/*
 * A worker's disk side: one libaio context and one arena of buffers for all its
 * rings, so that one io_submit per pass serves every disk. Worker thread only.
 */
#ifndef PVB_AIO_H
#define PVB_AIO_H

#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "blkback/bufshare.h"
#include "blkback/kept.h"
#include "blkback/share.h"
#include "blkback/slots.h"
#include "guest/worker.h"

struct aio_request;

/* `result`: bytes moved, or -errno. */
typedef void (*aio_fn)(struct aio_request *req, long result);

/* Embedded in whatever waits for it. */
struct aio_request {
	struct iocb iocb;          /* first: the kernel hands its address back */
	struct aio_client *client; /* borrowed: whose it is; set once */
	STAILQ_ENTRY(aio_request) link;
	aio_fn done;
};

STAILQ_HEAD(aio_requests, aio_request);

/* A ring, and what it has of what the worker's rings share. */
struct aio_client {
	struct queue *queue; /* borrowed */
	struct bufshare buffers;
	struct slots_share slots;
	struct aio_requests behind; /* those for which it has no slot; what comes back makes room */
	bool waiting; /* for a buffer: one of its own comes back first, and marks the queue */
};

struct aio {
	struct bufpool *buffers; /* owned */
	struct kept_budget kept;
	struct share share;
	struct worker *worker; /* borrowed */
	/* the rest is private to aio.c */
	io_context_t ctx;
	int event_fd;
	struct loop_watch *watch;
	struct slots slots;
	struct aio_requests todo;
	unsigned int nr_in_kernel;
	uint64_t nr_submits, nr_requests;
};

/* What worker_open() takes for PLANE_BLK; its context is a struct aio. */
extern const struct plane blk_plane;

/* Queue a transfer or a flush for the submit of this pass. `done` runs in a later turn or this one. */
void aio_read(struct aio *aio, struct aio_request *req, int fd, void *buf, size_t bytes,
	      uint64_t offset, aio_fn done);
void aio_write(struct aio *aio, struct aio_request *req, int fd, void *buf, size_t bytes,
	       uint64_t offset, aio_fn done);
/* The same from or into several pieces, which stay the caller's until `done`. */
void aio_readv(struct aio *aio, struct aio_request *req, int fd, const struct iovec *vec,
	       uint32_t nr_vec, uint64_t offset, aio_fn done);
void aio_writev(struct aio *aio, struct aio_request *req, int fd, const struct iovec *vec,
		uint32_t nr_vec, uint64_t offset, aio_fn done);
void aio_flush(struct aio *aio, struct aio_request *req, int fd, aio_fn done);

/* Take back what the kernel does not have yet: true, and `done` does not follow. */
bool aio_recall(struct aio *aio, struct aio_request *req);

/* A ring comes. 0 or -ENOMEM. */
int aio_join(struct aio *aio, struct aio_client *client, struct queue *queue);
/* It goes, and has nothing out. Idempotent; fine for one that is zero. */
void aio_leave(struct aio *aio, struct aio_client *client);

/* A buffer; NULL when the queue has to wait, and is marked when it is worth another try. */
void *aio_get_buffer(struct aio_client *client, size_t bytes);
void aio_put_buffer(struct aio_client *client, void *buf, size_t bytes);

#endif
