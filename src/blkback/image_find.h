/* SPDX-License-Identifier: MIT */
/*
 * Which file or device a disk's keys mean, and opening it: all that asks the medium before a disk can be served. In
 * a process that may wait (control/opener.h); it knows nothing of xenstore.
 */
#ifndef PVB_IMAGE_FIND_H
#define PVB_IMAGE_FIND_H

#include <limits.h>
#include <stdbool.h>

#include "blkback/disk_options.h"
#include "control/medium_id.h"
#include "control/opener.h"
#include "core/messages.h"

/* A question for the opener, and its answer. */
struct image_find {
	/* what the toolstack and its script wrote; "" for what they did not */
	char params[PATH_MAX];      /* a path, or the name of an NBD export */
	char device_path[PATH_MAX]; /* physical-device-path */
	char device[32];            /* physical-device */
	bool read_only;
	bool settle; /* QEMU's emulated disk may have written */
	bool any;    /* medium will do: a drive, in which it may change */
	enum disk_cache cache;
	bool known; /* it must be `medium` */
	/* what was found */
	int err; /* 0; -ESTALE when it is another medium than `medium`; else -errno */
	char why[PATH_MAX + 128]; /* for the admin, when there is one */
	char path[PATH_MAX];
	bool nbd;                   /* it is an NBD export of that name, and nothing is open */
	bool unsettled;             /* what the emulated disk wrote may not be on the medium */
	struct message_image image; /* of the descriptor that comes with it */
	struct medium_id medium;    /* what that is */
};

extern const struct opener_kind image_find_kind;

#endif
