/* SPDX-License-Identifier: MIT */
/*
 * Data threads. A queue (one blkif ring, or one netif tx/rx pair) belongs to
 * exactly one worker from attach to detach; workers share nothing, so the data
 * path takes no lock.
 *
 * A worker turns events into passes. One pass walks all dirty queues in steps,
 * so that each system call serves every ring that has work:
 *
 *   take    pop requests, add copies from the guest    -> one grant copy
 *   act     look at those copies, start I/O            -> plane->submit (one io_submit)
 *           (a copy that any queue adds here is made at once, and act called again, for all
 *           queues: descriptors first, then what they describe; what is done stays done)
 *   give    add copies to the guest for finished I/O   -> one grant copy
 *   answer  fill responses, publish, notify once
 *
 * Only then are the event channels of queues with nothing left to do unmasked:
 * an event that comes meanwhile stays pending, so nothing is lost and a storming
 * guest costs one wake-up per pass (XSA-332).
 *
 * A domain that has shut down may run on elsewhere, with newer data on its disks. So its queues are halted: no request is
 * taken from them, and requests that were taken but not submitted yet wait. If the domain runs again the queues go on.
 */
#ifndef PVB_WORKER_H
#define PVB_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include "guest/grant.h"
#include "guest/pass_clock.h"
#include "core/loop.h"

struct queue;
struct worker;

enum plane_kind { PLANE_BLK, PLANE_NET, PLANE_NR };

/*
 * A queue may become dirty in the middle of a pass. So each callback must accept that it has nothing to do, or that the
 * ones before it were not called. No callback may detach a queue: post a task.
 */
struct queue_ops {
	enum plane_kind plane;
	void (*take)(struct queue *queue); /* not while the queue is halted */
	void (*act)(struct queue *queue);
	void (*give)(struct queue *queue);
	/* True when there is more to do now; the ports stay masked meanwhile. */
	bool (*answer)(struct queue *queue);
	/* It was halted, or goes on; between passes, or at the beginning of one. May be NULL. */
	void (*halt)(struct queue *queue, bool halted);
	/* Write indices and counters for SIGUSR1, as one or more whole lines. */
	void (*dump)(struct queue *queue, FILE *out);
};

/* Embedded in a block or net queue. Zero-initialise, then worker_attach(). */
struct queue {
	const struct queue_ops *ops; /* borrowed */
	struct worker *worker;       /* borrowed; NULL when not attached */
	TAILQ_ENTRY(queue) dirty_link;
	LIST_ENTRY(queue) link;
	bool dirty;
	bool hungry; /* set by the queue: it found no room in this pass, so it comes first in the next */
	bool looks; /* set by its answer(): it wants the next pass only to poll its ring */
	const atomic_bool *domain_halted; /* borrowed, the control thread's; NULL: never */
	bool halted;                      /* as last read, or for good */
	struct loop_task halt_task;
	atomic_bool halt_posted;
};

/* The state that a kind of queue has for each worker (block: the aio context and buffers). */
struct plane {
	/*
	 * What open() needs but the process may not make any more after it has given up its rights; NULL if it cannot be
	 * had, or is not needed. unprepare() frees it if there was no open(). Both may be NULL.
	 */
	void *(*prepare)(void);
	void (*unprepare)(void *prepared);
	/* 0 or -errno. Takes over what was prepared, also after a failure. */
	int (*open)(struct worker *worker, void *prepared, void **ret_ctx);
	void (*close)(void *ctx);
	void (*submit)(void *ctx); /* after every act(); may be NULL */
	void (*rest)(void *ctx);   /* called after some seconds without a pass; may be NULL */
};

struct worker_port {
	struct queue *queue; /* borrowed */
	evtchn_port_t port;
	bool bound;
	bool fired; /* masked by an event, to be unmasked after the pass */
};

