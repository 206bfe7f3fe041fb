/* SPDX-License-Identifier: MIT */
/*
 * One blkif ring and the requests in flight on it. The disk (disk.h) fills in the first part, and starts the ring with
 * its others. From then until the ring has stopped, everything else belongs to its worker.
 */
#ifndef PVB_VBD_QUEUE_H
#define PVB_VBD_QUEUE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>

#include "blkback/aio.h"
#include "blkback/blocks.h"
#include "blkback/image.h"
#include "blkback/journal.h"
#include "blkback/kept.h"
#include "blkback/vbd_stats.h"
#include "core/messages.h"
#include "core/trace.h"
#include "guest/ringset.h"
#include "ring/blkif.h"
#include "ring/ring.h"

struct disk;
struct vbd_queue;

/*
 * The states of a request on its way. Each state has one list in the queue, and vbd_io_move() takes a request from
 * one to another.
 *
 *            .- barrier --> TURN --.
 *            |                     v
 *   IDLE ----+-------------> WAITING <-> COPYING ----> SUBMITTED -> FETCHED -> GIVING -.
 *    ^       |                     |       ^             ^ |  |                        |
 *    |       |                     v       |             | |  '-> HELD -> WAITING      |
 *    |       |              CLAIMING -> READY -----------' v                           |
 *    |       '- a bad request ---------------------------> FINISHED <------------------'
 *    |                                                       |
 *    '-------------------------------------------------------'
 *
 * A request skips states that it does not need: a read has no data to copy in, and only a write or discard on a
 * medium of large blocks claims them. SUBMITTED goes back to WAITING when a request is to be tried in another way. A
 * request that cannot continue becomes FINISHED with an error.
 *
 * A request that the medium or a pass has comes back by itself, and then its ring is looked at again. A request in
 * TURN, WAITING, CLAIMING or HELD first needs something else (an answer, a buffer, a timer, an admin), which wakes it,
 * perhaps never. No ring sleeps because of such a request.
 *
 * While the queue is halted (worker.h) no request is SUBMITTED: one that gets that far starts anew, without buffers
 * and blocks, and waits. If the queue ends meanwhile, it ends without these requests: they are in the journal, if that
 * is kept.
 */
enum vbd_state {
	VBD_IDLE, /* no request, or one that is left to the journal */
	VBD_TURN, /* a barrier waits for all before it */
	VBD_WAITING, /* for a buffer, for the disk's limits, or for its turn; no request is taken meanwhile */
	VBD_COPYING, /* segments or data are on the way in, in this pass */
	VBD_CLAIMING, /* waits for blocks that another request has claimed, here or in another process */
	VBD_READY,     /* its blocks are claimed: its data may be copied */
	VBD_SUBMITTED, /* the medium has it */
	VBD_FETCHED,   /* the medium has read it */
	VBD_GIVING,    /* its data is on the way out, in this pass */
	VBD_HELD,      /* the medium failed it; waits for an admin's `retry` */
	VBD_FINISHED,  /* to be answered */
	VBD_NR_STATES
};

/* A request on its way from take to answer. */
struct vbd_io {
	struct image_request image;     /* first */
	TAILQ_ENTRY(vbd_io) link;       /* of its state's list */
	TAILQ_ENTRY(vbd_io) timed_link; /* while its times are taken */
	enum vbd_state state;
	struct vbd_queue *queue;            /* borrowed */
	struct journal_entry *entry;        /* borrowed: the checked request */
	const struct blk_segment *segments; /* the entry's, or in `page`; NULL while not read */
	uint8_t *page;                      /* borrowed: its own, for indirect segments */
	struct iovec *vec_page;             /* borrowed: likewise, for `vec` */
	uint8_t *buf;                       /* its data's buffer, or NULL */
	uint32_t buf_bytes;                 /* the size that was asked for */
	struct iovec *vec;        /* the pieces of its data in the guest's pages, or NULL */
	uint32_t nr_vec;          /* of its segments, the first `nr_vec` are held */
	uint32_t bytes;           /* of data to move */
	uint32_t lead, span;      /* offset of the data in the blocks of its I/O; their bytes */
	struct block_claim claim; /* of these blocks, for a write on a medium of large blocks */
	struct loop_task granted; /* the claim */
	struct loop_timer lock;   /* armed while another process has its blocks */
	uint64_t lock_wait_ns;    /* between two tries */
	bool claimed;
	bool paid;           /* it was counted against the disk's limits */
	uint8_t edge;        /* which of the blocks at the edges is read next, before a write */
	uint32_t first_copy; /* of this pass's batch */
	uint32_t nr_copies;  /* in the batch; pages that are kept mapped need no copy */
	uint8_t step;        /* enum vbd_step */
	struct vbd_times times;
	enum blkif_status status;
};

