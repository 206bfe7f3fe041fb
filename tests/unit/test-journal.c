/* SPDX-License-Identifier: MIT */
/* The request pool as a file: what is open in it is found again, and nothing else is believed. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/journal.h"

static char dir[] = "/tmp/pvbackd-journal.XXXXXX";
static struct journal_id id = { .dir = dir, .domid = 7, .devid = 51712, .queue = 0 };

#define NR   32u
#define BASE 0xfffffff0u /* so that every index wraps on the way */

static struct journal journal;
static uint32_t order[NR];

static void fresh(void)
{
	CHECK(journal_create(&journal, &id, NR, BASE) == 0);
}

/* The process dies and another one looks. */
static int look_again(uint32_t rsp_prod)
{
	int err;

	journal_close(&journal, false);
	err = journal_open(&journal, &id, NR);
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
	CHECK(journal_open(&journal, &id, NR) == -ENOENT);
	fresh();
	CHECK(look_again(BASE) == 0);
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
	CHECK(look_again(BASE) == (int)NR); /* and again, had that one died too */
}

/* Two taken, the second answered: stop after each step of publishing in turn. */
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
	journal.header->req_cons = BASE + 1; /* as if the last store had not come */
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

/* Every byte in turn, in ways a fault may change it: the whole truth or a refusal, never a guess. */
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
	journal_close(&journal, false);
	CHECK(journal_open(&journal, &id, NR * 2) == -EBADMSG);
}

static void path_of(const struct journal_id *of, char path[128])
{
	snprintf(path, 128, "%s/vbd-%u-%u-%u.journal", dir, of->domid, of->devid, of->queue);
}

/* Somebody has given the file another's name. */
static void check_that_it_is_refused_as(const struct journal_id *other)
{
	char from[128], to[128];

	path_of(&id, from);
	path_of(other, to);
	CHECK(rename(from, to) == 0);
	CHECK(journal_open(&journal, other, NR) == -EBADMSG);
	CHECK(rename(to, from) == 0);
}

static void a_journal_of_another_queue_is_refused(void **state)
{
	struct journal_id other = id;

	(void)state;
	fresh();
	journal_close(&journal, false);
	other.domid = 8;
	check_that_it_is_refused_as(&other);
	other = id;
	other.devid = 51728;
	check_that_it_is_refused_as(&other);
	other = id;
	other.queue = 1;
	check_that_it_is_refused_as(&other);
	other = id;
	other.abi = BLKIF_ABI_X86_32;
	CHECK(journal_open(&journal, &other, NR) == -EBADMSG);
}

static void a_planted_link_is_not_followed(void **state)
{
	char path[128], victim[128];
	struct stat st;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal", dir);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	fd = open(victim, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	close(fd);
	unlink(path);
	CHECK(symlink(victim, path) == 0);
	CHECK(journal_open(&journal, &id, NR) == -EPERM);
	fresh(); /* takes the link's place */
	CHECK(stat(victim, &st) == 0 && st.st_size == 0);
	journal_close(&journal, true);
	CHECK(access(path, F_OK) < 0);
	unlink(victim);
}

static void what_others_may_write_is_not_believed(void **state)
{
	char path[128], second[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal", dir);
	snprintf(second, sizeof(second), "%s/second", dir);
	some_in_flight();
	CHECK(chmod(path, 0620) == 0);
	CHECK(look_again(BASE + 4) == -EPERM);
	CHECK(chmod(path, 0602) == 0);
	CHECK(look_again(BASE + 4) == -EPERM);
	CHECK(chmod(path, 0600) == 0);
	CHECK(link(path, second) == 0);
	CHECK(look_again(BASE + 4) == -EPERM);
	CHECK(unlink(second) == 0);
	if (geteuid() == 0) {
		CHECK(chown(path, 1, 0) == 0);
		CHECK(look_again(BASE + 4) == -EPERM);
		CHECK(chown(path, 0, 0) == 0);
	}
	CHECK(is_the_truth(look_again(BASE + 4)));
}

/* --- versions --- */

/* As an older version wrote it, with a shorter header and the shape of that. */
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
	journal_close(&journal, false);
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

static void a_failed_flush_is_remembered_until_it_is_forgiven(void **state)
{
	(void)state;
	fresh();
	CHECK(!journal_left_flush_failed(&id));
	journal_flush_failed(&journal, true);
	CHECK(look_again(BASE) == 0);
	CHECK(journal_left_flush_failed(&id));
	journal_flush_failed(&journal, false);
	CHECK(!journal_left_flush_failed(&id));
	journal_close(&journal, true);
	CHECK(!journal_left_flush_failed(&id));
}

/* An older version has no place for it: no entry is written over. */
static void an_older_journal_does_not_remember_a_failed_flush(void **state)
{
	(void)state;
	write_version_2();
	CHECK(is_the_truth(look_again(BASE + 4)));
	journal_flush_failed(&journal, true);
	CHECK(!journal_left_flush_failed(&id));
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
	journal_close(&journal, false);
	other.ring = id.ring + 1;
	CHECK(journal_open(&journal, &other, NR) == -EBADMSG);
	CHECK(journal_open(&journal, &id, NR) == 0);
	journal_close(&journal, false);
}

static void dying_while_it_is_made_leaves_the_old_one_or_none(void **state)
{
	char path[128];
	struct stat st;
	int fd;

	(void)state;
	some_in_flight();
	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal.new", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600); /* what a death would leave */
	CHECK(fd >= 0);
	close(fd);
	CHECK(is_the_truth(look_again(BASE + 4)));
	fresh();
	CHECK(stat(path, &st) < 0);
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
		cmocka_unit_test(what_was_taken_is_replayed_oldest_first),
		cmocka_unit_test(a_response_is_public_or_replayed_and_never_both),
		cmocka_unit_test(an_index_of_the_guests_own_making_ends_it),
		cmocka_unit_test(dying_before_the_header_knows_of_a_request_is_fine),
		cmocka_unit_test(a_busy_run_leaves_nothing),
		cmocka_unit_test(a_slow_request_may_be_far_behind_the_others),
		cmocka_unit_test(a_damaged_byte_never_gives_a_wrong_answer),
		cmocka_unit_test(a_journal_of_another_size_is_refused),
		cmocka_unit_test(a_journal_of_another_queue_is_refused),
		cmocka_unit_test(a_planted_link_is_not_followed),
		cmocka_unit_test(what_others_may_write_is_not_believed),
		cmocka_unit_test(an_older_journal_is_read_and_carried_on),
		cmocka_unit_test(a_failed_flush_is_remembered_until_it_is_forgiven),
		cmocka_unit_test(an_older_journal_does_not_remember_a_failed_flush),
		cmocka_unit_test(a_journal_of_the_future_is_refused_as_such),
		cmocka_unit_test(a_journal_of_another_ring_is_refused),
		cmocka_unit_test(dying_while_it_is_made_leaves_the_old_one_or_none),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
