/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/blocks.h"
#include "blkback/medium_lock.h"

struct blocks {
	LIST_ENTRY(blocks) link;
	unsigned int nr_users;
	int lock_fd; /* owned; -1: no other process writes to the medium */
	pthread_mutex_t lock;
	TAILQ_HEAD(, block_claim) claims; /* in the order they were made */
	char medium[];
};

static pthread_mutex_t media_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, blocks) media = LIST_HEAD_INITIALIZER(media);

static struct blocks *find(const char *medium)
{
	struct blocks *blocks;

	LIST_FOREACH(blocks, &media, link)
		if (!strcmp(blocks->medium, medium))
			break;
	return blocks;
}

static struct blocks *make(const char *medium)
{
	size_t size = strlen(medium) + 1;
	struct blocks *blocks = calloc(1, sizeof(*blocks) + size);

	if (!blocks)
		return NULL;
	memcpy(blocks->medium, medium, size);
	blocks->lock_fd = -1;
	pthread_mutex_init(&blocks->lock, NULL);
	TAILQ_INIT(&blocks->claims);
	LIST_INSERT_HEAD(&media, blocks, link);
	return blocks;
}

/* All locks of a process must use one open file description: locks of two descriptions exclude each other. */
static void use_lock_file(struct blocks *blocks, int *lock_fd)
{
	if (blocks->lock_fd >= 0)
		return;
	blocks->lock_fd = *lock_fd;
	*lock_fd = -1;
}

struct blocks *blocks_get(const char *medium, int lock_fd)
{
	struct blocks *blocks;

	pthread_mutex_lock(&media_lock);
	blocks = find(medium);
	if (!blocks)
		blocks = make(medium);
	if (blocks) {
		blocks->nr_users++;
		use_lock_file(blocks, &lock_fd);
	}
	pthread_mutex_unlock(&media_lock);
	if (lock_fd >= 0)
		close(lock_fd);
	return blocks;
}

struct blocks *blocks_put(struct blocks *blocks)
{
	if (!blocks)
		return NULL;
	pthread_mutex_lock(&media_lock);
	if (--blocks->nr_users == 0) {
		assert(TAILQ_EMPTY(&blocks->claims));
		LIST_REMOVE(blocks, link);
		if (blocks->lock_fd >= 0)
			close(blocks->lock_fd);
		pthread_mutex_destroy(&blocks->lock);
		free(blocks);
	}
	pthread_mutex_unlock(&media_lock);
	return NULL;
}

/*
 * Locks of one process do not exclude each other. If two claims locked the same bytes, the first unlock would unlock
 * both.
 */
static bool conflict(const struct blocks *blocks, const struct block_claim *a,
		     const struct block_claim *b)
{
	return (a->alone || b->alone || blocks->lock_fd >= 0) && a->first <= b->last &&
	       b->first <= a->last;
}

bool blocks_claim(struct blocks *blocks, struct block_claim *claim)
{
	const struct block_claim *before;
	uint32_t nr = 0;

	pthread_mutex_lock(&blocks->lock);
	TAILQ_FOREACH(before, &blocks->claims, link)
		nr += conflict(blocks, before, claim);
	claim->nr_before = nr;
	TAILQ_INSERT_TAIL(&blocks->claims, claim, link);
	pthread_mutex_unlock(&blocks->lock);
	return nr == 0;
}

/* --- against other processes --- */

static bool set_lock(const struct blocks *blocks, const struct block_claim *claim, uint64_t at,
		     short type)
{
	struct flock lock = { .l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)(at + claim->first),
			      .l_len = (off_t)(claim->last - claim->first + 1) };

	return fcntl(blocks->lock_fd, F_OFD_SETLK, &lock) == 0;
}

static void unlock(const struct blocks *blocks, const struct block_claim *claim, uint64_t at,
		   bool *locked)
{
	if (*locked)
		set_lock(blocks, claim, at, F_UNLCK);
	*locked = false;
}

bool blocks_lock(struct blocks *blocks, struct block_claim *claim)
{
	if (blocks->lock_fd < 0 || claim->locked)
		return true;
	if (!claim->next)
		claim->next = set_lock(blocks, claim, MEDIUM_LOCK_NEXT, F_WRLCK);
	if (claim->next)
		claim->locked = set_lock(blocks, claim, MEDIUM_LOCK_BLOCKS, F_WRLCK);
	if (claim->locked)
		unlock(blocks, claim, MEDIUM_LOCK_NEXT, &claim->next);
	return claim->locked;
}

void blocks_give_up(struct blocks *blocks, struct block_claim *claim)
{
	struct block_claim *behind;

	unlock(blocks, claim, MEDIUM_LOCK_NEXT, &claim->next);
	unlock(blocks, claim, MEDIUM_LOCK_BLOCKS, &claim->locked);
	pthread_mutex_lock(&blocks->lock);
	for (behind = TAILQ_NEXT(claim, link); behind; behind = TAILQ_NEXT(behind, link))
		if (conflict(blocks, claim, behind) && --behind->nr_before == 0)
			behind->granted(behind);
	TAILQ_REMOVE(&blocks->claims, claim, link);
	pthread_mutex_unlock(&blocks->lock);
}
