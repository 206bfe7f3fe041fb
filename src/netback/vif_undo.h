/* SPDX-License-Identifier: MIT */
/*
 * The saved requests of a queue's two rings (struct ring_undo), in a small file mapping below the
 * runtime directory: one for each queue that is attached. A file of zeros says that nothing is to be
 * undone.
 */
#ifndef PVB_NETBACK_VIF_UNDO_H
#define PVB_NETBACK_VIF_UNDO_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/ring.h"
#include "store.h"

struct vif_undo {
	struct ring_undo tx, rx;
};

struct vif_undo_id {
	const char *dir; /* borrowed: the runtime directory */
	uint32_t domid;
	uint32_t devid;
	uint32_t queue;
};

/*
 * `resume`: take up what an earlier life left, if it left one; else begin anew. 0 with *ret owned by the
 * caller, or -errno as of mapfile_open() and mapfile_create().
 */
int vif_undo_open(const struct vif_undo_id *id, bool resume, struct vif_undo **ret);

/* Unmap; `remove` deletes the file too. NULL is fine. Returns NULL. */
struct vif_undo *vif_undo_close(struct vif_undo *undo, const struct vif_undo_id *id, bool remove);

/* Delete those of a device; id->queue does not matter. */
void vif_undo_forget(const struct vif_undo_id *id);

/* Delete the files of devices that are no more. At the start, before any is attached. */
void vif_undo_sweep(struct store *store, const char *runtime_dir);

#endif
