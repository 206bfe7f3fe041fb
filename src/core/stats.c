/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/stats.h"

#define MAGIC     "pvbstats"
#define VERSION   1u
#define MAX_BYTES ((uint64_t)1 << 20)
/* More rows than any queue has, and more queues than a device has. They bound how long we read a hostile block. */
#define MAX_ROWS     256u
#define MAX_QUEUES   16u
#define MAX_PLAIN    64u /* rows that stats_view_rests() looks at: they fit into a mask */
#define DIGEST_PRIME UINT64_C(0x100000001b3)
#define SEALS        (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
/* Queues are on different workers, so no two share a cache line, or a pair of lines that the CPU loads together. */
#define LINE 128u

struct header {
	char magic[8];
	uint32_t version; /* of this header, the rows and what a kind means */
	uint32_t nr_rows; /* behind the header */
	uint32_t nr_queues;
	uint32_t first;  /* from the beginning of the block, in bytes */
	uint32_t stride; /* from one queue to the next */
	uint32_t zero;
};

static size_t in_lines(size_t bytes)
{
	return (bytes + LINE - 1) / LINE * LINE;
}

static uint32_t words_of(const struct stat_row *row)
{
	return row->kind == STAT_TIMES ? sizeof(struct stat_times) / sizeof(uint64_t) : 1;
}

/* --- the block --- */

static void describe(const struct stats_block *block, const struct stat_list *list,
		     uint32_t nr_queues)
{
	struct header *header = block->mem;
	struct stat_row *rows = (struct stat_row *)(void *)(header + 1);

	*header = (struct header){ .version = VERSION,
				   .nr_rows = list->nr,
				   .nr_queues = nr_queues,
				   .first = (uint32_t)block->first,
				   .stride = (uint32_t)block->stride };
	memcpy(header->magic, MAGIC, sizeof(header->magic));
	for (uint32_t i = 0; i < list->nr; i++)
		rows[i] = list->entries[i].row;
}

