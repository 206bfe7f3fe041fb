/* SPDX-License-Identifier: MIT */
/*
 * The files of a disk below the runtime directory, by name: vbd-DOMID-DEVID-QUEUE.journal (journal.h) and
 * vbd-DOMID-DEVID.unflushed (nbd_keep.h). Control makes, finds and deletes them; what is in them is for the data
 * side, which gets the descriptors.
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
 * The journal of a ring with so many slots. `resume`: the one that an earlier life left, if it left one; else a new
 * one. 0 with *ret_fd owned by the caller, or -errno as of statefile_open() and statefile_create().
 */
int vbd_file_journal(const struct vbd_id *id, uint32_t queue, uint32_t nr_slots, bool resume,
		     int *ret_fd);
/* Whether one of the first ring is there. */
bool vbd_file_has_journal(const struct vbd_id *id);
/* Whether one of those that are there tells of a failed flush. */
bool vbd_file_flush_failed(const struct vbd_id *id);

/*
 * The unflushed writes, likewise. One that cannot be used gives way to a new one, and *ret_lost tells so.
 */
int vbd_file_unflushed(const struct vbd_id *id, bool resume, int *ret_fd, bool *ret_lost);
/* Nobody takes up what was served: both go. */
void vbd_file_forget(const struct vbd_id *id);

/* All of them, for a daemon that starts. */
extern const struct leftover vbd_leftovers[];

#endif