struct vbd_io_list {
	TAILQ_HEAD(, vbd_io) ios;
	uint32_t nr;
};

struct vbd_queue {
	struct ring_part part; /* first */
	/* set before the ring starts */
	struct disk *disk;                      /* borrowed */
	struct vbd_stats *stats;                /* borrowed; only the worker writes to it */
	const struct message_disk_ring *shared; /* borrowed: the frontend's references and port */
	struct trace_id id;
	atomic_uint trace; /* the guest's loop changes it */
	enum blkif_abi abi;
	int journal_fd; /* owned, until it is mapped */
	bool lingers;   /* at home: the ring is closed, and disk_ring_gone() follows */

	/* the worker's members */
	struct aio *aio; /* borrowed */
	struct aio_client client;
	struct ring ring;
	struct grant_map map;
	struct worker_port port;
	struct blkif_limits limits;
	struct journal journal;
	struct kept kept;
	bool copies_only;           /* the medium cannot use pages that are kept mapped */
	struct loop_tick kept_tick; /* if the frontend agreed to persistent grants */
	struct vbd_io *ios;         /* owned; one per slot */
	uint8_t *pages; /* owned; two per slot, using memory only when they are needed */
	struct vbd_io_list in[VBD_NR_STATES];
	TAILQ_HEAD(, vbd_io) timed; /* requests whose times are taken, the oldest first */
	struct message_disk_tuning tuning;
	uint32_t
		unbound; /* requests to pass unthrottled and not held, so that the guest can close */
	struct loop_timer throttle; /* armed: the next request may go when it fires */
	uint64_t poll_until;
	bool moved;       /* in this pass: a request was taken or answered */
	bool flow_asked;  /* the disk is told when all requests before flow_mark are back */
	uint32_t flow_nr; /* the last question of the disk that it has seen */
	uint32_t flow_mark;
	bool stopping;              /* takes no more requests; ends when none is in flight */
	struct loop_timer patience; /* armed: time for the medium to give back its requests */
	bool abandoned; /* completions are dropped, and the ring is closed as soon as possible */
	bool closed;    /* what is left is freed when the medium has given back all requests */
	bool ending;    /* that freeing has begun */
	struct loop_task end_task;
	bool failed;            /* impossible ring */
	bool kick;              /* resumed: the frontend may have missed a notification */
	struct vbd_io *barrier; /* no request is taken behind it */
	uint32_t nr_replayed;
};

extern const struct queue_ops vbd_queue_ops;

/*
 * How the disk starts and stops the ring (ringset.h). A ring that stops finishes and answers the requests that it took.
 * If its domain is halted, or the ring is kept for a later process, it only waits for the requests that the medium has,
 * and leaves the others undone.
 */
extern const struct ring_ops vbd_ring_ops;

/* --- the worker's functions, shared by its files --- */

/* vbd_queue.c: a request of an abandoned queue is back: continue its end. */
void vbd_queue_settle(struct vbd_queue *q);

/* vbd_queue.c: a request may be back for which the disk's flow question waits. */
void vbd_queue_look_at_flow(struct vbd_queue *q);

static inline struct vbd_io *vbd_queue_first(const struct vbd_queue *q, enum vbd_state state)
{
	return TAILQ_FIRST(&q->in[state].ios);
}

/* Requests that were taken and not answered. */
static inline uint32_t vbd_queue_in_flight(const struct vbd_queue *q)
{
	return q->ring.nr_slots - q->in[VBD_IDLE].nr;
}

