/* SPDX-License-Identifier: MIT */
/*
 * The files of a vif below the runtime directory, by name: vif-DOMID-DEVID.state (vif_kept.h),
 * vif-DOMID-DEVID-QUEUE.ring (vif_undo.h), and vif-DOMID-DEVID.tap (tap_mark.h). Control makes, finds and deletes
 * them. What is in the first two is for the data side, which gets the descriptors; the mark of the tap is control's
 * own.
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

/* Each: 0 with *ret_fd owned by the caller, or -errno as of statefile_open() and statefile_create(). */

/* What the guest has told: a new file, or the one that an earlier life left. */
int vif_file_new_state(const struct vif_id *id, int *ret_fd);
int vif_file_left_state(const struct vif_id *id, int *ret_fd);
void vif_file_forget_state(const struct vif_id *id);

/* The undo of a queue, or VIF_UNDO_CTRL. `resume`: what an earlier life left, if it left one; else a new file. */
int vif_file_undo(const struct vif_id *id, unsigned int queue, bool resume, int *ret_fd);
/* Those of all queues. */
void vif_file_forget_undo(const struct vif_id *id);

/* The mark of the tap; the one that was left may be of fewer bytes, and the others are zeros then. */
int vif_file_new_mark(const struct vif_id *id, int *ret_fd);
int vif_file_left_mark(const struct vif_id *id, int *ret_fd);
void vif_file_forget_mark(const struct vif_id *id);

/* All of them, for a daemon that starts. */
extern const struct leftover vif_leftovers[];

#endif
