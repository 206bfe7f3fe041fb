/* SPDX-License-Identifier: MIT */
/*
 * An io_uring for transfers between block devices and a worker's buffers. The kernel pins each page of a request's
 * buffer anew when it comes by libaio. Here it pins pieces of the arena once, when they are first used.
 *
 * The ring accepts nothing but reads and writes of registered buffers and files, so that a guest that takes over the
 * process cannot use it to get round the filter of system calls.
 *
 * The kernel completes a request on the thread that submitted it. So that thread must not block: see aio.c. And a
 * process may end before its requests have: see medium_lock.h.
 */
#ifndef PVB_URING_H
#define PVB_URING_H

#include <libaio.h>
#include <stdbool.h>
#include <stddef.h>

#define URING_PIECE_BYTES ((size_t)2 << 20) /* of the arena; a buffer lies in one of them */
#define URING_NO_FILE     (-1)

struct uring;

/*
 * A ring for `nr_places` requests. For a process that has not given up its rights yet. NULL: the kernel or this build has
 * no such rings, or an admin forbids them (kernel.io_uring_disabled).
 */
struct uring *uring_open(unsigned int nr_places);
/* NULL is fine; returns NULL. */
struct uring *uring_close(struct uring *uring);

/* Readable while there are completions. */
int uring_fd(const struct uring *uring);

/*
 * Register a file, and with it one more (-1: none) that is to stay open until all requests of the ring are over, even if
 * the process is not there any more. Returns the file's number, or URING_NO_FILE: the table is full, or the kernel
 * refuses.
 */
int uring_add_file(struct uring *uring, int fd, int lock_fd);
/* URING_NO_FILE is fine. No request of the file may be under way. */
void uring_remove_file(struct uring *uring, int file);

/* Register the piece `piece` of an arena that begins at `arena`, unless it is. False: the kernel refuses. */
bool uring_add_piece(struct uring *uring, void *arena, unsigned int piece);
/* No request may be under way. */
void uring_remove_pieces(struct uring *uring);

/*
 * Queue the transfer of an iocb from io_prep_pread() or io_prep_pwrite(), with its flags; its buffer lies in `piece`.
 * False: there is no room.
 */
bool uring_queue(struct uring *uring, struct iocb *iocb, int file, unsigned int piece);
/* Submit what is queued. False: the kernel did not take all. It is to be called again, later. */
bool uring_submit(struct uring *uring);
/* The next completion: true with the data of its iocb and the bytes moved, or -errno. */
bool uring_take(struct uring *uring, void **ret_data, long *ret_result);

#endif
