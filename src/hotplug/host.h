/* SPDX-License-Identifier: MIT */
/*
 * The state of this Dom0: whether the daemon runs, whether a kernel driver owns the device, who uses a disk; and the
 * lock of the scripts.
 */
#ifndef PVB_HOTPLUG_HOST_H
#define PVB_HOTPLUG_HOST_H

#include "hotplug/aside.h"
#include "hotplug/failure.h"
#include "hotplug/request.h"
#include "hotplug/sharing.h"

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
 * Wait until no other block script works, as long as there is time (aside.h): two scripts at once would both find the
 * image free. Returns a descriptor that holds the lock until close(2), or a negative errno with *failure filled in.
 * Uses SIGALRM.
 */
int hotplug_host_lock(const char *runtime_dir, struct hotplug_failure *failure);

/*
 * Whether this domain itself uses `wanted`, or what it stands on, or what stands on it, in a way that forbids `mode`:
 * by a mount or as swap or, for a writer, in device mapper or md. `root` is as in medium.h, `path` is for the message.
 * 0; -EBUSY with *failure filled in; or -EINPROGRESS as there.
 */
int hotplug_host_check_uses(const char *root, struct hotplug_book *book, const char *path,
			    const struct hotplug_medium *wanted, enum hotplug_mode mode,
			    struct hotplug_failure *failure);

#endif
