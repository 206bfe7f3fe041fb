/* SPDX-License-Identifier: MIT */
/*
 * The lock file of a medium that guests write to: medium-*.lock below the runtime directory. It is empty, and only its
 * byte locks are used. So no process has to lock the image itself, which other programs may lock, too, and no network
 * file system is asked for a lock.
 *
 * Control makes and deletes the file, and passes a descriptor to each process that serves the medium. It opens the file
 * anew for each, because locks of one open file description do not exclude each other.
 */
#ifndef PVB_MEDIUM_LOCK_H
#define PVB_MEDIUM_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "core/messages.h"
#include "core/nbd_name.h"

#define MEDIUM_NAME_MAX (NBD_WHERE_MAX + 3u * NBD_EXPORT_MAX + 32u) /* also of an NBD export */

/* The one name of a file or device here and in blocks.h, whatever names disks have for it. */
void medium_name(const struct message_image *image, char *text, size_t size);

/* The bytes that are locked. The file has none of them: */
#define MEDIUM_LOCK_BLOCKS 0u /* from here on: the medium's bytes that are written (blocks.h) */
#define MEDIUM_LOCK_NEXT   (UINT64_C(1) << 62) /* from here on: bytes to be written next */
#define MEDIUM_LOCK_USED   (UINT64_MAX / 2)    /* the last byte: a process has the file open */
/* The byte before: the guest is gone, but the medium still has requests of it. */
#define MEDIUM_LOCK_LEFT (MEDIUM_LOCK_USED - 1)

/*
 * Open the lock file of a medium; it is made if it does not exist. 0 with *ret_fd owned by the caller, or -errno:
 * -EPERM as for statefile_open(); -EBUSY while the medium may still have requests of a guest that is gone. The file
 * counts as used until the last copy of *ret_fd is closed. `medium`: unique for each medium.
 */
int medium_lock_open(const char *dir, const char *medium, int *ret_fd);
/*
 * The guest is gone. Nobody else can open the file until the last copy of `fd` is closed; the process that serves the
 * medium has one.
 */
void medium_lock_leave(int fd);
/*
 * Close a descriptor of the file, or none (-1). Then delete the file if nobody uses it: other copies of the same
 * descriptor must be closed before.
 */
void medium_lock_close(const char *dir, const char *medium, int *fd);
/* Delete all files that nobody uses. */
void medium_lock_sweep(const char *dir);

#endif
