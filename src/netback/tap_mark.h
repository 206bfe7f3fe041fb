/* SPDX-License-Identifier: MIT */
/*
 * A note below the runtime directory for each tap that we made: a tap outlives the daemon, and the
 * next one has to know which are ours when their vifs went away in between. Control thread only.
 */
#ifndef PVB_NETBACK_TAP_MARK_H
#define PVB_NETBACK_TAP_MARK_H

#include <stdint.h>

#include "store.h"

/* Note the interface of a vif, by its index: scripts rename it. 0 or -errno. */
int tap_mark(const char *dir, uint32_t domid, uint32_t devid, int ifindex);
void tap_unmark(const char *dir, uint32_t domid, uint32_t devid);

/* Remove the taps whose vifs are no more. At the start, before any is opened. */
void tap_mark_sweep(struct store *store, const char *dir);

#endif