struct worker {
	struct loop *loop;     /* owned */
	xengnttab_handle *xgt; /* owned */
	xenevtchn_handle *xce; /* owned */
	struct own_pages own;  /* owned; zero before worker_own_pages() */
	struct grant_batch copies;
	uint32_t nr_dirty[PLANE_NR]; /* queues in this pass, which share what the plane has */
	void *plane_ctx[PLANE_NR];   /* owned through plane->close; NULL before worker_plane() */
	void *prepared[PLANE_NR];    /* owned through plane->unprepare; NULL after worker_plane() */
	unsigned int index;
	bool serves_one; /* guest: others have workers of their own. Set before worker_start() */
	struct pass_clock clock;
	uint64_t now_ns; /* the time of this part of the pass, if it was read; else 0 */
	/* the rest is private to worker.c */
	const struct plane *planes[PLANE_NR]; /* borrowed */
	TAILQ_HEAD(, queue) dirty;
	LIST_HEAD(, queue) queues;
	struct worker_port **ports; /* by local port; owned array, borrowed entries */
	uint32_t nr_ports;
	evtchn_port_t *fired; /* owned; ports to unmask */
	uint32_t nr_fired;
	uint32_t max_fired;
	struct loop_watch *watch;
	struct loop_tick rest_tick; /* from a pass on, until it rests */
	unsigned int unused_s;
	struct loop_thread thread;
};

/* Make a worker and its handles; starts no thread, opens no plane. `planes` has PLANE_NR entries, NULL allowed. */
int worker_open(struct worker *worker, unsigned int index, const struct plane *const *planes);
/* Restrict it to ports of this domain. 0; or -errno when the kernel cannot do that. */
int worker_restrict(struct worker *worker, uint32_t domid);
/* It may have pages that are granted to our own domain, `domid`. Before the process gives up its rights. */
void worker_own_pages(struct worker *worker, uint32_t domid);
/* Make what its planes need rights for. Before the process gives them up. */
void worker_prepare(struct worker *worker);
/* Start the thread. 0 or -errno. */
int worker_start(struct worker *worker);
/* Stop the thread and release everything; every queue must have been detached. Idempotent. */
void worker_close(struct worker *worker);

/* Control thread: *queue->domain_halted has changed. For a queue that is attached to `worker`. */
void queue_halt_changed(struct queue *queue, struct worker *worker);

/* --- below: only from the worker's own thread (a task, or a queue's callback) --- */

/* The plane's state on this worker, which is made at its first use. 0 with *ret_ctx, or -errno. */
int worker_plane(struct worker *worker, enum plane_kind kind, void **ret_ctx);

void worker_attach(struct worker *worker, struct queue *queue, const struct queue_ops *ops);
/* Idempotent. After it no callback of the queue runs any more. */
void worker_detach(struct queue *queue);

/* Put the queue into the next pass. */
void queue_mark(struct queue *queue);

/* Halt the queue for good: it will be detached. Idempotent. */
void queue_halt(struct queue *queue);

/*
 * Bind the frontend's event channel; events on it mark `queue`.
 * 0, or -errno (a port that is not meant for us fails here).
 */
int worker_bind(struct worker *worker, struct worker_port *port, struct queue *queue,
		uint32_t domid, evtchn_port_t remote);
/* Idempotent. */
void worker_unbind(struct worker *worker, struct worker_port *port);
void worker_notify(struct worker *worker, const struct worker_port *port);

/*
 * Monotonic time. It is read once for each part of a pass, and is the same for all callers in it. A part ends with a grant
 * copy or a submit, which take time. Where reading the time costs a system call, it is read once for a whole pass.
 */
static inline uint64_t worker_now(struct worker *worker)
{
	if (!worker->now_ns)
		worker->now_ns = pass_clock_ns(&worker->clock);
	return worker->now_ns;
}

static inline void worker_time_passes(struct worker *worker)
{
	if (worker->clock.ticks)
		worker->now_ns = 0;
}

/* Dump all queues of this worker. */
void worker_dump(struct worker *worker, FILE *out);

#endif
