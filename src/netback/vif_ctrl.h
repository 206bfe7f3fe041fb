/* SPDX-License-Identifier: MIT */
/*
 * The control ring of a vif (netif.h, feature-ctrl-ring), by which a guest sets how its frames are hashed and spread.
 * It is a part of the NIC's ringset.
 */
#ifndef PVB_NETBACK_VIF_CTRL_H
#define PVB_NETBACK_VIF_CTRL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/grant.h"
#include "guest/ringset.h"
#include "core/loop.h"
#include "netback/hash.h"
#include "netback/vif_shared.h"
#include "netback/vif_undo.h"
#include "ring/ring.h"
#include "core/trace.h"
#include "guest/worker.h"

/* How many requests one pass takes; a frontend has one or two in flight. */
#define VIF_CTRL_BATCH 8u

struct vif_ctrl_job {
	struct netctrl_request request;
	uint32_t copy_len;
	int copy; /* index in the batch; below 0: none was made */
	uint8_t copied[HASH_COPY_MAX];
};

struct vif_ctrl {
	struct ring_part part;     /* first */
	struct vif_shared *shared; /* borrowed */
	struct trace_id id;
	atomic_uint trace; /* the guest's loop changes it */
	uint32_t ref;
	uint32_t remote_port;
	uint32_t nr_queues;
	struct vif_undo *undo; /* borrowed */

	struct grant_map map; /* owned */
	struct ring ring;
	struct worker_port port;
	bool broken;
	bool more;
	struct vif_ctrl_job jobs[VIF_CTRL_BATCH];
	uint32_t nr_jobs;
	uint32_t nr_done; /* how many of these were carried out */
	struct netctrl_response responses[VIF_CTRL_BATCH];
	uint64_t nr_requests;
	uint64_t nr_refused;

	struct loop_task changed_task;
	atomic_bool changed_posted;
};

extern const struct ring_ops vif_ctrl_ops;

/*
 * Implemented in nic.c. Called on the NIC's loop after the guest has changed its hash, once for several changes in a
 * row.
 */
void vif_ctrl_changed(struct vif_ctrl *ctrl);

#endif
