/* SPDX-License-Identifier: MIT */
/*
 * The lock file of a medium that guests write to: medium-*.lock below the runtime directory. It is empty. With it no process
 * has to lock the image itself, which other programs may lock, too, and no network file system is asked for a lock.
 *
 * Control makes and deletes it, and passes a descriptor to each process that serves the medium. Each time it opens the
 * file anew: locks of one open file description do not exclude each other.
 */
#ifndef PVB_MEDIUM_LOCK_H
#define PVB_MEDIUM_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "core/messages.h"
#include "core/nbd_name.h"

#define MEDIUM_NAME_MAX (NBD_WHERE_MAX + 3u * NBD_EXPORT_MAX + 32u) /* of an NBD export, too */

/* What a file or device is called here and in blocks.h, whatever names disks have for it. */
void medium_name(const struct message_image *image, char *text, size_t size);

/* The bytes of the file, none of which is there: */
#define MEDIUM_LOCK_BLOCKS 0u /* those of the medium: who writes them (blocks.h) */
#define MEDIUM_LOCK_NEXT                                                                           \
	(UINT64_C(1) << 62)               /* from here on the same: who is the next to write them */
#define MEDIUM_LOCK_USED (UINT64_MAX / 2) /* the last one: who has the file open */
/* The one before: whose guest is gone, while the medium still has requests of it. */
#define MEDIUM_LOCK_LEFT (MEDIUM_LOCK_USED - 1)

/*
 * Open the file of a medium, which is made if need be. 0 with *ret_fd owned by the caller, or -errno: -EPERM as of
 * statefile_open(); -EBUSY while the medium may still have requests of a guest that is gone. It counts as used until the
 * last copy of *ret_fd is closed. `medium`: no two media have the same.
 */
int medium_lock_open(const char *dir, const char *medium, int *ret_fd);
/* The guest is gone. Until the last copy of `fd` is closed, which whoever serves the medium has, nobody else opens it. */
void medium_lock_leave(int fd);
/*
 * Close a descriptor of the file, or none (-1), and delete the file if nobody uses it then: other copies of the same
 * descriptor must be closed.
 */
void medium_lock_close(const char *dir, const char *medium, int *fd);
/* Delete all files that nobody uses. */
void medium_lock_sweep(const char *dir);

#endif