static int map_block(struct stats_block *block)
{
	block->fd = memfd_create("pvbackd-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (block->fd < 0 || ftruncate(block->fd, (off_t)block->bytes) < 0 ||
	    fcntl(block->fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	block->mem = mmap(NULL, block->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, block->fd, 0);
	if (block->mem != MAP_FAILED)
		return 0;
	block->mem = NULL;
	return -errno;
}

int stats_block_open(struct stats_block *block, const struct stat_list *list, uint32_t nr_queues)
{
	size_t first = in_lines(sizeof(struct header) + list->nr * sizeof(struct stat_row));
	size_t stride = in_lines(list->bytes);
	int err;

	*block = (struct stats_block){ .bytes = first + nr_queues * stride,
				       .first = first,
				       .stride = stride };
	err = map_block(block);
	if (err)
		stats_block_close(block);
	else
		describe(block, list, nr_queues);
	return err;
}

void stats_block_close(struct stats_block *block)
{
	if (block->bytes && block->fd >= 0)
		close(block->fd);
	if (block->mem)
		munmap(block->mem, block->bytes);
	*block = (struct stats_block){ 0 };
}

void *stats_block_queue(const struct stats_block *block, uint32_t index)
{
	return (uint8_t *)block->mem + block->first + index * block->stride;
}

/* --- reading --- */

static bool is_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	return len < size && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool is_row(const struct stat_row *row)
{
	return row->name[0] && is_text(row->name, sizeof(row->name)) &&
	       is_text(row->unit, sizeof(row->unit)) && row->kind >= STAT_COUNTER &&
	       row->kind < STAT_NR_KINDS;
}

/* Everything lies within the block, in this order. */
static bool fits(const struct header *h, size_t bytes)
{
	uint64_t rows_end = sizeof(*h) + (uint64_t)h->nr_rows * sizeof(struct stat_row);

	return h->nr_rows && h->nr_rows <= MAX_ROWS && h->nr_queues && h->nr_queues <= MAX_QUEUES &&
	       h->first >= rows_end && (h->first | h->stride) % sizeof(uint64_t) == 0 &&
	       h->first + (uint64_t)h->nr_queues * h->stride <= bytes;
}

static void note_plain_rows(struct stats_view *view)
{
	const struct stat_row *row = view->rows;

	for (; view->nr_plain < view->nr_rows && view->nr_plain < MAX_PLAIN;
	     view->nr_plain++, row++) {
		if (row->kind == STAT_TIMES)
			break;
		if (row->kind == STAT_SINCE)
			view->since_rows |= UINT64_C(1) << view->nr_plain;
	}
}

static int read_rows(struct stats_view *view)
{
	struct header h; /* our copy */
	uint64_t words = 0;

	memcpy(&h, view->mem, sizeof(h));
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0 || h.version != VERSION ||
	    !fits(&h, view->bytes))
		return -EBADMSG;
	view->rows = calloc(h.nr_rows, sizeof(view->rows[0]));
	if (!view->rows)
		return -ENOMEM;
	memcpy(view->rows, view->mem + sizeof(h), h.nr_rows * sizeof(view->rows[0]));
	for (uint32_t i = 0; i < h.nr_rows; i++) {
		if (!is_row(&view->rows[i]))
			return -EBADMSG;
		words += words_of(&view->rows[i]);
	}
	if (words * sizeof(uint64_t) > h.stride)
		return -EBADMSG;
	view->nr_rows = h.nr_rows;
	view->nr_queues = h.nr_queues;
	view->first = h.first;
	view->stride = h.stride;
	note_plain_rows(view);
	return 0;
}

/*
 * Only a memfd has seals. With these seals no page of it can be removed while we have it mapped. Huge pages (hugetlbfs) are
 * refused: there may be none left when we first read one.
 */
static int map_view(struct stats_view *view, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;
	void *mem;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EBADMSG;
	if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return -EBADMSG;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(struct header) || (uint64_t)st.st_size > MAX_BYTES)
		return -EBADMSG;
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return -errno;
	view->mem = mem;
	view->bytes = (size_t)st.st_size;
	return 0;
}

int stats_view_open(struct stats_view *view, int fd)
{
	int err;

	*view = (struct stats_view){ 0 };
	err = map_view(view, fd);
	if (!err)
		err = read_rows(view);
	if (err)
		stats_view_close(view);
	return err;
}

void stats_view_close(struct stats_view *view)
{
	free(view->rows);
	if (view->mem)
		munmap((void *)(uintptr_t)view->mem, view->bytes);
	*view = (struct stats_view){ 0 };
}

static const uint64_t *words_of_queue(const struct stats_view *view, uint32_t queue)
{
	return (const uint64_t *)(const void *)(view->mem + view->first + queue * view->stride);
}

const uint64_t *stats_view_next(const struct stats_view *view, uint32_t queue, uint32_t row,
				const uint64_t *last)
{
	return row == 0 ? words_of_queue(view, queue) : last + words_of(&view->rows[row - 1]);
}

const uint64_t *stats_view_find(const struct stats_view *view, uint32_t queue, const char *name,
				enum stat_kind kind)
{
	const uint64_t *words = NULL;

	if (queue >= view->nr_queues)
		return NULL;
	for (uint32_t i = 0; i < view->nr_rows; i++) {
		words = stats_view_next(view, queue, i, words);
		if (view->rows[i].kind == kind && strcmp(view->rows[i].name, name) == 0)
			return words;
	}
	return NULL;
}

/* --- times --- */

uint64_t stat_bucket_begin(uint32_t bucket)
{
	return bucket == 0 ? 0 : (uint64_t)(4 + (bucket - 1) % 4) << ((bucket - 1) / 4 + 8);
}

uint64_t stats_view_sum(const struct stats_view *view, const char *name, enum stat_kind kind)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < view->nr_queues; i++) {
		const uint64_t *word = stats_view_find(view, i, name, kind);

		sum += word ? stat_get(word) : 0;
	}
	return sum;
}

