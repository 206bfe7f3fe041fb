/* SPDX-License-Identifier: MIT */
/*
 * Which request writes which blocks of a medium. A ring counts in units of 512 bytes. If the medium's blocks are larger
 * (4Kn), a write of a part of a block reads the block, changes the part and writes the block back. What another request
 * wrote there in between would be lost. So each write claims its blocks, and a write that changes a part of a block
 * claims it exclusively.
 *
 * There is one struct blocks for each medium, shared by the rings of all disks on it, on any workers. Its lock is the
 * only one of the data path, and only media with such blocks have it. Conflicting claims are granted in the order in
 * which they were made.
 *
 * Other processes may write to the medium, too, for other guests. Then the medium has a lock file (medium_lock.h), and
 * each claim also locks the same bytes there. No worker waits for such a lock: it tries again later. Meanwhile a second
 * lock in the file says that it is next, so that no other process overtakes it.
 */
#ifndef PVB_BLOCKS_H
#define PVB_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* The owner of the claim fills in the members up to `granted`. */
struct block_claim {
	uint64_t first, last; /* bytes, of whole blocks */
	bool alone;           /* exclusive; with a lock file, all claims are */
	/*
	 * Called if blocks_claim() had to wait, by the thread that gave up the last claim before it, with the lock
	 * held: it may only post a task.
	 */
	void (*granted)(struct block_claim *claim);
	TAILQ_ENTRY(block_claim) link;
	uint32_t nr_before; /* claims that it waits for */
	bool next, locked;  /* in the lock file: it is the next one there; it has its bytes */
};

struct blocks;

/*
 * The blocks of a medium: the same for all callers with the same name. Each call needs its blocks_put(). `lock_fd`: the
 * medium's lock file, or -1 if no other process writes. It is taken over in any case, and the first one is kept. NULL
 * when there is no memory. Any thread.
 */
struct blocks *blocks_get(const char *medium, int lock_fd);
/* The last call frees them: no claim may be left. NULL is fine; returns NULL. Any thread. */
struct blocks *blocks_put(struct blocks *blocks);

/*
 * True when the claim is granted at once, within this process; else granted() follows. The claim stays in use until
 * blocks_give_up().
 */
bool blocks_claim(struct blocks *blocks, struct block_claim *claim);
/*
 * Lock the blocks of a granted claim against other processes. False when another process has some of them: try again
 * soon, as it has them only for the time of a request.
 */
bool blocks_lock(struct blocks *blocks, struct block_claim *claim);
/* Give up a granted claim, whether it is locked or not. */
void blocks_give_up(struct blocks *blocks, struct block_claim *claim);

#endif
