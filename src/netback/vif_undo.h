/* SPDX-License-Identifier: MIT */
/*
 * The saved requests of a queue's two rings (struct ring_undo), in a small file mapping below the
 * runtime directory: one for each queue that is attached, and one for the control ring. A file of zeros says that nothing is to be
 * undone.
 */
#ifndef PVB_NETBACK_VIF_UNDO_H
#define PVB_NETBACK_VIF_UNDO_H

#include <stdbool.h>
#include <stdint.h>

#include "netback/tap.h"
#include "netback/vif_file.h"
#include "ring/ring.h"

struct vif_undo {
	struct ring_undo tx, rx;
};

/* The control ring's requests are in `tx`, under this number. */
enum { VIF_UNDO_CTRL = TAP_MAX_QUEUES };

/*
 * `resume`: take up what an earlier life left, if it left one; else begin anew. 0 with *ret owned by the
 * caller, or -errno as of mapfile_open() and mapfile_create().
 */
int vif_undo_open(const struct vif_id *id, unsigned int queue, bool resume, struct vif_undo **ret);

/* Unmap; `remove` deletes the file too. NULL is fine. Returns NULL. */
struct vif_undo *vif_undo_close(struct vif_undo *undo, const struct vif_id *id, unsigned int queue,
				bool remove);

/* Delete those of a device. */
void vif_undo_forget(const struct vif_id *id);

#endif
