/* SPDX-License-Identifier: MIT */
/*
 * A small process that also holds the taps' descriptors. When a tap's last descriptor is closed, the kernel turns its
 * carrier off, and a bridge with STP then forwards nothing for twice its forward delay. So a descriptor must outlive
 * the daemon, however the daemon ends. The next daemon finds this process by a socket in the runtime directory, and
 * gets the descriptors from it. That does not change the tap, in whatever namespace it is.
 *
 * The process does nothing by itself. It ends when no daemon is connected and it holds no descriptor. Without it, a
 * restart looks to the bridge as if the cable were unplugged; all else works. Control thread only. No call waits
 * without limit. If the keeper fails once, the log says so, and it is not used any more.
 */
#ifndef PVB_NETBACK_TAP_KEEPER_H
#define PVB_NETBACK_TAP_KEEPER_H

#include "netback/tap.h"
#include "netback/vif_file.h"

/* Find the keeper that an earlier daemon left in `dir`, or fork one. */
void tap_keeper_start(const char *dir);
/* Leave it to the next daemon. */
void tap_keeper_stop(void);

/* Give it the descriptors of this vif's tap. They replace earlier ones of the vif. */
void tap_keeper_keep(const struct vif_id *id, const struct tap *tap);
/*
 * Get the descriptors that it holds for a vif; the caller owns them. The keeper still holds its own. Returns how many.
 */
unsigned int tap_keeper_take(const struct vif_id *id, int ret_fds[TAP_MAX_QUEUES]);
/* Tell it to close them. They are closed when this returns. */
void tap_keeper_drop(const struct vif_id *id);

#endif
