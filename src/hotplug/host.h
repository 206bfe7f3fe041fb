/* SPDX-License-Identifier: MIT */
/* The state of this Dom0: is the daemon there, does a kernel driver own the device, one at a time. */
#ifndef PVB_HOTPLUG_HOST_H
#define PVB_HOTPLUG_HOST_H

#include "hotplug/failure.h"
#include "hotplug/request.h"
#include "hotplug/sharing.h"

#define HOTPLUG_LOCK_LIMIT_S 30 /* libxl kills a script after 40 s without saying why */

/*
 * Is pvbackd running? It holds a write lock (fcntl) on DIR/lock as long as it lives. 0, or -ESRCH with
 * *failure filled in. Only looks: never takes the lock, so it cannot disturb a daemon that starts.
 */
int hotplug_host_check_daemon(const char *runtime_dir, struct hotplug_failure *failure);

/*
 * Is the device of `req` free of xen-blkback and xen-netback? `sysfs` is "/sys". 0, or -EBUSY with
 * *failure filled in.
 */
int hotplug_host_check_driver(const char *sysfs, const struct hotplug_request *req,
			      struct hotplug_failure *failure);

/*
 * Wait until no other block script works, for at most HOTPLUG_LOCK_LIMIT_S seconds. Two scripts at
 * once would each find the image free. Returns a descriptor that is the lock and goes with close(2),
 * or a negative errno with *failure filled in. Uses SIGALRM.
 */
int hotplug_host_lock(const char *runtime_dir, struct hotplug_failure *failure);

/*
 * Does Dom0 itself use `identity` in a way that forbids `mode`: is it mounted, or, for a file, is
 * a loop device on it mounted? 0, or -EBUSY with *failure filled in.
 */
int hotplug_host_check_mounts(const char *sysfs, const char *path,
			      const struct hotplug_identity *identity, enum hotplug_mode mode,
			      struct hotplug_failure *failure);

#endif
