/* SPDX-License-Identifier: MIT */
/*
 * Has the kernel put frames for a guest into the queues that the guest's hash names (steer.h). Control thread only:
 * telling a tap of its program takes the kernel's RTNL lock, which somebody else may hold for long.
 *
 * A guest that changes its hash all the time costs no more than VIF_STEER_PER_SECOND updates; the last change always
 * gets there. Its requests are answered before that: until then frames go where they went.
 */
#ifndef PVB_NETBACK_VIF_STEER_H
#define PVB_NETBACK_VIF_STEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "netback/steer.h"
#include "netback/tap.h"
#include "netback/vif_shared.h"

#define VIF_STEER_PER_SECOND 10u

/* Begins as all zero. */
struct vif_steer {
	struct loop *loop;         /* borrowed; NULL when stopped */
	struct vif_shared *shared; /* borrowed */
	struct tap *tap;           /* borrowed */
	uint32_t nr_queues;
	struct loop_timer timer; /* armed: too early for the next update */
	bool waiting;            /* there is one to make then */
	uint32_t generation;
	struct hash_config config; /* what is in force, as of that generation */
	struct steer program;      /* owned */
	/* For the dump, which another thread makes. */
	_Atomic int err; /* why frames are not steered */
	_Atomic bool on;
	_Atomic uint32_t nr_updates;
};

/*
 * From now on, and at once, for a tap of `nr_queues` (the borrowed have to outlive vif_steer_stop()). What an earlier
 * life of the daemon has left on the tap is replaced.
 */
void vif_steer_start(struct vif_steer *steer, struct loop *loop, struct vif_shared *shared,
		     struct tap *tap, uint32_t nr_queues);
/* The guest has changed its hash. */
void vif_steer_changed(struct vif_steer *steer);
/* `keep`: the tap keeps its program, for a daemon that starts later. Idempotent. */
void vif_steer_stop(struct vif_steer *steer, bool keep);

#endif
