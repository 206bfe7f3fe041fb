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

#include "blkback/bufpool.h"
#include "blkback/kept.h"
#include "blkback/share.h"
#include "worker.h"

struct aio_request;

/* `result`: bytes moved, or -errno. */
typedef void (*aio_fn)(struct aio_request *req, long result);

/* Embedded in whatever waits for it. */
struct aio_request {
	struct iocb iocb; /* first: the kernel hands its address back */
	STAILQ_ENTRY(aio_request) link;
	aio_fn done;
};

/* A queue that found no buffer, or no room in the kernel's context. */
struct aio_waiter {
	TAILQ_ENTRY(aio_waiter) link;
	struct queue *queue; /* borrowed */
	bool waiting;
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
	STAILQ_HEAD(, aio_request) todo;
	TAILQ_HEAD(, aio_waiter) waiters;
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

/* A buffer; NULL puts the waiter on the list that is woken when one comes back. */
void *aio_get_buffer(struct aio *aio, size_t bytes, struct aio_waiter *waiter);
void aio_put_buffer(struct aio *aio, void *buf, size_t bytes);
/* Take a waiter off the list; idempotent. */
void aio_forget_waiter(struct aio *aio, struct aio_waiter *waiter);

#endif
