/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/journal.h"

_Static_assert(sizeof(struct blk_segment) == 8, "journal version 1");
_Static_assert(sizeof(struct journal_header) == 48, "journal version 1");
_Static_assert(sizeof(struct journal_entry) == 136, "journal version 1");

/* Whatever a build might lay out otherwise under the same version number. */
static uint32_t shape(void)
{
	static const size_t facts[] = {
		sizeof(struct journal_header),          sizeof(struct journal_entry),
		offsetof(struct journal_entry, req),    offsetof(struct blk_request, sector),
		offsetof(struct blk_request, segments), offsetof(struct journal_header, rsp_prod),
		offsetof(struct blk_request, indirect), offsetof(struct blk_request, nr_sectors),
	};
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		sum = (sum ^ (uint32_t)facts[i]) * 16777619u;
	return sum;
}

static int path_of(const struct journal_id *id, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/vbd-%u-%u-%u.journal", id->dir, id->domid, id->devid,
			 id->queue);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static size_t bytes_of(uint32_t nr_entries)
{
	return sizeof(struct journal_header) + nr_entries * sizeof(struct journal_entry);
}

static int map_file(struct journal *journal, int fd)
{
	void *addr = mmap(NULL, journal->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (addr == MAP_FAILED)
		return -errno;
	journal->header = addr;
	journal->entries = (struct journal_entry *)(void *)(journal->header + 1);
	return 0;
}

/* The blocks are allocated here: a full tmpfs must not be found out by SIGBUS in a worker. */
static int make_file(struct journal *journal)
{
	int err, fd;

	if (unlink(journal->path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(journal->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = -posix_fallocate(fd, 0, (off_t)journal->bytes);
	if (!err)
		err = map_file(journal, fd);
	close(fd);
	return err;
}

int journal_create(struct journal *journal, const struct journal_id *id, uint32_t nr_entries,
		   uint32_t rsp_prod)
{
	int err;

	*journal = (struct journal){ .bytes = bytes_of(nr_entries) };
	err = path_of(id, journal->path, sizeof(journal->path));
	if (!err)
		err = make_file(journal);
	if (err) {
		journal_close(journal, true);
		return err;
	}
	*journal->header = (struct journal_header){
		.magic = JOURNAL_MAGIC,
		.version = JOURNAL_VERSION,
		.shape = shape(),
		.nr_entries = nr_entries,
		.domid = id->domid,
		.devid = id->devid,
		.queue = id->queue,
		.abi = (uint32_t)id->abi,
		.req_cons = rsp_prod,
		.rsp_prod = rsp_prod,
		.rsp_next = rsp_prod,
	};
	return 0;
}

static bool is_ours(const struct journal_header *header, const struct journal_id *id,
		    uint32_t nr_entries)
{
	return header->magic == JOURNAL_MAGIC && header->version == JOURNAL_VERSION &&
	       header->shape == shape() && header->nr_entries == nr_entries &&
	       header->domid == id->domid && header->devid == id->devid &&
	       header->queue == id->queue && header->abi == (uint32_t)id->abi;
}

static int map_left(struct journal *journal, const struct journal_id *id, uint32_t nr_entries)
{
	int fd = open(journal->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int err;

	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size != (off_t)journal->bytes)
		err = -EBADMSG;
	else
		err = map_file(journal, fd);
	close(fd);
	if (!err && !is_ours(journal->header, id, nr_entries))
		err = -EBADMSG;
	return err;
}

int journal_open(struct journal *journal, const struct journal_id *id, uint32_t nr_entries)
{
	int err;

	*journal = (struct journal){ .bytes = bytes_of(nr_entries) };
	err = path_of(id, journal->path, sizeof(journal->path));
	if (!err)
		err = map_left(journal, id, nr_entries);
	if (err)
		journal_close(journal, false);
	return err;
}

/* --- recovery --- */

/* Free what step 3 had made public; what it had not is taken still. */
static void settle_answers(struct journal *journal, bool public)
{
	for (uint32_t i = 0; i < journal->header->nr_entries; i++) {
		struct journal_entry *entry = &journal->entries[i];

		if (entry->state == JOURNAL_ANSWERED)
			entry->state = public ? JOURNAL_FREE : JOURNAL_TAKEN;
	}
}

/*
 * One word a step, so that it costs little beside the copy it protects. Any flipped bit changes it.
 */
static uint32_t sum_of(const struct journal_entry *entry)
{
	uint64_t words[sizeof(entry->req) / sizeof(uint64_t)], sum = entry->index + 1ull;

	_Static_assert(sizeof(words) == sizeof(entry->req), "whole words");
	memcpy(words, &entry->req, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15ull; /* odd: loses nothing */
		sum ^= sum >> 29;
	}
	return (uint32_t)(sum ^ sum >> 32) | 1; /* never that of a free entry */
}

/*
 * By age. Indices wrap, so count from half the number space back: a slow request may be any number of
 * others behind.
 */
static int by_index(const void *a, const void *b, void *user)
{
	const struct journal *journal = user;
	uint32_t oldest = journal->header->req_cons - (1u << 31);
	uint32_t left = journal->entries[*(const uint32_t *)a].index - oldest;
	uint32_t right = journal->entries[*(const uint32_t *)b].index - oldest;

	return left < right ? -1 : left > right;
}

/* The entries that are taken, oldest first. -EBADMSG when one is not whole. */
static int find_taken(struct journal *journal, uint32_t *order)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < journal->header->nr_entries; i++) {
		const struct journal_entry *entry = &journal->entries[i];

		if (entry->state == JOURNAL_FREE)
			continue;
		if (entry->state != JOURNAL_TAKEN || entry->sum != sum_of(entry))
			return -EBADMSG;
		order[nr++] = i;
	}
	qsort_r(order, nr, sizeof(order[0]), by_index, journal);
	return (int)nr;
}

/*
 * All requests before the base were answered by as many responses, so what was taken ends at
 * rsp_prod + nr. The header agrees, or is one behind: then the youngest is the one it missed.
 */
static bool adds_up(const struct journal *journal, uint32_t rsp_prod, const uint32_t *order, int nr)
{
	uint32_t end = rsp_prod + (uint32_t)nr;
	uint32_t known = journal->header->req_cons;

	if (end != known &&
	    (end != known + 1 || nr == 0 || journal->entries[order[nr - 1]].index != known))
		return false;
	for (int i = 0; i < nr; i++) {
		uint32_t index = journal->entries[order[i]].index;

		if (end - 1 - index >= 1u << 31)
			return false;
		if (i && index == journal->entries[order[i - 1]].index)
			return false;
	}
	return true;
}

int journal_recover(struct journal *journal, uint32_t rsp_prod, uint32_t *ret_order)
{
	struct journal_header *header = journal->header;
	int nr;

	if (rsp_prod != header->rsp_prod && rsp_prod != header->rsp_next)
		return -EBADMSG;
	settle_answers(journal, rsp_prod == header->rsp_next);
	nr = find_taken(journal, ret_order);
	if (nr < 0)
		return nr;
	if (!adds_up(journal, rsp_prod, ret_order, nr))
		return -EBADMSG;
	header->req_cons = rsp_prod + (uint32_t)nr;
	header->rsp_prod = rsp_prod;
	header->rsp_next = rsp_prod;
	return nr;
}

/* --- every request --- */

/* Release: a crash never leaves an entry that claims more than it holds. */
static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void journal_take(struct journal *journal, struct journal_entry *entry, uint32_t index)
{
	entry->index = index;
	entry->sum = sum_of(entry);
	store(&entry->state, JOURNAL_TAKEN);
	store(&journal->header->req_cons, index + 1);
}

void journal_announce(struct journal *journal, uint32_t rsp_prod)
{
	store(&journal->header->rsp_next, rsp_prod);
}

void journal_answer(struct journal_entry *entry)
{
	store(&entry->state, JOURNAL_ANSWERED);
}

void journal_published(struct journal *journal, uint32_t rsp_prod)
{
	store(&journal->header->rsp_prod, rsp_prod);
}

void journal_release(struct journal_entry *entry)
{
	store(&entry->state, JOURNAL_FREE);
	entry->sum = 0;
}

void journal_close(struct journal *journal, bool remove)
{
	if (journal->header)
		munmap(journal->header, journal->bytes);
	if (remove && *journal->path)
		unlink(journal->path);
	*journal = (struct journal){ 0 };
}
