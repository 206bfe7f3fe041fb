/* SPDX-License-Identifier: MIT */
/* The request pool as a file: requests in flight are found again, and nothing else in the file is accepted. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/journal.h"
#include "blkback/vbd_file.h"
#include "core/statefile.h"

static char dir[] = "/tmp/pvbackd-journal.XXXXXX";
static const struct vbd_id disk = { .dir = dir, .domid = 7, .devid = 51712 };
static struct journal_id id = { .domid = 7, .devid = 51712, .queue = 0 };

#define NR   32u
#define BASE 0xfffffff0u /* so that each index wraps around */

static struct journal journal;
static uint32_t order[NR];

static void fresh(void)
{
	int fd;

	CHECK(vbd_file_journal(&disk, 0, NR, false, &fd) == 0);
	CHECK(journal_begin(&journal, fd, &id, NR, BASE) == 0);
	statefile_close(&fd);
}

static int open_as(const struct journal_id *as, uint32_t nr)
{
	int fd, err = vbd_file_journal(&disk, 0, nr, true, &fd);

	if (err)
		return err;
	err = journal_open(&journal, fd, as, nr);
	statefile_close(&fd);
	return err;
}

/* The process dies and another one opens the journal. */
static int look_again(uint32_t rsp_prod)
{
	int err;

	journal_close(&journal);
	err = open_as(&id, NR);
	return err ? err : journal_recover(&journal, rsp_prod, order);
}

static void take(uint32_t entry, uint32_t index)
{
	journal.entries[entry].req = (struct blk_request){
		.id = index, .op = BLKIF_READ, .nr_segments = 1, .nr_sectors = 1
	};
	journal_take(&journal, &journal.entries[entry], BASE + index);
}

static void no_journal_is_told_apart_from_an_empty_one(void **state)
{
	(void)state;
	CHECK(open_as(&id, NR) == -ENOENT); /* now there is a file that was never used */
	CHECK(open_as(&id, NR) == -ENOENT);
	CHECK(vbd_file_has_journal(&disk) && !vbd_file_flush_failed(&disk));
	fresh();
	CHECK(look_again(BASE) == 0);
}

static void one_that_was_not_begun_can_be_begun_by_a_later_life(void **state)
{
	int fd;

	(void)state;
	CHECK(vbd_file_journal(&disk, 0, NR, false, &fd) ==
	      0); /* dead before the ring was mapped */
	statefile_close(&fd);
	CHECK(vbd_file_journal(&disk, 0, NR, true, &fd) == 0);
	CHECK(journal_open(&journal, fd, &id, NR) == -ENOENT);
	CHECK(journal_begin(&journal, fd, &id, NR * 2, BASE) == -EBADMSG && !journal.header);
	CHECK(journal_begin(&journal, fd, &id, NR, BASE) == 0);
	statefile_close(&fd);
	take(3, 0);
	CHECK(look_again(BASE) == 1);
}

static void what_was_taken_is_replayed_oldest_first(void **state)
{
	(void)state;
	fresh();
	for (uint32_t i = 0; i < NR; i++)
		take((i * 7 + 3) % NR, i);
	CHECK(look_again(BASE) == (int)NR);
	for (uint32_t i = 0; i < NR; i++)
		CHECK(journal.entries[order[i]].req.id == i);
	CHECK(look_again(BASE) == (int)NR); /* the same, if the second process dies, too */
}

/* Two requests are taken and the second is answered. Stop after each step of publishing in turn. */
static int die_after_step(unsigned int step, uint32_t shared)
{
	fresh();
	take(5, 0);
	take(9, 1);
	if (step >= 1)
		journal_announce(&journal, BASE + 1);
	if (step >= 2)
		journal_answer(&journal.entries[9]);
	if (step >= 4)
		journal_published(&journal, BASE + 1);
	if (step >= 5)
		journal_release(&journal.entries[9]);
	return look_again(shared);
}

static void a_response_is_public_or_replayed_and_never_both(void **state)
{
	(void)state;
	for (unsigned int step = 0; step < 3; step++) {
		CHECK(die_after_step(step, BASE) == 2);
		CHECK(order[0] == 5 && order[1] == 9);
	}
	for (unsigned int step = 3; step <= 5; step++) {
		CHECK(die_after_step(step, BASE + 1) == 1);
		CHECK(order[0] == 5);
	}
}

static void an_index_of_the_guests_own_making_ends_it(void **state)
{
	(void)state;
	CHECK(die_after_step(5, BASE + 2) == -EBADMSG);
	CHECK(die_after_step(5, BASE + 77) == -EBADMSG);
	CHECK(die_after_step(2, BASE - 1) == -EBADMSG);
}

