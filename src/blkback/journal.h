/* SPDX-License-Identifier: MIT */
/*
 * The request pool of one block ring, in a file that outlives the process (core/statefile.h): what is in
 * flight survives.
 *
 * An entry holds the checked copy of a request from the moment it leaves the
 * ring until its response is public. A daemon that starts later takes the ring's
 * rsp_prod as the base and replays what was taken and not answered.
 *
 * No response may be lost and none sent twice, so a batch of responses becomes
 * public in steps, each a release store, and recovery can tell between any two of
 * them what has happened (only the process dies, never the memory):
 *
 *   1. header.rsp_next = new rsp_prod             what comes next, if we get there
 *   2. entry.state = ANSWERED                     for each of the batch
 *   3. the ring's rsp_prod = new                  the frontend sees them
 *   4. header.rsp_prod = new                      we did get there
 *   5. entry.state = FREE                         for each of the batch
 *
 * If the ring's rsp_prod equals header.rsp_next, step 3 was done, and ANSWERED means
 * answered; if it equals header.rsp_prod (and not rsp_next), ANSWERED means not yet.
 * Any other value was written by the guest, and nothing can be concluded.
 *
 * The old process's I/O is over before this one begins: the kernel ends a process's
 * aio before it closes its files, and with them the lock on the directory. It does not wait for the requests
 * of an io_uring; for these there is medium_lock.h.
 *
 * The file is given as a descriptor; it has a name in vbd_file.c only. One of zeros was not begun: no request of its
 * ring was taken.
 */
#ifndef PVB_JOURNAL_H
#define PVB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/blkif.h"

#define JOURNAL_MAGIC       0x4c4e4a4256500001ull /* also says the byte order */
#define JOURNAL_MAX_ENTRIES 512u                  /* slots of the largest ring */
#define JOURNAL_MAX_BYTES   (1u << 20)            /* no version has had more */

/*
 * Version 1 ends its header with rsp_next, version 2 with sum. They are read, and carried on as they are, for as
 * long as their ring lives; new journals are of JOURNAL_VERSION. A build that writes the older one, to try an
 * upgrade: make CPPFLAGS=-DJOURNAL_VERSION=1
 */
#define JOURNAL_NEWEST 3u
#ifndef JOURNAL_VERSION
#define JOURNAL_VERSION JOURNAL_NEWEST
#endif

enum journal_state {
	JOURNAL_FREE = 0,
	JOURNAL_TAKEN = 1,    /* off the ring, not answered */
	JOURNAL_ANSWERED = 2, /* its response is filled in, public or about to be */
};

struct journal_entry {
	uint32_t state; /* enum journal_state; stored last */
	uint32_t sum;   /* over index and req; 0 while free */
	uint32_t index; /* req_cons when it was taken: the order of replay */
	uint32_t zero;
	struct blk_request req;
};

struct journal_header {
	uint64_t magic; /* stored last; 0: not begun */
	uint32_t version;
	uint32_t shape; /* a checksum over sizes and offsets */
	uint32_t nr_entries;
	uint32_t domid;
	uint32_t devid;
	uint32_t queue;
	uint32_t abi;
	uint32_t req_cons; /* stored after the entry is TAKEN */
	uint32_t rsp_prod;
	uint32_t rsp_next;
	/* from version 2 on */
	uint32_t ring; /* journal_id.ring */
	uint32_t sum;  /* over what never changes: all but the three indices above */
	/* from version 3 on */
	uint32_t flush_failed; /* and no admin has said go; see vbd_stall.c */
	uint32_t zero;
};

struct journal {
	struct journal_header *header; /* owned mapping */
	struct journal_entry *entries; /* inside it */
	size_t bytes;
};

struct journal_id {
	uint32_t domid;
	uint32_t devid;
	uint32_t queue;
	enum blkif_abi abi;
	uint32_t ring; /* journal_ring_sum(): another ring has another one */
};

/* Of the file of a new journal. */
size_t journal_bytes(uint32_t nr_entries);
uint32_t journal_ring_sum(uint32_t port, const uint32_t *refs, uint32_t nr_refs);

/*
 * Begin an empty journal, in the new file behind `fd`, for a fresh ring whose responses begin at `rsp_prod`. 0;
 * -EBADMSG when it is not of journal_bytes(); else -errno.
 */
int journal_begin(struct journal *journal, int fd, const struct journal_id *id, uint32_t nr_entries,
		  uint32_t rsp_prod);

/*
 * Open the journal that an earlier life left. 0; -ENOENT when it was not begun; -EPROTONOSUPPORT when it
 * is of another version; -EBADMSG when it is damaged or not this queue's; else -errno.
 */
int journal_open(struct journal *journal, int fd, const struct journal_id *id, uint32_t nr_entries);

/*
 * Bring an opened journal to rest: free what had been answered, and find what had not. `rsp_prod` is
 * the ring's; `ret_order` has room for nr_entries. Returns the number of entries to replay, with their
 * numbers in `ret_order`, oldest first; -EBADMSG when the journal contradicts itself or the ring:
 * then nothing may be concluded from it.
 */
int journal_recover(struct journal *journal, uint32_t rsp_prod, uint32_t *ret_order);

/* Record that entry->req left the ring as request number `index`. */
void journal_take(struct journal *journal, struct journal_entry *entry, uint32_t index);
/* Step 1. */
void journal_announce(struct journal *journal, uint32_t rsp_prod);
/* Step 2. */
void journal_answer(struct journal_entry *entry);
/* Step 4. */
void journal_published(struct journal *journal, uint32_t rsp_prod);
/* Step 5. */
void journal_release(struct journal_entry *entry);

/* Before the failure is answered; and when it is forgiven. Nothing where the version has no place for it. */
void journal_flush_failed(struct journal *journal, bool failed);
/* Whether the one behind `fd` says so. For control: nothing else in it is looked at, and no more than a copy. */
bool journal_left_flush_failed(int fd);

/* Unmap. Idempotent. */
void journal_close(struct journal *journal);

#endif
