/* SPDX-License-Identifier: MIT */
/*
 * Opening a file or a block device as a disk's image, and learning what it can do. All of this waits for the medium,
 * which may not answer at all: only a process that serves nobody does it (control/opener.h).
 */
#ifndef PVB_IMAGE_OPEN_H
#define PVB_IMAGE_OPEN_H

#include <stdbool.h>

#include "blkback/disk_options.h"
#include "core/messages.h"

/*
 * Open `path`, raw always (XSA-48). Directly where the medium can be used that way, in blocks of at most 4096 bytes,
 * and `cache` does not say otherwise; else through the page cache. 0 with *ret_fd, for image_use(); -ENOTSUP when it is
 * neither a file nor a block device; -ENODATA when it is empty; else -errno.
 */
int image_open(const char *path, bool read_only, enum disk_cache cache, int *ret_fd,
	       struct message_image *ret_image);

/*
 * At the hand-over from QEMU's emulated disk: what it wrote through the page cache goes to the medium, and no stale page
 * stays. 0 or -errno.
 */
int image_settle(int fd, bool read_only);

#endif
