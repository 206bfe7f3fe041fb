/* SPDX-License-Identifier: MIT */
/*
 * Find which file or device a disk's keys name, and open it: all that needs the medium before a disk can be served. It
 * runs in a process that may wait (control/opener.h), and knows nothing of xenstore.
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
	/* what the toolstack and its script wrote; "" for missing keys */
	char params[PATH_MAX];      /* a path, or the name of an NBD export */
	char device_path[PATH_MAX]; /* physical-device-path */
	char device[32];            /* physical-device */
	bool read_only;
	bool settle; /* QEMU's emulated disk may have written */
	bool any;    /* any medium is fine: a drive whose medium may change */
	enum disk_cache cache;
	bool known; /* it must be `medium` */
	/* what was found */
	int err;                  /* 0; -ESTALE: it is another medium than `medium`; else -errno */
	char why[PATH_MAX + 128]; /* for the admin, if there is an error */
	char path[PATH_MAX];
	bool nbd;                   /* `path` names an NBD export, and nothing is open */
	bool unsettled;             /* what the emulated disk wrote may not be on the medium */
	struct message_image image; /* of the descriptor that comes with the answer */
	struct medium_id medium;    /* which medium the descriptor is of */
};

extern const struct opener_kind image_find_kind;

#endif
