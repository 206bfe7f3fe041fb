/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/journal.h"
#include "core/statefile.h"

_Static_assert(sizeof(struct blk_segment) == 8, "journal versions 1 to 3");
_Static_assert(offsetof(struct journal_header, ring) == 48, "journal version 1");
_Static_assert(offsetof(struct journal_header, flush_failed) == 56, "journal version 2");
_Static_assert(sizeof(struct journal_header) == 64, "journal version 3");
_Static_assert(sizeof(struct journal_entry) == 136, "journal versions 1 to 3");

static size_t header_bytes(uint32_t version)
{
	switch (version) {
	case 1:
		return offsetof(struct journal_header, ring);
	case 2:
		return offsetof(struct journal_header, flush_failed);
	default:
		return sizeof(struct journal_header);
	}
}

/* A hash over what another build may lay out differently under the same version number. */
static uint32_t shape(uint32_t version)
{
	const size_t facts[] = {
		header_bytes(version),
		sizeof(struct journal_entry),
		offsetof(struct journal_entry, req),
		offsetof(struct blk_request, sector),
		offsetof(struct blk_request, segments),
		offsetof(struct journal_header, rsp_prod),
		offsetof(struct blk_request, indirect),
		offsetof(struct blk_request, nr_sectors),
	};
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		sum = (sum ^ (uint32_t)facts[i]) * 16777619u;
	return sum;
}

static uint32_t mix(uint32_t sum, uint32_t fact)
{
	sum = (sum ^ fact) * 0x9e3779b1u; /* odd: loses no bits */
	return sum ^ sum >> 15;
}

/* Over the members that never change. */
static uint32_t header_sum(const struct journal_header *header)
{
	const uint32_t facts[] = {
		header->version, header->shape, header->nr_entries, header->domid,
		header->devid,   header->queue, header->abi,        header->ring,
	};
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		sum = mix(sum, facts[i]);
	return sum;
}

uint32_t journal_ring_sum(uint32_t port, const uint32_t *refs, uint32_t nr_refs)
{
	uint32_t sum = port + 1;

	for (uint32_t i = 0; i < nr_refs; i++)
		sum = mix(sum, refs[i]);
	return sum;
}

static size_t bytes_of(uint32_t version, uint32_t nr_entries)
{
	return header_bytes(version) + nr_entries * sizeof(struct journal_entry);
}

size_t journal_bytes(uint32_t nr_entries)
{
	return bytes_of(JOURNAL_VERSION, nr_entries);
}

static int map(struct journal *journal, int fd)
{
	void *addr;
	int err;

	*journal = (struct journal){ 0 };
	err = statefile_map_all(fd, JOURNAL_MAX_BYTES, &addr, &journal->bytes);
	if (!err)
		journal->header = addr;
	return err;
}

static void find_entries(struct journal *journal, uint32_t version)
{
	journal->entries =
		(struct journal_entry *)(void *)((char *)journal->header + header_bytes(version));
}

static void write_header(struct journal *journal, const struct journal_id *id, uint32_t nr_entries,
			 uint32_t rsp_prod)
{
	struct journal_header header = {
		.version = JOURNAL_VERSION,
		.shape = shape(JOURNAL_VERSION),
		.nr_entries = nr_entries,
		.domid = id->domid,
		.devid = id->devid,
		.queue = id->queue,
		.abi = (uint32_t)id->abi,
		.req_cons = rsp_prod,
		.rsp_prod = rsp_prod,
		.rsp_next = rsp_prod,
		.ring = id->ring,
	};

	header.sum = header_sum(&header);
	memcpy(journal->header, &header, header_bytes(JOURNAL_VERSION));
	__atomic_store_n(&journal->header->magic, JOURNAL_MAGIC, __ATOMIC_RELEASE);
}

int journal_begin(struct journal *journal, int fd, const struct journal_id *id, uint32_t nr_entries,
		  uint32_t rsp_prod)
{
	int err = map(journal, fd);

	if (!err && journal->bytes != journal_bytes(nr_entries))
		err = -EBADMSG;
	if (err) {
		journal_close(journal);
		return err;
	}
	find_entries(journal, JOURNAL_VERSION);
	memset(journal->entries, 0, nr_entries * sizeof(journal->entries[0]));
	write_header(journal, id, nr_entries, rsp_prod);
	return 0;
}

