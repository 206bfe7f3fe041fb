/* SPDX-License-Identifier: MIT */
/*
 * A small file below the runtime directory that is mapped into memory. What is stored in it is there for the next process,
 * and a store costs no more than one into memory.
 *
 * Control makes, finds and deletes such files by name; the data side only gets a descriptor, and maps what is
 * behind it. A new file is all zeros, so each kind of file takes zeros as "nothing was stored yet".
 */
#ifndef PVB_STATEFILE_H
#define PVB_STATEFILE_H

#include <stdbool.h>
#include <stddef.h>

#define STATEFILE_NAME_MAX 64u
#define STATEFILE_NEW      ".new" /* behind the name while a file is made */

/* --- by name: control --- */

/*
 * Make a file of `bytes` zeros. It gets its name when it is complete, and replaces a file of that name. 0 with *ret_fd owned
 * by the caller, or -errno with nothing changed. Its blocks are allocated, so that a full file system cannot cause a
 * SIGBUS later.
 */
int statefile_create(const char *dir, const char *name, size_t bytes, int *ret_fd);

/*
 * Open the one that is there. 0 with *ret_fd owned by the caller, and its size in *ret_bytes, unless that is NULL;
 * -ENOENT; -EBADMSG when it has fewer bytes than `least` or more than `most`; -EPERM when it may be somebody else's
 * work: it is no plain file, has another name too, is neither ours nor root's, or others may write to it; else
 * -errno.
 */
int statefile_open(const char *dir, const char *name, size_t least, size_t most, int *ret_fd,
		   size_t *ret_bytes);

/* Whether there is something of that name, whatever it is. */
bool statefile_exists(const char *dir, const char *name);
/* Delete it, open or not; no matter if there is none. */
void statefile_remove(const char *dir, const char *name);

/* --- by descriptor: both sides --- */

/*
 * Map the first `bytes` of the file: 0 with *ret_addr for statefile_unmap(), -EBADMSG when it has fewer, or -errno.
 * The mapping needs the descriptor no more.
 */
int statefile_map(int fd, size_t bytes, void **ret_addr);
/* Map all of it: -EBADMSG when it is empty, or larger than `most`. */
int statefile_map_all(int fd, size_t most, void **ret_addr, size_t *ret_bytes);
/* NULL is fine. */
void statefile_unmap(void *addr, size_t bytes);

/* Close, and set it to -1, which is fine. */
void statefile_close(int *fd);

#endif
