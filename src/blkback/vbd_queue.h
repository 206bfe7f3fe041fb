/* SPDX-License-Identifier: MIT */
/*
 * One blkif ring and the requests in flight on it. The disk (disk.h) fills in the first part and starts it with its
 * others; from then until it has stopped everything else belongs to its worker.
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
 * Where a request is on its way. Each state has one list in the queue, and vbd_io_move() takes a request from
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
 * A state that is not needed is passed over: a read is not copied in, only a write or discard on a medium of
 * large blocks claims them. SUBMITTED goes back to WAITING when a request is to be tried in another way, and
 * whatever cannot go on FINISHES with an error.
 *
 * A request that the medium or a pass has comes back to us by itself, and then its ring is looked at again.
 * One at its TURN, WAITING, CLAIMING or HELD needs somebody else first: each is woken by what it waits for (an
 * answer, a buffer, a timer, an admin), and that may take for ever. No ring sleeps because of such a one.
 *
 * While the queue is halted (worker.h) nothing is SUBMITTED: whatever comes so far begins anew, without buffers
 * and blocks, and waits. If the queue ends meanwhile it ends without those: they are in the journal, if that is
 * kept.
 */
enum vbd_state {
	VBD_IDLE, /* no request, or one that is left to the journal */
	VBD_TURN, /* a barrier waits for all before it */
	VBD_WAITING, /* for a buffer, for the disk's limits, or for its turn; nothing is taken meanwhile */
	VBD_COPYING,   /* segments or data are on the way in, in this pass */
	VBD_CLAIMING,  /* waits for blocks that another request has, here or in another process */
	VBD_READY,     /* has them: its data may be copied */
	VBD_SUBMITTED, /* the medium has it */
	VBD_FETCHED,   /* was read */
	VBD_GIVING,    /* its data is on the way out, in this pass */
	VBD_HELD,      /* the medium failed it; until an admin says go */
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
	uint8_t *buf;                       /* its data, or NULL */
	uint32_t buf_bytes;                 /* what it was asked for */
	struct iovec *vec;                  /* its data as it lies in the guest's pages, or NULL */
	uint32_t nr_vec;                    /* its segments from the first that are held for it */
	uint32_t bytes;                     /* of data to move */
	uint32_t lead, span;      /* where it begins in the blocks of its I/O, and their bytes */
	struct block_claim claim; /* of these, for a write on a medium of large blocks */
	struct loop_task granted; /* the claim */
	struct loop_timer lock;   /* armed while other processes have its blocks */
	uint64_t lock_wait_ns;    /* between two tries */
	bool claimed;
	bool paid;           /* for its place under the disk's limits */
	uint8_t edge;        /* of those blocks that are read before a write: the next one */
	uint32_t first_copy; /* of this pass's batch */
	uint32_t nr_copies;  /* in it; what is kept mapped needs none */
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
	/* set before it starts */
	struct disk *disk;                      /* borrowed */
	struct vbd_stats *stats;                /* borrowed; only the worker writes in it */
	const struct message_disk_ring *shared; /* borrowed: what the frontend says of it */
	struct trace_id id;
	atomic_uint trace; /* the guest's loop changes it */
	enum blkif_abi abi;
	int journal_fd; /* owned, until it is mapped */
	bool lingers;   /* at home: the ring is let go of, and disk_ring_gone() follows */

	/* the worker's */
	struct aio *aio; /* borrowed */
	struct aio_client client;
	struct ring ring;
	struct grant_map map;
	struct worker_port port;
	struct blkif_limits limits;
	struct journal journal;
	struct kept kept;
	bool copies_only;           /* what is kept mapped is no place for the medium's data */
	struct loop_tick kept_tick; /* when the frontend agreed to persistent grants */
	struct vbd_io *ios;         /* owned; one per slot */
	uint8_t *pages;             /* owned; two per slot, memory only once they are used */
	struct vbd_io_list in[VBD_NR_STATES];
	TAILQ_HEAD(, vbd_io) timed; /* those whose times are taken, the oldest first */
	struct message_disk_tuning tuning;
	uint32_t
		unbound; /* requests that are neither throttled nor held, lest the guest cannot close */
	struct loop_timer throttle; /* armed: the next one may go when it fires */
	uint64_t poll_until;
	bool moved;       /* in this pass: a request was taken or answered */
	bool flow_asked;  /* the disk is told when all that was taken before flow_mark is back */
	uint32_t flow_nr; /* the last question of the disk's that it has seen */
	uint32_t flow_mark;
	bool stopping;              /* takes nothing more; ends when nothing is in flight */
	struct loop_timer patience; /* armed: the medium may still give back what it has */
	bool abandoned; /* whatever comes back is dropped, and the ring is let go of as soon as that can be */
	bool closed; /* it has been; what is left is freed when the medium has given back all */
	bool ending; /* and that has begun */
	struct loop_task end_task;
	bool failed;            /* impossible ring */
	bool kick;              /* resumed: the frontend may have missed a notification */
	struct vbd_io *barrier; /* nothing is taken behind it */
	uint32_t nr_replayed;
};

