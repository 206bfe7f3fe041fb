/* SPDX-License-Identifier: MIT */
/*
 * A file in the runtime directory for each tap that we have made. A tap outlives the daemon. The next one must find it even
 * if it was renamed, and must know which taps are ours when their vifs are gone. Control thread only.
 */
#ifndef PVB_NETBACK_TAP_MARK_H
#define PVB_NETBACK_TAP_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netback/tap.h"
#include "netback/vif_file.h"

/* In a file (core/statefile.h): what is stored here is there for the next daemon. */
struct tap_mark {
	int32_t ifindex;    /* 0: none yet */
	uint32_t queue_len; /* as we have set it; 0: not known */
};

/* A mark of pvbackd's first version is the index alone. */
#define TAP_MARK_OLD_BYTES offsetof(struct tap_mark, queue_len)

/* Take up what an earlier life left, or begin with zeros. 0 with *ret for tap_mark_close(), or -errno. */
int tap_mark_open(const struct vif_id *id, struct tap_mark **ret);
/* Unmap; the file stays. NULL is fine. Returns NULL. */
struct tap_mark *tap_mark_close(struct tap_mark *mark);

/* Whether the vif has a mark that names a tap, of this life or an earlier one. */
bool tap_mark_exists(const struct vif_id *id);

/*
 * Take over the vif's tap: by the descriptors that the keeper has, else by the index that the mark tells. 0; -ENODEV when
 * there is none; else as tap_open().
 */
int tap_mark_adopt(const struct tap_mark *mark, const struct vif_id *id, struct tap *tap,
		   unsigned int max_queues);
/* Write this tap into the mark, which must outlive it. */
void tap_mark_note(struct tap_mark *mark, struct tap *tap);

/* Remove the tap that a note tells of; the note stays. For leftover.h: before any tap is opened. */
void tap_mark_remove(const char *dir, uint32_t domid, uint32_t devid);

#endif
