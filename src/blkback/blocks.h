/* SPDX-License-Identifier: MIT */
/*
 * Which request writes which blocks of a medium. The unit of a ring is 512 bytes. Where the medium's is larger (4Kn), a write
 * of a part of a block reads the block, changes the part and writes the block back. What another request wrote there in
 * between would be lost. So each write claims its blocks, and one that changes a part of a block claims it exclusively.
 *
 * There is one for each medium. The rings of all disks on it share it, on any workers. It is the only lock of the data path,
 * and only media with such blocks have it. Conflicting claims are granted in the order in which they were made.
 *
 * Other processes may write to the medium, too, for other guests. Then there is a lock file of it (medium_lock.h), and
 * whoever has a claim locks the same bytes there. A lock is tried, and tried again later, so that no worker waits. Who
 * tries again is noted in the file as the next one, so that no other process overtakes it.
 */
#ifndef PVB_BLOCKS_H
#define PVB_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Filled in as far as `granted` by who makes it. */
struct block_claim {
	uint64_t first, last; /* bytes, of whole blocks */
	bool alone; /* else together with others that are not alone; where there is a lock file all are alone */
	/*
	 * After blocks_claim() said that it must wait: called by who gave up the last claim before it,
	 * in its thread and with the lock held: it only posts a task.
	 */
	void (*granted)(struct block_claim *claim);
	TAILQ_ENTRY(block_claim) link;
	uint32_t nr_before; /* claims that it waits for */
	bool next, locked;  /* in the lock file: it is the next one there; it has its bytes */
};

struct blocks;

/*
 * Those of a medium: the same for all who give the same name. Each call needs its blocks_put(). `lock_fd`: the medium's
 * lock file, taken over in any case, of which the first is kept; -1: no other process writes. NULL when there is no
 * memory. Any thread.
 */
struct blocks *blocks_get(const char *medium, int lock_fd);
/* The last one takes them away: no claim may be left. NULL is fine; returns NULL. Any thread. */
struct blocks *blocks_put(struct blocks *blocks);

/* The guest is gone, and the medium may still have requests of it: see medium_lock_leave(). Any thread. */
void blocks_leave(const struct blocks *blocks);

/*
 * True when the claim holds at once, in this process; else granted() follows. It is the caller's until given up.
 */
bool blocks_claim(struct blocks *blocks, struct block_claim *claim);
/*
 * Have a claim that holds in this process hold against others, too. False when one of them has such blocks: call it
 * again soon. They have them for the time of a request.
 */
bool blocks_lock(struct blocks *blocks, struct block_claim *claim);
/* Give up a claim that holds in this process, whether it is locked or not. */
void blocks_give_up(struct blocks *blocks, struct block_claim *claim);

#endif
