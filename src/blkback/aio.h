/* SPDX-License-Identifier: MIT */
/*
 * A worker's disk side: one libaio context and one arena of buffers for all its
 * rings, so that one io_submit per pass serves every disk. Worker thread only.
 *
 * No medium may hold up the worker, so what it submits says RWF_NOWAIT. Where the kernel answers that it would have to
 * wait (a full queue, a suspended device, blocks to be allocated, a file system that cannot tell), the ring's own
 * thread submits the request once more, without that word. It comes back to the worker like any other.
 *
 * There are calls of which the kernel does not say that they may wait, and that seldom do: a write to a file whose file system may be
 * frozen, all that goes through the page cache. Those are made by the worker as a loop_call(): when one is held up,
 * another thread is the worker from then on. For some time after that the ring's own thread makes them.
 */
#ifndef PVB_AIO_H
#define PVB_AIO_H

#include <libaio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "blkback/bufshare.h"
#include "blkback/kept.h"
#include "blkback/share.h"
#include "blkback/slots.h"
#include "core/slow.h"
#include "guest/worker.h"

struct aio_request;

/* `result`: bytes moved, or -errno. */
typedef void (*aio_fn)(struct aio_request *req, long result);

/* Embedded in whatever waits for it; filled in up to `given_back` before aio_add(). */
struct aio_request {
	struct iocb iocb;          /* first: a transfer or a flush, from io_prep_*() */
	struct aio_client *client; /* borrowed: whose it is */
	size_t bytes;              /* of a transfer */
	bool may_wait;             /* whatever the kernel is told */
	bool cached; /* it goes through the page cache, and is done when io_submit() returns */
	aio_fn done;
	/* In place of done(), after aio_recall() came too late: the medium has not done it. */
	void (*given_back)(struct aio_request *req);
	/* the rest is private to aio.c */
	STAILQ_ENTRY(aio_request) link;
	struct aio_tries *tries; /* borrowed, of a transfer */
	bool recalled;
	int refused; /* -errno */
};

STAILQ_HEAD(aio_requests, aio_request);

/* What is refused most of the time is not tried: transfers of one direction and about one size. */
struct aio_tries {
	uint8_t refused; /* in a row */
	uint8_t skipped;
};

#define AIO_SIZES 10u
#define AIO_BATCH 16u

/* A loop_call() of a ring, and what it submits. */
struct aio_call {
	struct loop_call loop; /* first */
	bool out, late;        /* not done yet; held up */
	struct iocb *batch[AIO_BATCH];
	unsigned int nr, nr_taken; /* by the kernel */
	int err;                   /* -errno of the one behind those; 0 when it took all */
};

/* A ring, and what it has of what the worker's rings share. */
struct aio_client {
	struct queue *queue; /* borrowed */
	struct bufshare buffers;
	struct slots_share slots;
	struct aio_requests behind; /* those for which it has no slot; what comes back makes room */
	bool waiting; /* for a buffer: one of its own comes back first, and marks the queue */
	void (*idle)(struct aio_client *client); /* its thread has ended; see aio_is_idle() */
	/* the rest is private to aio.c */
	struct aio *aio; /* borrowed */
	struct aio_tries tries[2][AIO_SIZES];
	uint64_t nr_waited; /* requests that its thread submitted, or a call that was held up */
	struct slow *slow;  /* owned: its thread; NULL: it never joined */
	struct slow_request run; /* of the thread, until it finds nothing more to submit */
	bool runs;
	atomic_uint nr_passed_on; /* by the thread: the kernel has the request, and it has not */
	struct loop_timer retry;  /* armed: there could be no thread */
	unsigned int
		nr_hushed; /* that are cached, and are not back: perhaps nobody tells when they are */
	struct loop_timer look; /* armed while there may be some */
	uint64_t look_ns;
	struct aio_requests to_try; /* those that may wait, for the worker's call */
	struct aio_call call;
	uint64_t wary_until_ns; /* of such calls: one was held up */
	pthread_mutex_t lock;
	struct aio_requests to_wait; /* locked: for the thread to submit */
	struct aio_requests refused; /* locked: what it could not */
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
	unsigned int nr_places;    /* of ctx */
	unsigned int nr_in_kernel; /* of these */
};

/* What worker_open() takes for PLANE_BLK; its context is a struct aio. */
extern const struct plane blk_plane;

/* Queue a request for the submit of this pass. `done` runs in a later turn or this one. */
void aio_add(struct aio *aio, struct aio_request *req);

/*
 * Take back what the kernel does not have yet: true, and neither `done` nor `given_back` follows. Else one of them
 * does.
 */
bool aio_recall(struct aio *aio, struct aio_request *req);

/* A ring comes. 0 or -ENOMEM. */
int aio_join(struct aio *aio, struct aio_client *client, struct queue *queue,
	     void (*idle)(struct aio_client *client));
/* Whether nothing is out; else, when all requests are back, idle() is called if that changes. */
bool aio_is_idle(const struct aio_client *client);
/* It goes, and is idle. Idempotent; fine for one that is zero. */
void aio_leave(struct aio *aio, struct aio_client *client);

/* A buffer; NULL when the queue has to wait, and is marked when it is worth another try. */
void *aio_get_buffer(struct aio_client *client, size_t bytes);
void aio_put_buffer(struct aio_client *client, void *buf, size_t bytes);

#endif