/* --- what an earlier process left --- */

static int check_header(const struct journal *journal, const struct journal_id *id,
			uint32_t nr_entries)
{
	const struct journal_header *header = journal->header;
	uint32_t version = header->version;

	if (journal->bytes < header_bytes(1))
		return -EBADMSG;
	if (header->magic == 0)
		return -ENOENT;
	if (header->magic != JOURNAL_MAGIC)
		return -EBADMSG;
	if (version == 0 || version > JOURNAL_NEWEST)
		return -EPROTONOSUPPORT;
	if (journal->bytes != bytes_of(version, nr_entries) || header->shape != shape(version) ||
	    header->nr_entries != nr_entries || header->domid != id->domid ||
	    header->devid != id->devid || header->queue != id->queue ||
	    header->abi != (uint32_t)id->abi)
		return -EBADMSG;
	if (version > 1 && (header->ring != id->ring || header->sum != header_sum(header)))
		return -EBADMSG;
	return 0;
}

int journal_open(struct journal *journal, int fd, const struct journal_id *id, uint32_t nr_entries)
{
	int err = map(journal, fd);

	if (!err)
		err = check_header(journal, id, nr_entries);
	if (err)
		journal_close(journal);
	else
		find_entries(journal, journal->header->version);
	return err;
}

/* --- recovery --- */

/* With release order: after a crash, no entry claims more than it holds. */
static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Free the answered entries if step 3 had made their responses public. Else they are still taken. */
static void settle_answers(struct journal *journal, bool public)
{
	for (uint32_t i = 0; i < journal->header->nr_entries; i++) {
		struct journal_entry *entry = &journal->entries[i];

		if (entry->state == JOURNAL_ANSWERED)
			store(&entry->state, public ? JOURNAL_FREE : JOURNAL_TAKEN);
	}
}

/*
 * One multiplication per word, so that it costs little beside the copy that it protects. Any flipped bit changes the
 * sum.
 */
static uint32_t sum_of(const struct journal_entry *entry)
{
	uint64_t words[sizeof(entry->req) / sizeof(uint64_t)], sum = entry->index + 1ull;

	_Static_assert(sizeof(words) == sizeof(entry->req), "whole words");
	memcpy(words, &entry->req, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15ull; /* odd: loses no bits */
		sum ^= sum >> 29;
	}
	return (uint32_t)(sum ^ sum >> 32) | 1; /* never the sum of a free entry */
}

/*
 * By age. Indices wrap, so the order starts half the number space back: any number of younger requests may have
 * overtaken a slow one.
 */
static int by_index(const void *a, const void *b, void *user)
{
	const struct journal *journal = user;
	uint32_t oldest = journal->header->req_cons - (1u << 31);
	uint32_t left = journal->entries[*(const uint32_t *)a].index - oldest;
	uint32_t right = journal->entries[*(const uint32_t *)b].index - oldest;

	return left < right ? -1 : left > right;
}

/* Find the taken entries, oldest first. -EBADMSG when an entry is damaged. */
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
 * Each response answers one request, so the taken indices end at rsp_prod + nr. The header has that end, or it is one
 * behind: then it misses the youngest entry.
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
	/* In this order: if the daemon dies in between, the next one can still recover. */
	store(&header->req_cons, rsp_prod + (uint32_t)nr);
	store(&header->rsp_prod, rsp_prod);
	store(&header->rsp_next, rsp_prod);
	return nr;
}

/* --- every request --- */

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

void journal_flush_failed(struct journal *journal, bool failed)
{
	if (journal->header->version >= 3)
		store(&journal->header->flush_failed, failed);
}

bool journal_left_flush_failed(int fd)
{
	struct journal_header header;

	return pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	       header.magic == JOURNAL_MAGIC && header.version >= 3 && header.flush_failed;
}

void journal_close(struct journal *journal)
{
	statefile_unmap(journal->header, journal->bytes);
	*journal = (struct journal){ 0 };
}