static void dying_before_the_header_knows_of_a_request_is_fine(void **state)
{
	(void)state;
	fresh();
	take(0, 0);
	take(1, 1);
	journal.header->req_cons = BASE + 1; /* as if the last store had not been made */
	CHECK(look_again(BASE) == 2);
	journal.header->req_cons = BASE;
	CHECK(look_again(BASE) == -EBADMSG); /* two behind cannot be */
}

static void a_busy_run_leaves_nothing(void **state)
{
	uint32_t rsp = BASE;

	(void)state;
	fresh();
	for (uint32_t i = 0; i < 1000; i++) {
		take(i % NR, i);
		journal_announce(&journal, rsp + 1);
		journal_answer(&journal.entries[i % NR]);
		journal_published(&journal, ++rsp);
		journal_release(&journal.entries[i % NR]);
	}
	CHECK(look_again(rsp) == 0);
}

static void a_slow_request_may_be_far_behind_the_others(void **state)
{
	uint32_t rsp = BASE;

	(void)state;
	fresh();
	take(0, 0);
	for (uint32_t i = 1; i < 1000; i++) {
		take(1, i);
		journal_announce(&journal, rsp + 1);
		journal_answer(&journal.entries[1]);
		journal_published(&journal, ++rsp);
		journal_release(&journal.entries[1]);
	}
	take(7, 1000);
	CHECK(look_again(rsp) == 2);
	CHECK(order[0] == 0 && order[1] == 7);
}

/* --- damage --- */

static void patch(off_t offset, const void *bytes, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal", dir);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	if (bytes)
		CHECK(pwrite(fd, bytes, size, offset) == (ssize_t)size);
	else
		CHECK(ftruncate(fd, offset) == 0);
	close(fd);
}

static void some_in_flight(void)
{
	fresh();
	for (uint32_t i = 0; i < 20; i++)
		take(i, i);
	journal_announce(&journal, BASE + 4);
	for (uint32_t i = 3; i < 7; i++)
		journal_answer(&journal.entries[i]);
	journal_published(&journal, BASE + 4);
	for (uint32_t i = 3; i < 7; i++)
		journal_release(&journal.entries[i]);
}

static bool is_the_truth(int nr)
{
	if (nr != 16)
		return false;
	for (unsigned int i = 0; i < 16; i++) {
		const struct blk_request *req = &journal.entries[order[i]].req;

		if (req->id != (i < 3 ? i : i + 4) || req->op != BLKIF_READ || req->sector ||
		    req->nr_sectors != 1 || req->nr_segments != 1 || req->indirect)
			return false;
	}
	return true;
}

/* Damage each byte in turn, as a fault may. The journal is then read correctly or refused. */
static void a_damaged_byte_never_gives_a_wrong_answer(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x02, 0x03, 0x80, 0xff };
	size_t size = sizeof(struct journal_header) + NR * sizeof(struct journal_entry);
	unsigned int refused = 0;

	(void)state;
	for (size_t at = 0; at < size; at++)
		for (unsigned int i = 0; i < sizeof(flips); i++) {
			int nr;

			some_in_flight();
			((uint8_t *)journal.header)[at] ^= flips[i];
			nr = look_again(BASE + 4);
			CHECK(nr == -EBADMSG || nr == -EPROTONOSUPPORT || is_the_truth(nr));
			refused += nr < 0;
		}
	CHECK(refused > 10000); /* more than half of the file is in use */
}

static void a_journal_of_another_size_is_refused(void **state)
{
	(void)state;
	for (off_t size = 0; size < 4400; size += 97) {
		fresh();
		patch(size, NULL, 0);
		CHECK(look_again(BASE) == -EBADMSG);
	}
	fresh();
	journal_close(&journal);
	CHECK(open_as(&id, NR * 2) == -EBADMSG);
}

static void a_journal_of_another_queue_is_refused(void **state)
{
	struct journal_id other = id;

	(void)state;
	fresh();
	journal_close(&journal);
	other.domid = 8;
	CHECK(open_as(&other, NR) == -EBADMSG);
	other = id;
	other.devid = 51728;
	CHECK(open_as(&other, NR) == -EBADMSG);
	other = id;
	other.queue = 1;
	CHECK(open_as(&other, NR) == -EBADMSG);
	other = id;
	other.abi = BLKIF_ABI_X86_32;
	CHECK(open_as(&other, NR) == -EBADMSG);
}

/* --- versions --- */

/* A journal of an older version, with its shorter header and its layout. */
static void write_version(uint32_t version, size_t bytes, uint32_t shape, uint32_t sum)
{
	struct journal_header header;
	uint8_t *entries = (uint8_t *)journal.entries;
	size_t size = NR * sizeof(struct journal_entry);

	some_in_flight();
	header = *journal.header;
	entries = memcpy(malloc(size), journal.entries, size);
	header.version = version;
	header.shape = shape;
	header.sum = sum;
	journal_close(&journal);
	patch(0, &header, bytes);
	patch((off_t)bytes, entries, size);
	patch((off_t)(bytes + size), NULL, 0);
	free(entries);
}

