/* SPDX-License-Identifier: MIT */
/*
 * One tx/rx ring pair of a NIC with its tap queue: a part of the NIC's ringset. From ringset_start() to the end of the
 * set, all its members belong to its worker.
 */
#ifndef PVB_NETBACK_VIF_QUEUE_H
#define PVB_NETBACK_VIF_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/grant.h"
#include "guest/ringset.h"
#include "core/loop.h"
#include "core/messages.h"
#include "netback/merge.h"
#include "netback/offload.h"
#include "netback/vif_pool.h"
#include "netback/vif_shared.h"
#include "netback/vif_stats.h"
#include "netback/vif_undo.h"
#include "ring/netif.h"
#include "ring/ring.h"
#include "core/trace.h"
#include "guest/worker.h"

/* How many packets one queue may move in one pass and direction. Then the others have their turn. */
#define VIF_BATCH 64u
/* When the large frames of a pass are cut into this many segments or more, the pass takes no more frames. */
#define VIF_SEGMENTS 512u
/* A rate limit may change while a queue waits for it, so look again at least this often. */
#define VIF_MAX_WAIT_NS (100u * 1000u * 1000u)
/* Slots of a ring; both rings are one page. */
#define VIF_RING_SLOTS 256u

/* A packet from the guest on its way through one pass. */
struct vif_tx_packet {
	struct netif_tx_packet packet;
	uint8_t *pages;                /* borrowed from the pool: one page per data slot */
	int copies[NETIF_FATAL_SLOTS]; /* index in the batch; below 0: none was made */
	bool failed[NETIF_FATAL_SLOTS];
	enum netif_status status; /* for the slots that did not fail by themselves */
	const char *why;          /* why it was dropped; NULL: it was not */
};

struct vif_tx {
	struct grant_map map; /* owned */
	struct ring ring;
	uint32_t nr_packets;
	uint32_t
		nr_acted; /* so many of these are done: act() is called again when a disk copies twice */
	uint32_t nr_segments;  /* that these may be cut into */
	uint32_t pages_left;   /* of the queue's share of the pool, in this pass */
	bool more;             /* requests are left in the ring because the pass was full */
	bool throttled;        /* requests are left in the ring because of the rate limit */
	uint64_t throttled_ns; /* since when; 0: it is not */
	uint64_t taken_ns;     /* when this pass took its packets */
	struct loop_timer timer;
	struct vif_tx_packet packets[VIF_BATCH];
};

/* A receive slot that this pass has used. */
struct vif_rx_slot {
	struct netif_rx_response response; /* its status is that after a successful copy */
	struct netif_extra extra;
	bool is_extra;
	int copy;
};

/* A frame that has been read and waits for slots. There is at most one. */
struct vif_rx_hold {
	uint8_t *frame; /* owned mapping of POOL_FRAME_PAGES */
	uint32_t len;   /* 0: no frame is held */
	uint64_t since_ns;
	uint32_t next_segment;
	struct offload_plan plan;
};

/*
 * What the frames for the guest wait for.
 *
 *              the tap tells               over the limit
 *   EMPTY ----------------------> READING ----------------> THROTTLED
 *     ^                           |  | ^                        |
 *     '---- no frame is left -----'  | +----- its turn ---------'
 *                                    | |
 *                      too few slots | | enough
 *                                    v |
 *                                  STARVED ---------------> STALLED
 *                                          for too long
 *
 * STALLED ends as STARVED does. In the last three states the frames lie in the tap's own bounded queue, and the timer
 * is armed: until the next turn, or until they are too old. While the guest does not run (queue.halted) no frame is
 * read. When it runs again, READING follows; but if it has no slots, its time to post some starts anew.
 */
enum vif_rx_state {
	VIF_RX_EMPTY,     /* the watch tells of the next frame */
	VIF_RX_READING,   /* the tap has, or may have, frames */
	VIF_RX_THROTTLED, /* by the vif's limit */
	VIF_RX_STARVED,   /* too few slots for the next frame */
	VIF_RX_STALLED,   /* for so long that the carrier is off */
};

