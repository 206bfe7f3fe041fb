/* SPDX-License-Identifier: MIT */
/*
 * The writes that an NBD server has acknowledged but not flushed. The server would lose them if it died.
 *
 * The rule: a write is kept from its acknowledgement until a flush that was sent after it is acknowledged. After each
 * new connection, all kept writes are sent again, in the order of their acknowledgements, before anything else. So no
 * data of which the guest was told that it is written depends on the server's life. A write for which there is no room
 * is acknowledged only after a flush.
 *
 * The writes are in a file, so that they survive this process as the journal does (core/statefile.h; only vbd_file.c
 * knows its name): first the records, then `end`, a release store. They are written by pwrite(), because a full tmpfs
 * must cause an error, not SIGBUS. Two writes to one sector that are in flight at once have no order, as on any disk.
 */
#ifndef PVB_NBD_KEEP_H
#define PVB_NBD_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blkback/image.h"

#define NBD_KEEP_BYTES   ((uint64_t)4 << 20) /* of records */
#define NBD_KEEP_LARGEST IMAGE_BYTES_MAX     /* the largest write that is kept */

/* The size of the file: when it is new, and at most. */
#define NBD_KEEP_FILE_BYTES     4096u
#define NBD_KEEP_FILE_MAX_BYTES (NBD_KEEP_FILE_BYTES + NBD_KEEP_BYTES)

struct nbd_keep_header {
	uint64_t magic;      /* stored last; 0: not begun */
	uint64_t name;       /* a checksum of the image's name and of the device */
	uint64_t start, end; /* of the records, in bytes since the first one */
};

struct nbd_keep {
	int fd;                         /* owned; -1 when closed */
	struct nbd_keep_header *header; /* owned mapping */
};

#define NBD_KEEP_CLOSED                                                                            \
	{                                                                                          \
		.fd = -1                                                                           \
	}

struct nbd_keep_record {
	uint64_t offset; /* bytes, on the medium */
	uint64_t bytes;
};

/*
 * Use the file behind `fd`, and take over the descriptor. If the file is of `name`, what an earlier process kept stays;
 * else it begins empty. 0, and *ret_lost tells whether there was something unreadable. Or -errno: then nothing is open,
 * and `fd` stays the caller's.
 */
int nbd_keep_open(struct nbd_keep *keep, int fd, const char *name, bool *ret_lost);
/* Idempotent. */
void nbd_keep_close(struct nbd_keep *keep);

/* Keep a write. 0; -ENOSPC when there is no room; -E2BIG when it is too large to be read back; else -errno. */
int nbd_keep_append(struct nbd_keep *keep, uint64_t offset, const void *buf, uint64_t bytes);

/* The mark for a flush that is sent now. Once the flush is acknowledged, drop the writes up to the mark. */
uint64_t nbd_keep_mark(const struct nbd_keep *keep);
void nbd_keep_drop(struct nbd_keep *keep, uint64_t mark);

bool nbd_keep_is_empty(const struct nbd_keep *keep);
/*
 * Walk over the kept writes: the first position, then the record at *pos with its data; *pos moves on. -ENOENT at the
 * end; else -errno.
 */
uint64_t nbd_keep_first(const struct nbd_keep *keep);
int nbd_keep_next(const struct nbd_keep *keep, uint64_t *pos, struct nbd_keep_record *ret_record,
		  void *buf, size_t size);

#endif
