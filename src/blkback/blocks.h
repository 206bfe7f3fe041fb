/* SPDX-License-Identifier: MIT */
/*
 * Who is writing which blocks of a medium. A ring's unit is 512 bytes; where the medium's is larger
 * (4Kn), a write of part of a block reads the block, changes the part and writes it back, and
 * whatever another request wrote there in between would be lost. So each write claims its blocks,
 * one that changes a part of a block for itself alone.
 *
 * One for each medium, shared by the rings of all disks on it on whatever workers: the only lock of
 * the data path, and only media of such blocks have it. Claims that conflict are granted in the order in
 * which they were made.
 */
#ifndef PVB_BLOCKS_H
#define PVB_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Filled in as far as `granted` by who makes it. */
struct block_claim {
	uint64_t first, last; /* bytes, of whole blocks */
	bool alone;           /* else together with others that are not alone */
	/*
	 * After blocks_claim() said that it must wait: called by who gave up the last claim before it,
	 * in its thread and with the lock held: it only posts a task.
	 */
	void (*granted)(struct block_claim *claim);
	TAILQ_ENTRY(block_claim) link;
	uint32_t nr_before; /* claims that it waits for */
};

struct blocks;

/*
 * Those of a medium: the same for all who give the same name. Each call needs its blocks_put(). NULL when
 * there is no memory. Any thread.
 */
struct blocks *blocks_get(const char *medium);
/* The last one takes them away: no claim may be left. NULL is fine; returns NULL. Any thread. */
struct blocks *blocks_put(struct blocks *blocks);

/* True when the claim holds at once; else granted() follows. It is the caller's until given up. */
bool blocks_claim(struct blocks *blocks, struct block_claim *claim);
/* Give up a claim that holds. */
void blocks_give_up(struct blocks *blocks, struct block_claim *claim);

#endif
