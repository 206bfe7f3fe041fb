/* SPDX-License-Identifier: MIT */
/*
 * One blkif ring and the requests in flight on it. The control thread fills in
 * the first part before it posts the queue to its worker; from then until the
 * queue was detached everything else belongs to that worker.
 */
#ifndef PVB_VBD_QUEUE_H
#define PVB_VBD_QUEUE_H

#include <stdint.h>
#include <sys/queue.h>

#include "blkback/aio.h"
#include "blkback/blocks.h"
#include "blkback/image.h"
#include "blkback/journal.h"
#include "blkback/kept.h"
#include "blkback/xentop.h"
#include "rate.h"
#include "ring/blkif.h"
#include "ring/ring.h"
#include "trace.h"
#include "worker.h"

#define VBD_MAX_RING_PAGES 16u

struct vbd_queue;

/* A request on its way from take to answer. */
struct vbd_io {
	struct image_request image; /* first */
	STAILQ_ENTRY(vbd_io) link;
	struct vbd_queue *queue;            /* borrowed */
	struct journal_entry *entry;        /* borrowed: the checked request */
	const struct blk_segment *segments; /* the entry's, or in `page`; NULL while not read */
	uint8_t *page;                      /* one page for indirect segments, or NULL */
	uint8_t *buf;                       /* its data, or NULL */
	uint32_t buf_bytes;                 /* what it was asked for */
	struct iovec *vec;                  /* its data as it lies in the guest's pages, or NULL */
	uint32_t nr_vec;                    /* its segments from the first that are held for it */
	uint32_t bytes;                     /* of data to move */
	uint32_t lead, span;      /* where it begins in the blocks of its I/O, and their bytes */
	struct block_claim claim; /* of these, for a write on a medium of large blocks */
	struct loop_task granted; /* the claim */
	bool claimed;
	bool paid;           /* for its place under the disk's limits */
	uint8_t edge;        /* of those blocks that are read before a write: the next one */
	uint32_t first_copy; /* of this pass's batch */
	uint32_t nr_copies;  /* in it; what is kept mapped needs none */
	uint64_t taken_ns;   /* for xentop; 0: not counted */
	uint8_t step;        /* enum vbd_step */
	enum blkif_status status;
};

STAILQ_HEAD(vbd_io_list, vbd_io);

struct vbd_queue_stats {
	uint64_t requests[BLKIF_INDIRECT + 1]; /* by operation; the last counts indirect ones */
	uint64_t bytes_read, bytes_written;
	uint64_t in_place; /* reads and writes without a copy */
	uint64_t faults[BLKIF_NR_FAULTS];
	uint64_t copy_errors, io_errors;
	uint64_t notified, silent; /* publishes with and without a notification */
	uint64_t starved;          /* passes that had to wait for a buffer */
	uint64_t stalls;           /* requests that were held for an admin */
	uint64_t throttled;        /* times that one had to wait for the disk's limits */
};

/* What may change while the rings are attached. */
struct vbd_tuning {
	bool stall;       /* hold what the medium fails; else report it */
	uint64_t poll_ns; /* look for more so long before going to sleep */
};

/* What the control thread tells about the frontend's side. */
struct vbd_queue_setup {
	enum blkif_abi abi;
	uint32_t refs[VBD_MAX_RING_PAGES];
	uint32_t nr_pages;
	uint32_t port;
	bool resume;       /* the ring is live; what the journal holds is replayed */
	uint32_t max_kept; /* pages of the frontend to keep mapped; 0: it agreed to none */
	uint32_t max_kept_by_worker;
	struct vbd_tuning tuning; /* to begin with */
};

struct vbd_queue {
	struct queue queue;
	/* set by the control thread before attach */
	struct worker *worker;     /* borrowed */
	struct loop *control;      /* borrowed */
	const struct image *image; /* borrowed; constant while attached */
	struct rate_pair *rates;   /* borrowed; of all the disk's rings: requests are its packets */
	const char *runtime_dir;   /* borrowed */
	struct xentop_stats *xentop; /* borrowed; NULL: nobody counts */
	bool discard;                /* offered to this frontend */
	struct trace_id id;
	unsigned int trace;
	struct vbd_queue_setup setup;
	/* reports to the control thread, in its loop */
	void *owner; /* borrowed: the disk */
	void (*attached)(struct vbd_queue *q, int err);
	void (*detached)(struct vbd_queue *q);
	void (*broken)(struct vbd_queue *q, int err);
	void (*resized)(struct vbd_queue *q);
	void (*stalled)(struct vbd_queue *q, int err);
	struct loop_task order, report, alarm, size_order, size_report, stall_report;
	_Atomic int stall_err; /* not yet reported; 0 when it is */
	uint64_t new_sectors;
	int result;
	bool keep_journal;

