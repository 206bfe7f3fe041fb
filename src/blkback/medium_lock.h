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

#include <stdbool.h>
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
 * From here on, one byte for each disk. A process may end before the requests that it has sent by an io_uring. Then the
 * kernel keeps the descriptor, and with it this lock, until the last of them is over.
 */
#define MEDIUM_LOCK_DISKS (UINT64_C(3) << 61)

struct medium_disk {
	uint32_t domid, devid;
};

/*
 * Open the lock file of a medium, for a disk; it is made if it does not exist. 0 with *ret_fd owned by the caller, or
 * -errno: -EPERM as for statefile_open(); -EBUSY while the medium may still have requests of a guest that is gone;
 * -EAGAIN while it may still have requests of this disk, from a process that has ended or is about to. The file
 * counts as used until the last copy of *ret_fd is closed. `medium`: unique for each medium.
 */
int medium_lock_open(const char *dir, const char *medium, const struct medium_disk *disk,
		     int *ret_fd);
/* All requests of the disk that was given to medium_lock_open() are over, and it will send no more. */
void medium_lock_served(int fd);
/*
 * One after the other, the disks of other descriptors whose requests are not over. *at: 0 before the first. False: there is
 * no more.
 */
bool medium_lock_others(int fd, uint64_t *at, struct medium_disk *ret);
/*
 * The guest is gone. Nobody else can open the file until the last copy of `fd` is closed; the process that serves the
 * medium has one.
 */
void medium_lock_leave(int fd);
/*
 * Close a descriptor of the file, or none (-1). Then delete the file if nobody uses it: all requests of the disk must be over,
 * or none was sent.
 */
void medium_lock_close(const char *dir, const char *medium, int *fd);
/* Delete all files that nobody uses. */
void medium_lock_sweep(const char *dir);

#endif