static void write_version_1(void)
{
	write_version(1, 48, 0xc6f6d0ee, 0);
}

static void write_version_2(void)
{
	write_version(2, 56, 0xc1501a36, 0x913fd834);
}

static void an_older_journal_is_read_and_carried_on(void **state)
{
	(void)state;
	write_version_1();
	CHECK(is_the_truth(look_again(BASE + 4)));
	take(31, 20);
	CHECK(look_again(BASE + 4) == 17);
	CHECK(journal.entries[order[16]].req.id == 20);
	CHECK(journal.header->version == 1); /* for as long as its ring lives */
	write_version_2();
	CHECK(is_the_truth(look_again(BASE + 4)));
	take(31, 20);
	CHECK(look_again(BASE + 4) == 17);
	CHECK(journal.header->version == 2);
}

/* An upgrade from it, and a downgrade to it. */
static void a_new_journal_is_as_version_0_1_of_the_daemon_wrote_it(void **state)
{
	const struct journal_header was = {
		.magic = 0x4c4e4a4256500001ull,
		.version = 3,
		.shape = 0xa8ad3a9e,
		.nr_entries = NR,
		.domid = 7,
		.devid = 51712,
		.req_cons = BASE,
		.rsp_prod = BASE,
		.rsp_next = BASE,
		.sum = 0x6db2d698,
	};

	(void)state;
	fresh();
	CHECK(memcmp(journal.header, &was, sizeof(was)) == 0 && journal.bytes == 4416);
}

static void a_failed_flush_is_remembered_until_it_is_forgiven(void **state)
{
	(void)state;
	fresh();
	CHECK(!vbd_file_flush_failed(&disk));
	journal_flush_failed(&journal, true);
	CHECK(look_again(BASE) == 0);
	CHECK(vbd_file_flush_failed(&disk));
	journal_flush_failed(&journal, false);
	CHECK(!vbd_file_flush_failed(&disk));
	journal_close(&journal);
	vbd_file_forget(&disk);
	CHECK(!vbd_file_flush_failed(&disk));
}

/* An older version has no field for it: no entry is overwritten. */
static void an_older_journal_does_not_remember_a_failed_flush(void **state)
{
	(void)state;
	write_version_2();
	CHECK(is_the_truth(look_again(BASE + 4)));
	journal_flush_failed(&journal, true);
	CHECK(!vbd_file_flush_failed(&disk));
	CHECK(look_again(BASE + 4) == 16);
}

static void a_journal_of_the_future_is_refused_as_such(void **state)
{
	const uint32_t versions[] = { 0, JOURNAL_NEWEST + 1, 99, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		some_in_flight();
		patch(8, &versions[i], sizeof(versions[i]));
		CHECK(look_again(BASE + 4) == -EPROTONOSUPPORT);
	}
}

static void a_journal_of_another_ring_is_refused(void **state)
{
	struct journal_id other = id;

	(void)state;
	some_in_flight();
	journal_close(&journal);
	other.ring = id.ring + 1;
	CHECK(open_as(&other, NR) == -EBADMSG);
	CHECK(open_as(&id, NR) == 0);
	journal_close(&journal);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_journal_is_told_apart_from_an_empty_one),
		cmocka_unit_test(one_that_was_not_begun_can_be_begun_by_a_later_life),
		cmocka_unit_test(what_was_taken_is_replayed_oldest_first),
		cmocka_unit_test(a_response_is_public_or_replayed_and_never_both),
		cmocka_unit_test(an_index_of_the_guests_own_making_ends_it),
		cmocka_unit_test(dying_before_the_header_knows_of_a_request_is_fine),
		cmocka_unit_test(a_busy_run_leaves_nothing),
		cmocka_unit_test(a_slow_request_may_be_far_behind_the_others),
		cmocka_unit_test(a_damaged_byte_never_gives_a_wrong_answer),
		cmocka_unit_test(a_journal_of_another_size_is_refused),
		cmocka_unit_test(a_journal_of_another_queue_is_refused),
		cmocka_unit_test(an_older_journal_is_read_and_carried_on),
		cmocka_unit_test(a_new_journal_is_as_version_0_1_of_the_daemon_wrote_it),
		cmocka_unit_test(a_failed_flush_is_remembered_until_it_is_forgiven),
		cmocka_unit_test(an_older_journal_does_not_remember_a_failed_flush),
		cmocka_unit_test(a_journal_of_the_future_is_refused_as_such),
		cmocka_unit_test(a_journal_of_another_ring_is_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