	/* the worker's */
	struct aio *aio; /* borrowed */
	struct aio_waiter waiter;
	struct ring ring;
	struct grant_map map;
	struct worker_port port;
	struct blkif_limits limits;
	struct journal journal;
	struct kept kept;
	bool copies_only;           /* the kernel takes no data from or to what is kept mapped */
	struct loop_tick kept_tick; /* when the frontend agreed to persistent grants */
	struct vbd_io *ios;         /* owned; one per slot */
	struct vbd_io_list idle;
	struct vbd_io_list
		waiting; /* for a buffer, or to be replayed; nothing is taken meanwhile */
	struct vbd_io_list copying;  /* segments or data on the way in */
	struct vbd_io_list ready;    /* got their blocks; the data may be fetched */
	struct vbd_io_list fetched;  /* reads whose data is on the way out */
	struct vbd_io_list giving;   /* of this pass */
	struct vbd_io_list held;     /* until an admin says go; without buffers */
	struct vbd_io_list finished; /* to be answered */
	struct vbd_tuning tuning;
	struct loop_timer throttle; /* armed: the next one may go when it fires */
	uint64_t poll_until;
	bool moved; /* in this pass: a request was taken or answered */
	uint32_t in_flight;
	uint64_t bytes_held; /* of the worker's buffers */
	bool stopping;       /* takes nothing more; ends when nothing is in flight */
	bool failed;         /* impossible ring */
	bool drained;        /* the worker was told */
	bool kick;           /* resumed: the frontend may have missed a notification */
	bool barrier_runs;
	struct vbd_io *barrier; /* waits for all before it; nothing is taken behind it */
	uint32_t nr_replayed;
	struct vbd_queue_stats stats;
};

extern const struct queue_ops vbd_queue_ops;

/* Control thread: hand the queue to its worker; attached() follows. */
void vbd_queue_attach(struct vbd_queue *q);
/*
 * Control thread: let it finish what it took, answer it, and let go; detached() follows. For a
 * queue that is attached.
 */
void vbd_queue_detach(struct vbd_queue *q);

/* Control thread: from now on the medium has so many sectors; resized() follows. */
void vbd_queue_resize(struct vbd_queue *q, uint64_t nr_sectors);

/* Control thread: for a queue that is attached. `retry`: try again what is stalled. */
void vbd_queue_tune(struct vbd_queue *q, const struct vbd_tuning *tuning, bool retry);

/* --- the worker's, shared between its files --- */

/* vbd_queue.c: everything is answered and the queue is to stop. */
void vbd_queue_drained(struct vbd_queue *q);

/*
 * vbd_io.c: bring a request forward: read its segments, find a buffer, copy its data in, start its
 * I/O; as far as it goes now. False when it must wait for a buffer.
 */
bool vbd_io_advance(struct vbd_io *io);
/* The copies of this pass that concern it were made. */
void vbd_io_copied_in(struct vbd_io *io);
/* Add the copies that give a read's data to the guest. */
void vbd_io_give(struct vbd_io *io);
void vbd_io_given(struct vbd_io *io);
void vbd_io_finish(struct vbd_io *io, enum blkif_status status);
/* The medium could not do it: `result` is -errno, or too few bytes. */
void vbd_io_failed(struct vbd_io *io, long result);
/* Give back its memory and its blocks. */
void vbd_io_release(struct vbd_io *io);
/* Begin anew with one that was released. */
void vbd_io_again(struct vbd_io *io);
/* It stays in the journal unanswered, for the next daemon: the queue is stopping. */
void vbd_io_abandon(struct vbd_io *io);
/* Go on with one that vbd_blocks_begin() held back. */
void vbd_io_ready(struct vbd_io *io);

/* vbd_blocks.c: the blocks that a request's data lies in, once `bytes` is known. */
void vbd_blocks_span(struct vbd_io *io);
/* Where they begin on the medium. */
uint64_t vbd_blocks_offset(const struct vbd_io *io);
/*
 * Get hold of the blocks that a write or discard changes, and of what is in those that it changes in
 * part. True when that is done; else the request comes to q->ready when it is.
 */
bool vbd_blocks_begin(struct vbd_io *io);
/* Let others have them. Idempotent. */
void vbd_blocks_end(struct vbd_io *io);

/*
 * vbd_place.c: data that need not be copied. Whether this request's could be; hold the pages and list their
 * pieces in io->vec, which is a page (false: let it be copied); let them go, idempotent.
 */
bool vbd_place_fits(const struct vbd_io *io);
bool vbd_place_hold(struct vbd_io *io);
void vbd_place_end(struct vbd_io *io);

/* vbd_stall.c: hold a request that failed by `err`; what to do with those held when the queue stops. */
void vbd_stall(struct vbd_io *io, int err);
void vbd_stall_stop(struct vbd_queue *q);

/* vbd_pass.c: make a request ready for vbd_io_advance(), from the beginning. */
void vbd_io_prepare(struct vbd_io *io);
/* Start a request that an earlier life had taken. */
void vbd_queue_replay(struct vbd_queue *q, struct vbd_io *io);

#endif
