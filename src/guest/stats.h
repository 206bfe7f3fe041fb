/* SPDX-License-Identifier: MIT */
/*
 * What a queue counts: 64-bit words in shared memory, which only its worker writes and anybody who has the
 * descriptor may read.
 *
 * Each kind of queue has one list of what it counts (blkback/vbd_stats.h, netback/vif_stats.h): name, unit, meaning.
 * The list makes the struct that the queue counts in, the dump of SIGUSR1 and the man page.
 *
 * A block is of one device. It begins with a header and one `struct stat_row` for each figure, so that a reader needs no
 * list of its own, and one of another version finds what it knows by name. Then each queue has its words, in the
 * order of the rows.
 */
#ifndef PVB_STATS_H
#define PVB_STATS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum stat_kind {
	STAT_COUNTER = 1, /* only grows */
	STAT_GAUGE,
};

/* As it lies in the block. Both texts end with a zero. */
struct stat_row {
	char name[32];
	char unit[12];
	uint32_t kind; /* enum stat_kind */
};

struct stat_entry {
	struct stat_row row;
	const char *help; /* a sentence for the man page */
};

/* One kind of queue. */
struct stat_list {
	const char *name; /* "vbd", "vif" */
	const struct stat_entry *entries;
	uint32_t nr;
};

/* For a list `LIST(COUNTER, GAUGE)` of rows (name, unit, help): the members of its struct; its rows. */
#define STAT_WORD(name_, unit_, help_) uint64_t name_;
#define STAT_ROW(name_, unit_, kind_)                                                              \
	{                                                                                          \
		.name = #name_, .unit = unit_, .kind = kind_                                       \
	}
#define STAT_AS_COUNTER(name_, unit_, help_) { STAT_ROW(name_, unit_, STAT_COUNTER), help_ },
#define STAT_AS_GAUGE(name_, unit_, help_)   { STAT_ROW(name_, unit_, STAT_GAUGE), help_ },

/* The worker: nobody else writes the word, so nothing here is locked. */
static inline void stat_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void stat_add(uint64_t *word, uint64_t n)
{
	stat_set(word, *word + n);
}

/* --- the block, for who counts --- */

struct stats_block {
	void *mem; /* owned mapping; NULL: none */
	size_t bytes;
	size_t first, stride; /* where the first queue's words are, and how far apart */
	int fd;               /* owned; sealed, so that whoever maps it can rely on its size */
};

/* Make one, all zero. 0 or -errno. */
int stats_block_open(struct stats_block *block, const struct stat_list *list, uint32_t nr_queues);
/* Idempotent; fine for one that is zero. */
void stats_block_close(struct stats_block *block);
/* A queue's struct. It belongs to the block. */
void *stats_block_queue(const struct stats_block *block, uint32_t index);

/* --- for who reads --- */

struct stats_view {
	const uint8_t *mem; /* owned mapping; NULL: none */
	size_t bytes;
	size_t first, stride;
	struct stat_row *rows; /* owned: our copy, which was checked */
	uint32_t nr_rows;
	uint32_t nr_queues;
};

/*
 * Map a block to read it; `fd` stays the caller's. 0, -EBADMSG when it is none or not one that we can read, or
 * -errno. Whoever wrote it is not believed: it may change the figures meanwhile, and nothing else.
 */
int stats_view_open(struct stats_view *view, int fd);
/* Idempotent; fine for one that is zero. */
void stats_view_close(struct stats_view *view);
/* A queue's words, one for each row. NULL when there is no such queue. */
const uint64_t *stats_view_queue(const struct stats_view *view, uint32_t index);
/* A word as it is now. */
static inline uint64_t stat_get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Write a queue's figures, " name=value" each. */
void stats_view_print(const struct stats_view *view, uint32_t queue, FILE *out);
/* The same of a queue's struct in this process. */
void stats_print(const struct stat_list *list, const void *stats, FILE *out);

#endif
