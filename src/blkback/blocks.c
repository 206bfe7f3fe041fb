/* SPDX-License-Identifier: MIT */
#include "blkback/blocks.h"

void blocks_init(struct blocks *blocks)
{
	pthread_mutex_init(&blocks->lock, NULL);
	TAILQ_INIT(&blocks->claims);
}

void blocks_done(struct blocks *blocks)
{
	pthread_mutex_destroy(&blocks->lock);
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
