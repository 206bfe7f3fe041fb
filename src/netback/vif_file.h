/* SPDX-License-Identifier: MIT */
/*
 * The files of a vif below the runtime directory, by name: vif-DOMID-DEVID.state (vif_kept.h),
 * vif-DOMID-DEVID-QUEUE.ring (vif_undo.h), and vif-DOMID-DEVID.tap (tap_mark.h). Control makes, finds and deletes them.
 * The data side reads and writes the first two through descriptors; only control uses the mark of the tap.
 */
#ifndef PVB_NETBACK_VIF_FILE_H
#define PVB_NETBACK_VIF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/leftover.h"

struct vif_id {
	const char *dir; /* borrowed: the runtime directory */
	uint32_t domid;
	uint32_t devid;
};

/* Each returns 0 with *ret_fd owned by the caller, or -errno as for statefile_open() and statefile_create(). */

/* What the guest has set: a new file, or the one that an earlier process left. */
int vif_file_new_state(const struct vif_id *id, int *ret_fd);
int vif_file_left_state(const struct vif_id *id, int *ret_fd);
void vif_file_forget_state(const struct vif_id *id);

/* The undo of a queue, or VIF_UNDO_CTRL. `resume`: what an earlier process left, if there is one; else a new file. */
int vif_file_undo(const struct vif_id *id, unsigned int queue, bool resume, int *ret_fd);
/* Those of all queues. */
void vif_file_forget_undo(const struct vif_id *id);

/* The mark of the tap. One that was left may be shorter; the missing bytes are then zeros. */
int vif_file_new_mark(const struct vif_id *id, int *ret_fd);
int vif_file_left_mark(const struct vif_id *id, int *ret_fd);
void vif_file_forget_mark(const struct vif_id *id);

/* All of them, for the sweep of a daemon that starts. */
extern const struct leftover vif_leftovers[];

#endif
