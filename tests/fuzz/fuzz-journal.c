/* SPDX-License-Identifier: MIT */
/*
 * Any damage to a journal with requests in flight: recovery replays only requests that were in flight, in
 * their order and each once, or it refuses the journal.
 */
#include <unistd.h>

#include "blkback/journal.h"
#include "core/statefile.h"
#include "fuzz/fuzz.h"

#define NR   32u
#define NAME "journal"

static char dir[] = "/tmp/pvbackd-fuzz.XXXXXX";

static void remove_dir(void)
{
	statefile_remove(dir, NAME);
	rmdir(dir);
}

static void fill(struct journal *journal)
{
	for (uint32_t i = 0; i < 20; i++) {
		journal->entries[i].req = (struct blk_request){
			.id = i, .sector = i * 8, .nr_sectors = 8, .nr_segments = 1
		};
		journal_take(journal, &journal->entries[i], i);
	}
	journal_announce(journal, 4);
	for (uint32_t i = 0; i < 4; i++)
		journal_answer(&journal->entries[i]);
	journal_published(journal, 4);
	for (uint32_t i = 0; i < 4; i++)
		journal_release(&journal->entries[i]);
}

static void check(struct journal *journal, uint32_t rsp_prod)
{
	uint32_t order[NR];
	int nr = journal_recover(journal, rsp_prod, order);

	if (nr < 0)
		return;
	HOLDS(nr <= (int)NR);
	for (int i = 0; i < nr; i++) {
		const struct blk_request *req = &journal->entries[order[i]].req;

		HOLDS(req->id >= 4 && req->id < 20 && req->sector == req->id * 8);
		HOLDS(i == 0 || journal->entries[order[i - 1]].req.id < req->id);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int made;
	struct fuzz_input in = { data, size };
	struct journal_id id = { .domid = 1, .devid = 2 };
	struct journal journal;
	int fd;

	if (!made) {
		HOLDS(mkdtemp(dir));
		atexit(remove_dir);
		made = 1;
	}
	HOLDS(statefile_create(dir, NAME, journal_bytes(NR), &fd) == 0);
	HOLDS(journal_begin(&journal, fd, &id, NR, 0) == 0);
	fill(&journal);
	while (in.left >= 3) {
		uint32_t at = fuzz_u8(&in) | (uint32_t)fuzz_u8(&in) << 8;

		((uint8_t *)journal.header)[at % journal.bytes] ^= fuzz_u8(&in);
	}
	journal_close(&journal);
	if (journal_open(&journal, fd, &id, NR) == 0)
		check(&journal, 4);
	journal_close(&journal);
	statefile_close(&fd);
	return 0;
}
