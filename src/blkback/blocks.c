/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "blkback/blocks.h"

struct blocks {
	LIST_ENTRY(blocks) link;
	unsigned int nr_users;
	pthread_mutex_t lock;
	TAILQ_HEAD(, block_claim) claims; /* in the order of their making */
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
	pthread_mutex_init(&blocks->lock, NULL);
	TAILQ_INIT(&blocks->claims);
	LIST_INSERT_HEAD(&media, blocks, link);
	return blocks;
}

struct blocks *blocks_get(const char *medium)
{
	struct blocks *blocks;

	pthread_mutex_lock(&media_lock);
	blocks = find(medium);
	if (!blocks)
		blocks = make(medium);
	if (blocks)
		blocks->nr_users++;
	pthread_mutex_unlock(&media_lock);
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
		pthread_mutex_destroy(&blocks->lock);
		free(blocks);
	}
	pthread_mutex_unlock(&media_lock);
	return NULL;
}

static bool conflict(const struct block_claim *a, const struct block_claim *b)
{
	return (a->alone || b->alone) && a->first <= b->last && b->first <= a->last;
}

bool blocks_claim(struct blocks *blocks, struct block_claim *claim)
{
	const struct block_claim *before;
	uint32_t nr = 0;

	pthread_mutex_lock(&blocks->lock);
	TAILQ_FOREACH(before, &blocks->claims, link)
		nr += conflict(before, claim);
	claim->nr_before = nr;
	TAILQ_INSERT_TAIL(&blocks->claims, claim, link);
	pthread_mutex_unlock(&blocks->lock);
	return nr == 0;
}

void blocks_give_up(struct blocks *blocks, struct block_claim *claim)
{
	struct block_claim *behind;

	pthread_mutex_lock(&blocks->lock);
	for (behind = TAILQ_NEXT(claim, link); behind; behind = TAILQ_NEXT(behind, link))
		if (conflict(claim, behind) && --behind->nr_before == 0)
			behind->granted(behind);
	TAILQ_REMOVE(&blocks->claims, claim, link);
	pthread_mutex_unlock(&blocks->lock);
}
