/* SPDX-License-Identifier: MIT */
/* The storage behind a disk: what `params` names, and whether it can be served. */
#ifndef PVB_HOTPLUG_TARGET_H
#define PVB_HOTPLUG_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "hotplug/failure.h"
#include "hotplug/sharing.h"
#include "control/medium_id.h"

struct hotplug_target {
	char path[PATH_MAX]; /* without symbolic links */
	struct hotplug_identity identity;
	bool is_held;                 /* a block device that is opened exclusively in this domain */
	struct medium_id medium_id;   /* for the daemon */
	struct hotplug_medium medium; /* for checks of who else uses it */
};

/* What `params` means. */
struct hotplug_image {
	char path[PATH_MAX]; /* "" for an empty CD-ROM drive; an NBD export's name */
	bool is_nbd;         /* the daemon connects to a server that exists already */
	const char *driver;  /* qemu-nbd's name of the format; NULL: raw */
};

/*
 * Find the image in a disk's `params`. A prefix for a raw image (phy:, file:, raw:, aio:, tap:aio:) is removed. One for
 * a format (qcow2:, vhd:, vhdx:, vmdk:) is remembered. A relative path is below /dev. Pure. 0, or a negative errno with
 * *failure filled in if the type or the format is not served, or if the path is too long.
 */
int hotplug_target_parse(const char *type, const char *params, struct hotplug_image *ret_image,
			 struct hotplug_failure *failure);

/*
 * What `path` is. 0, or a negative errno: that of stat(2), or -ENOTBLK for something that is neither a
 * block device nor a regular file.
 */
int hotplug_target_identify(const char *path, struct hotplug_identity *ret_identity);

/*
 * Check the storage itself: it exists, is a block device or a plain file, is not empty, and can be opened as `mode`
 * wants. Takes no lock and keeps nothing open, for QEMU opens the same image for the emulated disk. 0, or a negative
 * errno with *failure filled in. Leaves the medium empty.
 */
int hotplug_target_inspect(const char *path, enum hotplug_mode mode,
			   struct hotplug_target *ret_target, struct hotplug_failure *failure);

/* The same, but -ETIMEDOUT when the storage does not answer. */
int hotplug_target_inspect_in_time(const char *path, enum hotplug_mode mode,
				   struct hotplug_target *ret_target,
				   struct hotplug_failure *failure);

#endif
