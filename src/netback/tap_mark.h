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

/* The content of the file (core/statefile.h). What is stored here is there for the next daemon. */
struct tap_mark {
	int32_t ifindex;    /* 0: none yet */
	uint32_t queue_len; /* as we have set it; 0: unknown */
};

/* A mark of pvbackd's first version is the index alone. */
#define TAP_MARK_OLD_BYTES offsetof(struct tap_mark, queue_len)

/* Open what an earlier daemon left, or begin with zeros. 0 with *ret for tap_mark_close(), or -errno. */
int tap_mark_open(const struct vif_id *id, struct tap_mark **ret);
/* Unmap; the file stays. NULL is fine. Returns NULL. */
struct tap_mark *tap_mark_close(struct tap_mark *mark);

/* Whether the vif has a mark that names a tap, from this daemon or an earlier one. */
bool tap_mark_exists(const struct vif_id *id);

/*
 * Take over the vif's tap: by the descriptors that the keeper holds, else by the index in the mark. 0; -ENODEV when
 * there is none; else as tap_open().
 */
int tap_mark_adopt(const struct tap_mark *mark, const struct vif_id *id, struct tap *tap,
		   unsigned int max_queues);
/* Write this tap into the mark, which must outlive it. */
void tap_mark_note(struct tap_mark *mark, struct tap *tap);

/* Delete the tap that a mark names; the mark stays. For leftover.h, before any tap is opened. */
void tap_mark_remove(const char *dir, uint32_t domid, uint32_t devid);

#endif
