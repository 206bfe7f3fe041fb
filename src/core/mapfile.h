/* SPDX-License-Identifier: MIT */
/*
 * A small file below the runtime directory, mapped: what is stored there survives the process, at the
 * price of a memory access.
 */
#ifndef PVB_MAPFILE_H
#define PVB_MAPFILE_H

#include <stddef.h>

/*
 * Make a file of `bytes` zeros over whatever was there, and map it. 0 with *ret_addr for
 * mapfile_unmap(), or -errno with no file left. Its blocks are allocated: nobody meets a full file
 * system later, by SIGBUS.
 */
int mapfile_create(const char *path, size_t bytes, void **ret_addr);

/*
 * Map one that is there, whatever its size up to `most`. 0 with its size in *ret_bytes; -ENOENT;
 * -EBADMSG when it is empty or larger; -EPERM when it may be somebody else's work: it is no plain
 * file, has another name too, is neither ours nor root's, or others may write to it; else -errno.
 */
int mapfile_open_any(const char *path, size_t most, void **ret_addr, size_t *ret_bytes);

/* The same for one of exactly that size: -EBADMSG when it has another one. */
int mapfile_open(const char *path, size_t bytes, void **ret_addr);

/* NULL is fine. */
void mapfile_unmap(void *addr, size_t bytes);

#endif
