/* SPDX-License-Identifier: MIT */
/*
 * Open a file or a block device as a disk's image, and find out what it can do. All of this waits for the medium, which
 * may never answer: only a process that serves nobody does it (control/opener.h).
 */
#ifndef PVB_IMAGE_OPEN_H
#define PVB_IMAGE_OPEN_H

#include <stdbool.h>

#include "blkback/disk_options.h"
#include "core/messages.h"

/*
 * Open `path`, always as a raw image (XSA-48). It is opened for direct I/O, if `cache` allows that and the medium
 * supports it in blocks of at most 4096 bytes; else through the page cache. 0 with *ret_fd, for image_use(); -ENOTSUP
 * when it is neither a file nor a block device; -ENODATA when it is empty; else -errno.
 */
int image_open(const char *path, bool read_only, enum disk_cache cache, int *ret_fd,
	       struct message_image *ret_image);

/*
 * Take over from QEMU's emulated disk: write what it left in the page cache to the medium, and drop the pages. 0 or
 * -errno.
 */
int image_settle(int fd, bool read_only);

#endif
