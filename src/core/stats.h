/* SPDX-License-Identifier: MIT */
/*
 * The figures of a queue: 64-bit words in shared memory. Only its worker writes them. Whoever has the descriptor may read
 * them.
 *
 * Each kind of queue has one list of what it counts (blkback/vbd_stats.h, netback/vif_stats.h): name, unit, meaning.
 * The list makes the struct that the queue counts in, the dump of SIGUSR1 and the man page.
 *
 * A block has the figures of one device. It begins with a header and one `struct stat_row` for each figure. So a reader
 * needs no list of its own, and a reader of another version finds figures by their names. Then come the words of each
 * queue, in the order of the rows.
 */
#ifndef PVB_STATS_H
#define PVB_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum stat_kind {
	STAT_COUNTER = 1, /* only grows */
	STAT_GAUGE,
	STAT_SINCE, /* when something began, by CLOCK_MONOTONIC, in ns; 0: there is nothing */
	STAT_TIMES, /* how long something took, and how often: struct stat_times */
	STAT_NR_KINDS
};

/*
 * From 1 us (1,024 ns) to 69 s each octave has four buckets of the same width; the first one is for less, the last one
 * for more.
 */
#define STAT_OCTAVES 26u
#define STAT_BUCKETS (STAT_OCTAVES * 4 + 2)

struct stat_times {
	uint64_t sum; /* ns */
	uint64_t buckets[STAT_BUCKETS];
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
	size_t bytes; /* of its struct */
};

/* For a list `LIST(COUNTER, GAUGE, SINCE, TIMES)` of rows (name, unit, help): the members of its struct; its rows. */
#define STAT_MEMBERS(LIST) LIST(STAT_WORD, STAT_WORD, STAT_WORD, STAT_WORDS)
#define STAT_ENTRIES(LIST) LIST(STAT_IS_COUNTER, STAT_IS_GAUGE, STAT_IS_SINCE, STAT_IS_TIMES)

#define STAT_WORD(name_, unit_, help_)  uint64_t name_;
#define STAT_WORDS(name_, unit_, help_) struct stat_times name_;
#define STAT_ENTRY(name_, unit_, kind_, help_)                                                     \
	{ { .name = #name_, .unit = unit_, .kind = kind_ }, help_ },
#define STAT_IS_COUNTER(name_, unit_, help_) STAT_ENTRY(name_, unit_, STAT_COUNTER, help_)
#define STAT_IS_GAUGE(name_, unit_, help_)   STAT_ENTRY(name_, unit_, STAT_GAUGE, help_)
#define STAT_IS_SINCE(name_, unit_, help_)   STAT_ENTRY(name_, unit_, STAT_SINCE, help_)
#define STAT_IS_TIMES(name_, unit_, help_)   STAT_ENTRY(name_, unit_, STAT_TIMES, help_)

/* STATS_OFF makes a daemon that counts nothing and takes no times, to measure what that costs (bench/README.md). */
#ifdef STATS_OFF
#define STATS_ON false
#else
#define STATS_ON true
#endif

/* For the worker only: nobody else writes the word, so no lock is needed. */
static inline void stat_set(uint64_t *word, uint64_t value)
{
	if (STATS_ON)
		__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void stat_add(uint64_t *word, uint64_t n)
{
	stat_set(word, *word + n);
}

/* The bucket of so many ns; and where it begins. */
static inline uint32_t stat_bucket(uint64_t ns)
{
	uint64_t quarters = ns >> 8; /* of the first octave's beginning */
	uint32_t octave = quarters < 4 ? 0 : 61 - (uint32_t)__builtin_clzll(quarters);

	if (quarters < 4)
		return 0;
	if (octave >= STAT_OCTAVES)
		return STAT_BUCKETS - 1;
	return 1 + octave * 4 + (uint32_t)(quarters >> octave & 3);
}
uint64_t stat_bucket_begin(uint32_t bucket);

/* Count that something took the time from `since_ns` until `now_ns`, `nr` times. If the clock went back it counts as 0. */
static inline void stat_took(struct stat_times *times, uint64_t since_ns, uint64_t now_ns,
			     uint64_t nr)
{
	uint64_t ns = now_ns > since_ns ? now_ns - since_ns : 0;

	stat_add(&times->sum, ns * nr);
	stat_add(&times->buckets[stat_bucket(ns)], nr);
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
	/* Of stats_view_rests(): the rows before the first times, which of them say since when, and what all were. */
	uint32_t nr_plain;
	uint64_t since_rows;
	uint64_t digest;
};

/*
 * Map a block to read it; `fd` stays the caller's. 0, -EBADMSG when it is no block or one that we cannot read, or -errno.
 * The writer is not trusted: it can change the figures later, and nothing else.
 */
int stats_view_open(struct stats_view *view, int fd);
/* Idempotent; fine for one that is zero. */
void stats_view_close(struct stats_view *view);
/* A figure of a queue by its name: the words of its kind, to be read by stat_get(). NULL when there is none. */
const uint64_t *stats_view_find(const struct stats_view *view, uint32_t queue, const char *name,
				enum stat_kind kind);
/* The words of row `row`, 0 first; `last`: those of the row before it. */
const uint64_t *stats_view_next(const struct stats_view *view, uint32_t queue, uint32_t row,
				const uint64_t *last);
/* How long ago that is; 0: there is nothing. */
static inline uint64_t stat_age(uint64_t since_ns, uint64_t now_ns)
{
	return since_ns && since_ns < now_ns ? now_ns - since_ns : 0;
}
/*
 * For all queues together: the sum of a counter or a gauge; or the earliest time of a STAT_SINCE, or 0. A time in the future
 * is ignored.
 */
uint64_t stats_view_sum(const struct stats_view *view, const char *name, enum stat_kind kind);
uint64_t stats_view_oldest(const struct stats_view *view, const char *name, uint64_t now_ns);
/*
 * Whether no counter has changed since the last call, and nothing is under way. It looks at the rows before the first
 * STAT_TIMES, so it is cheap enough for a thousand devices.
 */
bool stats_view_rests(struct stats_view *view);
/* A word as it is now. */
static inline uint64_t stat_get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* A copy of the times; how many there are; and about the time that `per_mille` of a thousand did not exceed. */
struct stat_times stat_times_get(const uint64_t *words);
uint64_t stat_times_count(const struct stat_times *times);
uint64_t stat_times_quantile(const struct stat_times *times, uint32_t per_mille);

/*
 * Write a queue's figures, " name=value" each: of what began its age in ns; of times that were taken
 * " name_count=N name_mean_us=N name_p50_us=N name_p99_us=N".
 */
void stats_view_print(const struct stats_view *view, uint32_t queue, FILE *out);
/* The same of a queue's struct in this process. */
void stats_print(const struct stat_list *list, const void *stats, FILE *out);

#endif
