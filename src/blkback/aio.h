/* SPDX-License-Identifier: MIT */
/*
 * A worker's disk side: one libaio context and one arena of buffers for all its
 * rings, so that one io_submit per pass serves every disk. Worker thread only.
 *
 * Where it can be, a transfer between a block device and a buffer goes by an io_uring (uring.h), all others by libaio.
 *
 * No medium may block the worker, so it submits with RWF_NOWAIT. If the kernel refuses because it would have to wait (a
 * full queue, a suspended device, blocks to be allocated, a file system without RWF_NOWAIT), the ring's own thread submits
 * the request again without that flag. It completes on the worker like any other.
 *
 * There are calls for which RWF_NOWAIT does not help, and which seldom block: a write to a file whose file system may be
 * frozen, and everything that goes through the page cache. The worker makes these as a loop_call(): when one blocks, another
 * thread becomes the worker. For some time after that the ring's own thread makes them. The io_uring completes requests only
 * on the thread that submitted them, so it gets none while any ring of the worker makes such calls.
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
#include "blkback/uring.h"
#include "core/slow.h"
#include "guest/worker.h"

struct aio_request;

/* `result`: bytes moved, or -errno. */
typedef void (*aio_fn)(struct aio_request *req, long result);

/* Embedded in the struct that waits for it. The members up to `given_back` are filled in before aio_add(). */
struct aio_request {
	struct iocb iocb;          /* first: a transfer or a flush, from io_prep_*() */
	struct aio_client *client; /* borrowed: whose it is */
	size_t bytes;              /* of a transfer */
	bool may_wait;             /* may block in spite of RWF_NOWAIT */
	bool cached; /* it goes through the page cache, and is done when io_submit() returns */
	aio_fn done;
	/* Called in place of done() when aio_recall() was too late but the medium has not done the request. */
	void (*given_back)(struct aio_request *req);
	/* the rest is private to aio.c */
	STAILQ_ENTRY(aio_request) link;
	struct aio_tries *tries; /* borrowed, of a transfer */
	bool recalled;
	int refused; /* -errno */
};

STAILQ_HEAD(aio_requests, aio_request);

/* Counts refusals, for transfers of one direction and about one size. If most are refused, RWF_NOWAIT is not tried. */
struct aio_tries {
	uint8_t refused; /* in a row */
	uint8_t skipped;
};

#define AIO_SIZES 10u
#define AIO_BATCH 16u

/* A loop_call() of a ring, and what it submits. */
struct aio_call {
	struct loop_call loop; /* first */
	bool out, late;        /* not completed yet; held up */
	struct iocb *batch[AIO_BATCH];
	unsigned int nr, nr_taken; /* by the kernel */
	int err;                   /* -errno for the next one; 0: the kernel took all */
};

/* A ring, with its part of what the worker's rings share. */
struct aio_client {
	struct queue *queue; /* borrowed */
	struct bufshare buffers;
	struct slots_share slots;
	struct aio_requests behind; /* requests for which it has no slot; completions make room */
	bool waiting;               /* for a buffer: when it returns one, the queue is marked */
	void (*idle)(struct aio_client *client); /* its thread has ended; see aio_is_idle() */
	/* the rest is private to aio.c */
	struct aio *aio; /* borrowed */
	int file;        /* of the io_uring; or URING_NO_FILE */
	bool calls;      /* it makes calls that may block */
	struct aio_tries tries[2][AIO_SIZES];
	uint64_t nr_waited;      /* requests that its thread or a held-up call submitted */
	uint64_t nr_by_uring;    /* requests that the io_uring did */
	struct slow *slow;       /* owned: its thread; NULL: it never joined */
	struct slow_request run; /* of the thread, as long as there are requests to submit */
	bool runs;
	atomic_uint nr_passed_on; /* by the thread to the kernel */
	struct loop_timer retry;  /* armed: no thread could be started */
	unsigned int
		nr_hushed; /* cached requests that are not complete: the kernel may send no event for them */
	struct loop_timer look; /* armed while there may be some */
	uint64_t look_ns;
	struct aio_requests to_try; /* for the worker's next call */
	struct aio_call call;
	uint64_t wary_until_ns; /* until then no such calls: one was held up */
	pthread_mutex_t lock;
	struct aio_requests to_wait; /* locked: for the thread to submit */
	struct aio_requests refused; /* locked: requests that it could not submit */
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
	struct uring *uring;       /* owned; NULL: there is none */
	struct loop_watch *uring_watch;
	struct loop_timer uring_again; /* armed: the kernel did not take all */
	struct aio_requests for_uring;
	unsigned int nr_in_uring;
	unsigned int nr_callers; /* clients that make calls */
};

/* What worker_open() takes for PLANE_BLK; its context is a struct aio. */
extern const struct plane blk_plane;

/* Queue a request for the submit of this pass. `done` runs in a later turn or this one. */
void aio_add(struct aio *aio, struct aio_request *req);

/*
 * Take a request back that the kernel does not have yet: true, and neither `done` nor `given_back` follows. Else one of
 * them follows.
 */
bool aio_recall(struct aio *aio, struct aio_request *req);

/* A ring joins the worker. 0 or -ENOMEM. */
int aio_join(struct aio *aio, struct aio_client *client, struct queue *queue,
	     void (*idle)(struct aio_client *client));
/*
 * Whether it has no slot, thread or call any more. If all its requests are complete and it is not idle, idle() is
 * called later.
 */
bool aio_is_idle(const struct aio_client *client);
/* The ring leaves the worker; it must be idle. Idempotent; a zeroed client is fine. */
void aio_leave(struct aio *aio, struct aio_client *client);

/*
 * After aio_join(), what the ring's requests go to. For a block device that is open with O_DIRECT: they may go by the
 * io_uring. `lock_fd`: as for uring_add_file().
 */
void aio_use_device(struct aio_client *client, int fd, int lock_fd);
/* For anything for which aio_request.may_wait or `cached` may be true. */
void aio_will_call(struct aio_client *client);

/* Get a buffer. NULL: the queue must wait, and is marked when it should try again. */
void *aio_get_buffer(struct aio_client *client, size_t bytes);
void aio_put_buffer(struct aio_client *client, void *buf, size_t bytes);

#endif
