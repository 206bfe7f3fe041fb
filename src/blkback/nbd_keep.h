/* SPDX-License-Identifier: MIT */
/*
 * The writes that an NBD server has acknowledged but not flushed: what is lost when the server dies.
 *
 * The rule: a write is kept from its acknowledgement until a flush that was sent after it is
 * acknowledged; after every new connection all that is kept is written again, in the order of the
 * acknowledgements, before anything else is sent. So nothing that the guest was told is written
 * depends on the server's life. A write for which there is no room is not acknowledged before a
 * flush.
 *
 * It is in a file, so that it survives this process as the journal does (core/statefile.h; it has a name in
 * vbd_file.c only): the records first, then `end`, a release store. Written by pwrite(), since a tmpfs that is full
 * must be an error and no SIGBUS. Two writes to one sector that are in flight at once have no order, here
 * as on any disk.
 */
#ifndef PVB_NBD_KEEP_H
#define PVB_NBD_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blkback/image.h"

#define NBD_KEEP_BYTES   ((uint64_t)4 << 20) /* of records */
#define NBD_KEEP_LARGEST IMAGE_BYTES_MAX     /* write that is kept */

/* Of the file: when it is new, and at most. */
#define NBD_KEEP_FILE_BYTES     4096u
#define NBD_KEEP_FILE_MAX_BYTES (NBD_KEEP_FILE_BYTES + NBD_KEEP_BYTES)

struct nbd_keep_header {
	uint64_t magic;      /* stored last; 0: not begun */
	uint64_t name;       /* a checksum of the image's name and of the device */
	uint64_t start, end; /* of the records, counted from the first ever */
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
 * Use the file behind `fd`, and take that over: what an earlier life kept in it, if it is of `name`; else it begins
 * empty. 0, and *ret_lost tells whether there was something that cannot be read; or -errno, nothing is open, and `fd`
 * stays the caller's.
 */
int nbd_keep_open(struct nbd_keep *keep, int fd, const char *name, bool *ret_lost);
/* Idempotent. */
void nbd_keep_close(struct nbd_keep *keep);

/* 0; -ENOSPC when there is no room; -E2BIG for one that could not be read back; else -errno. */
int nbd_keep_append(struct nbd_keep *keep, uint64_t offset, const void *buf, uint64_t bytes);

/* What a flush that is sent now will cover; and when it is acknowledged. */
uint64_t nbd_keep_mark(const struct nbd_keep *keep);
void nbd_keep_drop(struct nbd_keep *keep, uint64_t mark);

bool nbd_keep_is_empty(const struct nbd_keep *keep);
/* Where the walk begins, and the record at *pos with its data; *pos moves on. -ENOENT at the end; -errno. */
uint64_t nbd_keep_first(const struct nbd_keep *keep);
int nbd_keep_next(const struct nbd_keep *keep, uint64_t *pos, struct nbd_keep_record *ret_record,
		  void *buf, size_t size);

#endif