extern const struct queue_ops vbd_queue_ops;

/*
 * How the disk starts and stops it (ringset.h). Stopping it finishes what it took and answers it. One whose domain is
 * halted, or that is kept for a later life, only waits for what the medium has, and leaves the rest undone.
 */
extern const struct ring_ops vbd_ring_ops;

/* --- the worker's, shared between its files --- */

/* vbd_queue.c: for an abandoned queue, when a request is back: go on with its end. */
void vbd_queue_settle(struct vbd_queue *q);

/* vbd_queue.c: a request that the disk's question for the flow waits for may be back. */
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

/* Those of them that come back to us by themselves. */
static inline uint32_t vbd_queue_under_way(const struct vbd_queue *q)
{
	return vbd_queue_in_flight(q) - q->in[VBD_TURN].nr - q->in[VBD_WAITING].nr -
	       q->in[VBD_CLAIMING].nr - q->in[VBD_HELD].nr;
}

/* vbd_io.c: to the end of another state's list. */
void vbd_io_move(struct vbd_io *io, enum vbd_state state);
/*
 * Bring a request that is WAITING, or at its TURN, forward: read its segments, find a buffer, copy its data in,
 * start its I/O; as far as it goes now. False when it must wait where it is.
 */
bool vbd_io_advance(struct vbd_io *io);
/* Hand it to the medium; `done` follows. Unless it is halted, or given back: then it goes where it belongs. */
void vbd_io_submit(struct vbd_io *io, enum image_op op, image_fn done);
/* The copies of this pass that concern it were made. */
void vbd_io_copied_in(struct vbd_io *io);
/* Add the copies that give a read's data to the guest. */
void vbd_io_give(struct vbd_io *io);
void vbd_io_given(struct vbd_io *io);
void vbd_io_finish(struct vbd_io *io, enum blkif_status status);
/* The medium could not do it: `result` is -errno, or too few bytes. */
void vbd_io_failed(struct vbd_io *io, long result);
/* And it is not to be held, or no longer. */
void vbd_io_answer_failed(struct vbd_io *io, int err);
/* Give back its memory and its blocks. */
void vbd_io_release(struct vbd_io *io);
/* Give them back, and begin anew. */
void vbd_io_again(struct vbd_io *io);
/*
 * The medium is done with it, or it has got its blocks: first of all in whatever is called then. False when there is
 * nothing more to do, for the queue is abandoned.
 */
bool vbd_io_came_back(struct vbd_io *io);
/* Leave it unanswered: the queue is stopping. If there is a next daemon it has it from the journal. */
void vbd_io_abandon(struct vbd_io *io);
/* Go on with one that vbd_blocks_begin() held back. */
void vbd_io_ready(struct vbd_io *io);

/* vbd_blocks.c: the blocks that a request's data lies in, once `bytes` is known. */
void vbd_blocks_span(struct vbd_io *io);
/* Where they begin on the medium. */
uint64_t vbd_blocks_offset(const struct vbd_io *io);
/*
 * Get hold of the blocks that a write or discard changes, and of what is in those that it changes in
 * part. True when that is done; else the request will be READY when it is.
 */
bool vbd_blocks_begin(struct vbd_io *io);
/* Let others have them. Idempotent. */
void vbd_blocks_end(struct vbd_io *io);

/*
 * vbd_place.c: data that need not be copied. Whether this request's could be; hold the pages and list their
 * pieces in io->vec (false: let it be copied); let them go, idempotent.
 */
bool vbd_place_fits(const struct vbd_io *io);
bool vbd_place_hold(struct vbd_io *io);
void vbd_place_end(struct vbd_io *io);

/*
 * vbd_stall.c: a flush or barrier is to be answered with an error; and whether this request is one of those that fail
 * from then on.
 */
void vbd_flush_failed(struct vbd_io *io, int err);
bool vbd_is_refused(const struct vbd_io *io);
/* vbd_stall.c: hold a request that failed by `err`; answer those that are held: the queue stops. */
void vbd_stall(struct vbd_io *io, int err);
void vbd_stall_stop(struct vbd_queue *q);
/* vbd_stall.c: what may change while the ring is attached has changed. */
void vbd_queue_tune(struct vbd_queue *q, const struct message_disk_tuning *tuning);

/* vbd_pass.c: make a request ready for vbd_io_advance(), from the beginning. */
void vbd_io_prepare(struct vbd_io *io);
/* Start a request that an earlier life had taken. */
void vbd_queue_replay(struct vbd_queue *q, struct vbd_io *io);

#endif