/* Those of them that come back without somebody else's help. */
static inline uint32_t vbd_queue_under_way(const struct vbd_queue *q)
{
	return vbd_queue_in_flight(q) - q->in[VBD_TURN].nr - q->in[VBD_WAITING].nr -
	       q->in[VBD_CLAIMING].nr - q->in[VBD_HELD].nr;
}

/* vbd_io.c: move a request to the end of another state's list. */
void vbd_io_move(struct vbd_io *io, enum vbd_state state);
/*
 * Advance a request that is WAITING or at its TURN as far as possible: read its segments, find a buffer, copy its data
 * in, start its I/O. False when it must wait where it is.
 */
bool vbd_io_advance(struct vbd_io *io);
/*
 * Hand the request to the medium; `done` follows. If the ring is halted or the request is given back, it moves to the
 * right state instead.
 */
void vbd_io_submit(struct vbd_io *io, enum image_op op, image_fn done);
/* The copies of this request in this pass were made. */
void vbd_io_copied_in(struct vbd_io *io);
/* Add the copies that give a read's data to the guest. And they were made. */
void vbd_io_give(struct vbd_io *io);
void vbd_io_given(struct vbd_io *io);
void vbd_io_finish(struct vbd_io *io, enum blkif_status status);
/* The medium could not do it: `result` is -errno, or too few bytes. The request is held or answered. */
void vbd_io_failed(struct vbd_io *io, long result);
/* The request is answered with an error: it is not held, or not any longer. */
void vbd_io_answer_failed(struct vbd_io *io, int err);
/* Give back its memory and its blocks. */
void vbd_io_release(struct vbd_io *io);
/* Give them back, and start the request anew. */
void vbd_io_again(struct vbd_io *io);
/*
 * The medium is done with the request, or it has got its blocks: each such callback calls this first. False: there is
 * nothing more to do, as the queue is abandoned.
 */
bool vbd_io_came_back(struct vbd_io *io);
/* Leave it unanswered: the queue is stopping. The next daemon, if any, finds it in the journal. */
void vbd_io_abandon(struct vbd_io *io);
/* Continue a request that vbd_blocks_begin() held back. */
void vbd_io_ready(struct vbd_io *io);

/* vbd_blocks.c: find the blocks in which a request's data lies, once `bytes` is known. */
void vbd_blocks_span(struct vbd_io *io);
/* Where these blocks begin on the medium. */
uint64_t vbd_blocks_offset(const struct vbd_io *io);
/*
 * Claim the blocks that a write or discard changes, and read those that it changes in part. True when that is done;
 * else the request will be READY when it is.
 */
bool vbd_blocks_begin(struct vbd_io *io);
/* Give up the blocks. Idempotent. */
void vbd_blocks_end(struct vbd_io *io);

/*
 * vbd_place.c: transfers without a copy. Whether this request's data could be moved so; hold the pages and list their
 * pieces in io->vec (false: it must be copied); let the pages go, idempotent.
 */
bool vbd_place_fits(const struct vbd_io *io);
bool vbd_place_hold(struct vbd_io *io);
void vbd_place_end(struct vbd_io *io);

/* vbd_stall.c: a flush or barrier will be answered with an error; and whether this request fails because of that. */
void vbd_flush_failed(struct vbd_io *io, int err);
bool vbd_is_refused(const struct vbd_io *io);
/* vbd_stall.c: hold a request that failed with `err`; answer the held requests, as the queue stops. */
void vbd_stall(struct vbd_io *io, int err);
void vbd_stall_stop(struct vbd_queue *q);
/* vbd_stall.c: take over new settings. */
void vbd_queue_tune(struct vbd_queue *q, const struct message_disk_tuning *tuning);

/* vbd_pass.c: prepare a request for vbd_io_advance(), from its beginning. */
void vbd_io_prepare(struct vbd_io *io);
/* Start a request that an earlier process had taken. */
void vbd_queue_replay(struct vbd_queue *q, struct vbd_io *io);

#endif
