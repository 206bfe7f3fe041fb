/* SPDX-License-Identifier: MIT */
/*
 * A tiny process that holds the taps' descriptors too. The kernel takes a tap's carrier away when its last descriptor is
 * closed, and a bridge with STP then lets no frame through for twice its forward delay: so one has to outlive the
 * daemon, however that ends. The next one finds the process by a socket in the runtime directory and takes them over,
 * with the tap as it is, wherever it is.
 *
 * It does nothing by itself, and ends when no daemon is connected and it holds nothing. Without it all works but this:
 * a restart is a cable that is unplugged. Control thread only. Every call is bounded; a keeper that fails once is said
 * so, and left alone.
 */
#ifndef PVB_NETBACK_TAP_KEEPER_H
#define PVB_NETBACK_TAP_KEEPER_H

#include "netback/tap.h"
#include "netback/vif_file.h"

/* Find the one that an earlier life of the daemon has left in `dir`, or fork one. */
void tap_keeper_start(const char *dir);
/* Leave it to the next daemon. */
void tap_keeper_stop(void);

/* Have it hold the descriptors of this vif's tap, and no others of the vif. */
void tap_keeper_keep(const struct vif_id *id, const struct tap *tap);
/* The descriptors that it holds of a vif, for the caller to own; it goes on holding them. Returns how many. */
unsigned int tap_keeper_take(const struct vif_id *id, int ret_fds[TAP_MAX_QUEUES]);
/* Have it close them; when this returns they are closed. */
void tap_keeper_drop(const struct vif_id *id);

#endif
