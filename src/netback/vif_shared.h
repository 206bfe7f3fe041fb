/* SPDX-License-Identifier: MIT */
/*
 * What all queues of a vif, on their threads, have in common. Owned by the vif and there while queues
 * are; most functions are the control thread's.
 */
#ifndef PVB_NETBACK_VIF_SHARED_H
#define PVB_NETBACK_VIF_SHARED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "control/device.h"
#include "netback/vif_kept.h"

struct vif_shared {
	struct vif_kept *kept;      /* owned; NULL when closed */
	bool in_file;               /* or in plain memory, when no file could be made */
	atomic_bool filters_groups; /* request-multicast-control, as last sampled */
	_Atomic uint16_t headroom;  /* that frames for the guest are to have */
	pthread_mutex_t hash_lock;  /* of kept->hash; only taken when that changes or has changed */
	_Atomic uint32_t hash_generation;
};

/* Once for a vif. */
void vif_shared_init(struct vif_shared *shared);
void vif_shared_done(struct vif_shared *shared);

/*
 * Before the queues start. `resume`: take up what an earlier life of the daemon left. 0, or -errno
 * after device_reason(), with nothing open.
 */
int vif_shared_open(struct vif_shared *shared, struct device *dev, uint32_t nr_queues, bool resume);
/* After the queues. `keep`: for a daemon that starts later. Idempotent. */
void vif_shared_close(struct vif_shared *shared, struct device *dev, bool keep);

/* A key that we watch has changed: look again. */
void vif_shared_sample(struct vif_shared *shared, struct device *dev);

/* --- worker threads --- */

/* Around changes of kept->hash; the unlock tells the queues if there was one. */
void vif_shared_lock_hash(struct vif_shared *shared);
void vif_shared_unlock_hash(struct vif_shared *shared, bool changed);
/* Bring one's own copy up to date; `generation` belongs to the copy and begins at 0. */
void vif_shared_get_hash(struct vif_shared *shared, uint32_t *generation, struct hash_config *copy);

#endif