struct vif_rx {
	struct grant_map map; /* owned */
	struct ring ring;
	uint32_t available; /* slots posted and not used, as of the last look */
	uint32_t nr_slots;
	uint32_t pages_left; /* as in vif_tx */
	enum vif_rx_state state;
	bool more;      /* the pass was full */
	bool unwatched; /* a frame came while others wait: the watch of the tap is off */
	uint64_t starved_since_ns;
	uint64_t no_slots_ns;     /* since when frames wait for slots; 0: none waits */
	uint64_t throttled_ns;    /* likewise, for the rate limit */
	uint64_t read_ns;         /* when the frames of this pass were read */
	uint32_t nr_frames;       /* of this pass, without the held frame */
	struct loop_timer timer;  /* armed until the state's next step is due */
	uint32_t headroom;        /* before each frame, in this pass */
	struct message_hash hash; /* a copy, as of the last look */
	uint32_t hash_generation;
	struct vif_rx_hold hold;
	struct merge merge; /* a frame of this pass that may grow; there are slots for it */
	struct offload_plan merge_plan;
	struct vif_rx_slot slots[VIF_RING_SLOTS];
};

struct vif_queue {
	struct ring_part part;     /* first */
	struct vif_shared *shared; /* borrowed */
	struct vif_stats *stats;   /* borrowed; only the worker writes to it */
	struct trace_id id;
	atomic_uint trace; /* the guest's loop changes it */
	bool resume;
	bool rx_notify;
	bool finish_csum;
	uint64_t drain_ns; /* frames that waited this long for slots are dropped */
	uint64_t stall_ns; /* after this long the carrier goes off; 0: never */
	struct offload_accept accept;
	struct message_nic_queue front;
	int fd;                /* borrowed: the tap's queue */
	struct vif_undo *undo; /* borrowed */

	struct vif_pool *pool; /* borrowed from the worker */
	struct loop_watch *watch;
	struct worker_port tx_port;
	struct worker_port rx_port; /* unused when one port serves both */
	struct vif_tx tx;
	struct vif_rx rx;
	bool broken; /* the guest did something impossible: the rings are not used again */

	struct loop_task stall_task;
	atomic_bool stall_posted;
	atomic_bool stall_wanted;
	bool stalled; /* as the NIC's loop sees it */
};

extern const struct ring_ops vif_queue_ops;

/* Implemented in nic.c; called on the NIC's loop. */
void vif_queue_stall_changed(struct vif_queue *queue, bool stalled);

/* --- worker thread --- */

static inline struct vif_queue *vif_queue_of(struct queue *queue)
{
	return (struct vif_queue *)(void *)queue; /* its first member */
}

/* Never use the rings again, and report it: -EPROTO when the guest did what no honest guest does. */
void vif_queue_break(struct vif_queue *queue, int err, const char *why);
/* Tell the NIC's loop that the guest takes no frames, or takes them again. */
void vif_queue_stall(struct vif_queue *queue, bool stalled);
/* If there was a wait since *since_ns, it is over: count it, and set *since_ns to 0. */
static inline void vif_queue_waited(struct vif_queue *queue, uint64_t *since_ns,
				    struct stat_times *times)
{
	if (*since_ns)
		stat_took(times, *since_ns, worker_now(queue->part.worker), 1);
	*since_ns = 0;
}
/* Publish the responses of a ring, and notify if the guest asked for it. */
void vif_queue_publish(struct vif_queue *queue, struct ring *ring, const struct worker_port *port,
		       const char *name);

/* From the guest: the parts of a pass (see worker.h). */
void vif_tx_take(struct vif_queue *queue);
void vif_tx_act(struct vif_queue *queue);
bool vif_tx_answer(struct vif_queue *queue);

/* To the guest. */
static inline bool vif_rx_is_starved(const struct vif_queue *queue)
{
	return queue->rx.state == VIF_RX_STARVED || queue->rx.state == VIF_RX_STALLED;
}

int vif_rx_open(struct vif_queue *queue);
void vif_rx_close(struct vif_queue *queue);
void vif_rx_tap_event(void *queue, uint32_t events);
void vif_rx_give(struct vif_queue *queue);
bool vif_rx_answer(struct vif_queue *queue);
/* The queue continues after a halt. */
void vif_rx_go_on(struct vif_queue *queue);

#endif
