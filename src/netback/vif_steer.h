/* SPDX-License-Identifier: MIT */
/*
 * Make the kernel put frames for a guest into the queues that the guest's hash selects (steer.h). Control thread only:
 * setting a tap's program takes the kernel's RTNL lock, which others may hold for long.
 *
 * A guest that changes its hash all the time causes at most VIF_STEER_PER_SECOND updates; the last change always takes
 * effect. Its requests are answered before that: until then frames go to their old queues.
 */
#ifndef PVB_NETBACK_VIF_STEER_H
#define PVB_NETBACK_VIF_STEER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/pace.h"
#include "netback/steer.h"
#include "netback/tap.h"

#define VIF_STEER_PER_SECOND 10u

/* Zero-initialise. */
struct vif_steer {
	struct pace pace;
	struct tap *tap; /* borrowed; NULL when stopped */
	uint32_t nr_queues;
	struct message_hash config; /* as the guest wants it */
	struct steer program;       /* owned */
	int err;                    /* why frames are not steered, or 0 */
	bool on;
	uint32_t nr_updates;
};

/*
 * Start steering at once, for a tap of `nr_queues`. `loop` and `tap` must outlive vif_steer_stop(). A program that an
 * earlier daemon left on the tap is replaced. `config` must be valid (hash_config_is_valid()).
 */
void vif_steer_start(struct vif_steer *steer, struct loop *loop, struct tap *tap,
		     uint32_t nr_queues, const struct message_hash *config);
/* The guest has changed its hash. `config` must be valid. */
void vif_steer_change(struct vif_steer *steer, const struct message_hash *config);
/* `keep`: the tap keeps its program, for a daemon that starts later. Idempotent. */
void vif_steer_stop(struct vif_steer *steer, bool keep);

/* Write " steer=... steer_updates=...". */
void vif_steer_dump(const struct vif_steer *steer, FILE *out);

#endif
