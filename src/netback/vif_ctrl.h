/* SPDX-License-Identifier: MIT */
/*
 * The control ring of a vif (netif.h, feature-ctrl-ring), where a guest sets how its frames are hashed and
 * spread. To the worker it is one more queue; the threads take turns as with struct vif_queue.
 */
#ifndef PVB_NETBACK_VIF_CTRL_H
#define PVB_NETBACK_VIF_CTRL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/grant.h"
#include "core/loop.h"
#include "netback/hash.h"
#include "netback/vif_shared.h"
#include "netback/vif_steer.h"
#include "netback/vif_undo.h"
#include "ring/ring.h"
#include "core/trace.h"
#include "guest/worker.h"

/* Requests of one pass; a frontend has one or two on the way. */
#define VIF_CTRL_BATCH 8u

struct vif_ctrl_job {
	struct netctrl_request request;
	uint32_t copy_len;
	int copy; /* index in the batch; below 0: none was made */
	uint8_t copied[HASH_COPY_MAX];
};

struct vif_ctrl {
	struct queue queue;        /* first */
	struct worker *worker;     /* borrowed */
	struct loop *control;      /* borrowed */
	struct vif_shared *shared; /* borrowed */
	void *owner;               /* borrowed; for the control thread */
	struct trace_id id;
	unsigned int trace;
	uint32_t ref;
	uint32_t remote_port;
	uint32_t nr_queues;
	const struct vif_steer *steer; /* borrowed, for the dump */
	int undo_fd; /* the control ring's from its start on; -1: none, or it is mapped */

	struct grant_map map; /* owned */
	struct ring ring;
	struct vif_undo *undo; /* owned; NULL when it could not be had */
	struct worker_port port;
	bool broken;
	bool more;
	struct vif_ctrl_job jobs[VIF_CTRL_BATCH];
	uint32_t nr_jobs;
	uint32_t nr_done; /* of these, carried out */
	struct netctrl_response responses[VIF_CTRL_BATCH];
	uint64_t nr_requests;
	uint64_t nr_refused;

	struct loop_task task;
	struct loop_task broken_task;
	struct loop_task changed_task;
	atomic_bool changed_posted;
	int err;
	const char *why; /* borrowed, static text */

	bool started;     /* the control thread's: as answered by vif_ctrl_started() */
	bool broken_seen; /* likewise */
};

/* --- control thread; each is answered --- */

void vif_ctrl_start(struct vif_ctrl *ctrl);
void vif_ctrl_stop(struct vif_ctrl *ctrl);

/* Implemented in vif.c; called on the control thread. */
void vif_ctrl_started(struct vif_ctrl *ctrl);
void vif_ctrl_stopped(struct vif_ctrl *ctrl);
void vif_ctrl_broke(struct vif_ctrl *ctrl);
/* The guest has changed its hash; once for several changes in a row. */
void vif_ctrl_changed(struct vif_ctrl *ctrl);

#endif
