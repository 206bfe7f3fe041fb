/* SPDX-License-Identifier: MIT */
/*
 * The files of a vif's rings below the runtime directory (vif_undo.h, vif_kept.h). They are made, checked and removed
 * here. The process that serves the rings writes to them. Control thread only.
 */
#ifndef PVB_NETBACK_VIF_STATE_H
#define PVB_NETBACK_VIF_STATE_H

#include "control/device.h"
#include "core/messages.h"

struct vif_state {
	int fds[MESSAGE_NIC_QUEUES + 2]; /* owned; in the order of struct message_start_nic */
	unsigned int nr_fds;
	int left_err; /* 0: an earlier process's multicast list and hash are used; else why not */
	struct message_hash hash;
};

/*
 * Begin the files of these rings anew, or take over what an earlier process left. If no file can be made, memory
 * replaces it: then all works except for a restart, and the log says so. 0; or -errno after device_reason(), and
 * nothing is open.
 */
int vif_state_open(struct vif_state *state, struct device *dev,
		   const struct message_start_nic *start);
/* Close the descriptors; the files stay. Idempotent. */
void vif_state_close(struct vif_state *state);

/* The hash that the guest has set, for rings that are served already. Without a file: none. */
void vif_state_read_hash(const struct device *dev, uint32_t nr_queues, struct message_hash *ret);
/* Remove all files of the vif's rings, open or not. */
void vif_state_remove(const struct device *dev);

#endif