uint64_t stats_view_oldest(const struct stats_view *view, const char *name, uint64_t now_ns)
{
	uint64_t oldest_ns = 0;

	for (uint32_t i = 0; i < view->nr_queues; i++) {
		const uint64_t *word = stats_view_find(view, i, name, STAT_SINCE);
		uint64_t since_ns = word ? stat_get(word) : 0;

		if (since_ns && since_ns <= now_ns && (!oldest_ns || since_ns < oldest_ns))
			oldest_ns = since_ns;
	}
	return oldest_ns;
}

bool stats_view_rests(struct stats_view *view)
{
	uint64_t digest = 0, last = view->digest;
	bool waits = false;

	for (uint32_t queue = 0; queue < view->nr_queues; queue++) {
		const uint64_t *words = words_of_queue(view, queue);

		for (uint32_t i = 0; i < view->nr_plain; i++) {
			uint64_t value = stat_get(&words[i]);

			waits = waits || (value && view->since_rows >> i & 1);
			digest = (digest ^ value) * DIGEST_PRIME;
		}
	}
	view->digest = digest;
	return !waits && digest == last;
}

struct stat_times stat_times_get(const uint64_t *words)
{
	struct stat_times times = { .sum = stat_get(words) };

	for (uint32_t i = 0; i < STAT_BUCKETS; i++)
		times.buckets[i] = stat_get(words + 1 + i);
	return times;
}

uint64_t stat_times_count(const struct stat_times *times)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < STAT_BUCKETS; i++)
		count += times->buckets[i];
	return count;
}

/* Assumes that times are spread evenly within a bucket. Of the last bucket only the beginning is known. */
uint64_t stat_times_quantile(const struct stat_times *times, uint32_t per_mille)
{
	double left = (double)stat_times_count(times) * per_mille / 1000;

	for (uint32_t i = 0; i < STAT_BUCKETS - 1; i++) {
		double in_it = (double)times->buckets[i];
		uint64_t begin = stat_bucket_begin(i);

		if (in_it > 0 && left <= in_it)
			return begin + (uint64_t)((double)(stat_bucket_begin(i + 1) - begin) *
						  left / in_it);
		left -= in_it;
	}
	return stat_bucket_begin(STAT_BUCKETS - 1);
}

/* --- as text --- */

static void print_times(const struct stat_row *row, const uint64_t *words, FILE *out)
{
	struct stat_times times = stat_times_get(words);
	uint64_t count = stat_times_count(&times);

	if (!count)
		return;
	fprintf(out,
		" %s_count=%" PRIu64 " %s_mean_us=%" PRIu64 " %s_p50_us=%" PRIu64
		" %s_p99_us=%" PRIu64,
		row->name, count, row->name, times.sum / count / 1000, row->name,
		stat_times_quantile(&times, 500) / 1000, row->name,
		stat_times_quantile(&times, 990) / 1000);
}

/* Returns the words of the next row. */
static const uint64_t *print_row(const struct stat_row *row, const uint64_t *words, uint64_t now_ns,
				 FILE *out)
{
	uint64_t value = stat_get(words);

	if (row->kind == STAT_TIMES)
		print_times(row, words, out);
	else
		fprintf(out, " %s=%" PRIu64, row->name,
			row->kind == STAT_SINCE ? stat_age(value, now_ns) : value);
	return words + words_of(row);
}

void stats_view_print(const struct stats_view *view, uint32_t queue, FILE *out)
{
	const uint64_t *words = words_of_queue(view, queue);
	uint64_t now_ns = loop_now_ns();

	for (uint32_t i = 0; i < view->nr_rows; i++)
		words = print_row(&view->rows[i], words, now_ns, out);
}

void stats_print(const struct stat_list *list, const void *stats, FILE *out)
{
	const uint64_t *words = stats;
	uint64_t now_ns = loop_now_ns();

	for (uint32_t i = 0; i < list->nr; i++)
		words = print_row(&list->entries[i].row, words, now_ns, out);
}
