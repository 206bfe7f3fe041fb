/* SPDX-License-Identifier: MIT */
/*
 * The files of a disk below the runtime directory, by name: vbd-DOMID-DEVID-QUEUE.journal (journal.h) and
 * vbd-DOMID-DEVID.unflushed (nbd_keep.h). Control makes, finds and deletes them. The data side reads and writes them
 * through descriptors.
 */
#ifndef PVB_VBD_FILE_H
#define PVB_VBD_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "control/leftover.h"

struct vbd_id {
	const char *dir; /* borrowed: the runtime directory */
	uint32_t domid;
	uint32_t devid;
};

/*
 * The journal of a ring with `nr_slots` slots. `resume`: the one that an earlier process left, if there is one; else a
 * new one. 0 with *ret_fd owned by the caller, or -errno as for statefile_open() and statefile_create().
 */
int vbd_file_journal(const struct vbd_id *id, uint32_t queue, uint32_t nr_slots, bool resume,
		     int *ret_fd);
/* Whether the first ring has a journal. */
bool vbd_file_has_journal(const struct vbd_id *id);
/* Whether a journal of the disk records a failed flush. */
bool vbd_file_flush_failed(const struct vbd_id *id);

/*
 * The file of unflushed writes, likewise. If an old one cannot be used, a new one replaces it, and *ret_lost is true.
 */
int vbd_file_unflushed(const struct vbd_id *id, bool resume, int *ret_fd, bool *ret_lost);
/* Delete the journals and the unflushed writes: nobody will resume the rings. */
void vbd_file_forget(const struct vbd_id *id);

/* All of them, for the sweep of a daemon that starts. */
extern const struct leftover vbd_leftovers[];

#endif
