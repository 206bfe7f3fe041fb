/* SPDX-License-Identifier: MIT */
/* What all queues of a NIC share. The NIC owns it, and it exists while the queues do. */
#ifndef PVB_NETBACK_VIF_SHARED_H
#define PVB_NETBACK_VIF_SHARED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/messages.h"
#include "core/rate.h"
#include "netback/filter.h"
#include "netback/vif_capture.h"
#include "netback/vif_kept.h"

struct vif_rules;

struct vif_shared {
	struct vif_kept *kept;      /* owned */
	atomic_bool filters_groups; /* the guest says which multicast frames it wants */
	_Atomic uint16_t headroom;  /* the headroom that frames for the guest must have */
	pthread_mutex_t hash_lock;  /* of kept->hash; taken only when that changes or has changed */
	_Atomic uint32_t hash_generation;
	struct {
		struct rate_pair tx, rx; /* from the guest, to the guest */
	} limits;
	_Atomic(const struct message_filter *) filter; /* port security; NULL: all frames pass */
	struct vif_rules *rules; /* owned; a worker may still read an older one */
	struct vif_capture capture;
};

/*
 * Begin without limits and rules, and with the kept state in the file behind `kept_fd` (borrowed). 0 or -errno;
 * vif_shared_done() is fine after both.
 */
int vif_shared_init(struct vif_shared *shared, int kept_fd);
/* Call it when no queue is left. */
void vif_shared_done(struct vif_shared *shared, bool wait_for_capture);

/* Set what may change at any time. The queues see it at their next look. */
void vif_shared_tune(struct vif_shared *shared, const struct message_nic_tuning *tuning);

/* --- worker threads --- */

/* FILTER_PASS, or why this frame of the guest must not pass (filter_check()). */
static inline enum filter_verdict vif_shared_check(struct vif_shared *shared, const uint8_t *head,
						   uint32_t len)
{
	const struct message_filter *filter =
		atomic_load_explicit(&shared->filter, memory_order_acquire);

	return filter ? filter_check(filter, head, len) : FILTER_PASS;
}

/* Around changes of kept->hash; the unlock tells the queues if there was one. */
void vif_shared_lock_hash(struct vif_shared *shared);
void vif_shared_unlock_hash(struct vif_shared *shared, bool changed);
/* Update a queue's own copy. `generation` belongs to the copy and begins at 0. */
void vif_shared_get_hash(struct vif_shared *shared, uint32_t *generation,
			 struct message_hash *copy);

#endif
