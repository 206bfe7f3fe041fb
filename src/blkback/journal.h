/* SPDX-License-Identifier: MIT */
/*
 * The request pool of one block ring, as a file mapping below the runtime
 * directory: what is in flight survives the process (design, "The journal").
 *
 * An entry holds the checked copy of a request from the moment it leaves the
 * ring until its response is public. The file's shape is versioned; a file of
 * another shape, size or device is never used.
 */
#ifndef PVB_JOURNAL_H
#define PVB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/blkif.h"

#define JOURNAL_MAGIC   0x4c4e4a4256500001ull /* also says the byte order */
#define JOURNAL_VERSION 1u

enum journal_state {
	JOURNAL_FREE = 0,
	JOURNAL_TAKEN = 1, /* off the ring, not answered */
};

struct journal_entry {
	uint32_t state; /* enum journal_state; stored last when taken */
	uint32_t index; /* req_cons when it was taken: the order of replay */
	struct blk_request req;
};

struct journal_header {
	uint64_t magic;
	uint32_t version;
	uint32_t entry_size;
	uint32_t nr_entries;
	uint32_t domid;
	uint32_t devid;
	uint32_t queue;
};

struct journal {
	struct journal_header *header; /* owned mapping */
	struct journal_entry *entries; /* inside it */
	size_t bytes;
	char path[256];
};

struct journal_id {
	const char *dir; /* borrowed: the runtime directory */
	uint32_t domid;
	uint32_t devid;
	uint32_t queue;
};

/* Make an empty journal for a fresh ring, over whatever was there. 0 or -errno. */
int journal_create(struct journal *journal, const struct journal_id *id, uint32_t nr_entries);

/*
 * Whether a previous life left requests of this queue unanswered: their number, 0 when there
 * is no journal or none is open, -EBADMSG when the file cannot be ours.
 */
int journal_count_left(const struct journal_id *id);

/* Record that a request left the ring; everything of the entry but its state is filled in. */
void journal_take(struct journal_entry *entry);
/* Its response is public. */
void journal_release(struct journal_entry *entry);

/* Unmap; `remove` deletes the file, when nothing is in flight. Idempotent. */
void journal_close(struct journal *journal, bool remove);

#endif
