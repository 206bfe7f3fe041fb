/* SPDX-License-Identifier: MIT */
/*
 * A note below the runtime directory for each tap that we made: a tap outlives the daemon, and the
 * next one has to know which are ours when their vifs went away in between. Control thread only.
 */
#ifndef PVB_NETBACK_TAP_MARK_H
#define PVB_NETBACK_TAP_MARK_H

#include <stdint.h>

#include "netback/vif_file.h"

/* Note the interface of a vif, by its index: scripts rename it. 0 or -errno. */
int tap_mark(const struct vif_id *id, int ifindex);
void tap_unmark(const struct vif_id *id);

/* Remove the tap that a note tells of; the note stays. For leftover.h: before any tap is opened. */
void tap_mark_remove(const char *dir, uint32_t domid, uint32_t devid);

#endif
