/* SPDX-License-Identifier: MIT */
/* Claims on blocks: which writes may run at the same time, and in which order waiting ones go on. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/blocks.h"
#include "blkback/medium_lock.h"
#include "core/statefile.h"

static struct blocks *blocks;
static char order[64]; /* the order of claims that had to wait */

struct named {
	struct block_claim claim; /* first */
	char name;
	bool holds;
};

static void granted(struct block_claim *claim)
{
	struct named *n = (struct named *)(void *)claim;

	CHECK(!n->holds);
	n->holds = true;
	strncat(order, &n->name, 1);
}

static struct named claim_of(char name, uint64_t first, uint64_t last, bool alone)
{
	return (struct named){
		.claim = { .first = first, .last = last, .alone = alone, .granted = granted },
		.name = name
	};
}

static bool claim(struct named *n)
{
	n->holds = blocks_claim(blocks, &n->claim);
	return n->holds;
}

static void give_up(struct named *n)
{
	CHECK(n->holds);
	n->holds = false;
	blocks_give_up(blocks, &n->claim);
}

static int fresh(void **state)
{
	(void)state;
	blocks = blocks_get("a medium", -1);
	CHECK(blocks);
	order[0] = '\0';
	return 0;
}

static int end(void **state)
{
	(void)state;
	blocks = blocks_put(blocks);
	return 0;
}

static void whole_blocks_do_not_wait_for_each_other(void **state)
{
	struct named a = claim_of('a', 0, 8191, false), b = claim_of('b', 4096, 12287, false);

	(void)state;
	CHECK(claim(&a) && claim(&b));
	give_up(&a);
	give_up(&b);
}

static void parts_of_a_block_are_written_one_after_the_other(void **state)
{
	struct named a = claim_of('a', 4096, 8191, true), b = claim_of('b', 4096, 8191, true);
	struct named c = claim_of('c', 0, 8191, false), d = claim_of('d', 8192, 12287, true);

	(void)state;
	CHECK(claim(&a) && !claim(&b) && !claim(&c) && claim(&d));
	give_up(&a);
	CHECK(b.holds && !c.holds);
	give_up(&b);
	CHECK(c.holds && !strcmp(order, "bc"));
	give_up(&c);
	give_up(&d);
}

/* Without this, a stream of whole blocks could keep a part of a block waiting without end. */
static void who_came_later_does_not_overtake(void **state)
{
	struct named a = claim_of('a', 0, 4095, false), b = claim_of('b', 0, 4095, true);
	struct named c = claim_of('c', 0, 4095, false), d = claim_of('d', 0, 4095, false);

	(void)state;
	CHECK(claim(&a) && !claim(&b) && !claim(&c) && !claim(&d));
	give_up(&a);
	CHECK(b.holds && !c.holds && !d.holds);
	give_up(&b);
	CHECK(c.holds && d.holds && !strcmp(order, "bcd"));
	give_up(&d);
	give_up(&c);
}

static void a_claim_waits_for_all_that_it_touches(void **state)
{
	struct named a = claim_of('a', 0, 4095, true), b = claim_of('b', 8192, 12287, true);
	struct named c = claim_of('c', 0, 12287, false);

	(void)state;
	CHECK(claim(&a) && claim(&b) && !claim(&c));
	give_up(&b);
	CHECK(!c.holds);
	give_up(&a);
	CHECK(c.holds);
	give_up(&c);
}

static void neighbours_do_not_touch(void **state)
{
	struct named a = claim_of('a', 0, 4095, true), b = claim_of('b', 4096, 8191, true);

	(void)state;
	CHECK(claim(&a) && claim(&b));
	give_up(&b);
	give_up(&a);
}

static void all_disks_on_a_medium_share_its_claims(void **state)
{
	struct named a = claim_of('a', 0, 4095, true), b = claim_of('b', 0, 4095, true);
	struct blocks *again = blocks_get("a medium", -1), *other = blocks_get("another", -1);

	(void)state;
	CHECK(again == blocks && other && other != blocks);
	CHECK(claim(&a));
	b.holds = blocks_claim(again, &b.claim);
	CHECK(!b.holds);
	give_up(&a);
	CHECK(b.holds);
	give_up(&b);
	CHECK(!blocks_put(again) && !blocks_put(other) && !blocks_put(NULL));
	CHECK(claim(&a)); /* the first user still has it */
	give_up(&a);
}

/* --- other processes: each opens the one medium by another name, because claims are for each process --- */

static char dir[] = "/tmp/pvb-blocks-XXXXXX";
static struct blocks *others;

static int open_for(uint32_t domid)
{
	const struct medium_disk disk = { domid, 51712 };
	int fd, err = medium_lock_open(dir, "shared", &disk, &fd);

	return err ? err : fd;
}

static int open_lock(uint32_t domid)
{
	int fd = open_for(domid);

	CHECK(fd >= 0);
	return fd;
}

static int fresh_pair(void **state)
{
	(void)state;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	CHECK(mkdtemp(dir));
	blocks = blocks_get("ours", open_lock(1));
	others = blocks_get("theirs", open_lock(2));
	CHECK(blocks && others);
	order[0] = '\0';
	return 0;
}

static int end_pair(void **state)
{
	(void)state;
	blocks = blocks_put(blocks);
	others = blocks_put(others);
	medium_lock_close(dir, "shared", &(int){ -1 });
	CHECK(rmdir(dir) == 0); /* nothing else is in it */
	return 0;
}

static bool lock(struct named *n)
{
	return blocks_lock(blocks, &n->claim);
}

static bool their_claim(struct named *n)
{
	n->holds = blocks_claim(others, &n->claim);
	return n->holds && blocks_lock(others, &n->claim);
}

static void they_give_up(struct named *n)
{
	n->holds = false;
	blocks_give_up(others, &n->claim);
}

static void processes_exclude_each_other(void **state)
{
	struct named a = claim_of('a', 0, 8191, true), b = claim_of('b', 4096, 12287, true);
	struct named c = claim_of('c', 8192, 12287, false);

	(void)state;
	CHECK(claim(&a) && lock(&a) && lock(&a));
	CHECK(!their_claim(&b) && !blocks_lock(others, &b.claim));
	CHECK(claim(&c) && !lock(&c)); /* b came first */
	give_up(&a);
	CHECK(!lock(&c));
	CHECK(blocks_lock(others, &b.claim) && !lock(&c));
	they_give_up(&b);
	CHECK(lock(&c));
	give_up(&c);
}

static void neighbours_in_another_process_do_not_touch(void **state)
{
	struct named a = claim_of('a', 0, 4095, true), b = claim_of('b', 4096, 8191, true);
	struct named c = claim_of('c', 0, 4095, true), d = claim_of('d', 8192, 12287, true);

	(void)state;
	CHECK(claim(&a) && lock(&a) && their_claim(&b) && claim(&d) && lock(&d));
	give_up(&a);
	CHECK(their_claim(&c)); /* exactly this block was unlocked */
	give_up(&d);
	they_give_up(&b);
	they_give_up(&c);
}

/* Without this, the first one to end would unlock blocks that the other still writes. */
static void one_process_does_not_share_what_it_locks(void **state)
{
	struct named a = claim_of('a', 0, 8191, false), b = claim_of('b', 4096, 12287, false);

	(void)state;
	CHECK(claim(&a) && lock(&a) && !claim(&b));
	give_up(&a);
	CHECK(b.holds && lock(&b));
	give_up(&b);
}

/* A process that always has another write for a block does not keep other processes from it. */
static void who_must_try_again_is_next(void **state)
{
	struct named a = claim_of('a', 0, 4095, true), b = claim_of('b', 0, 4095, true);
	struct named c = claim_of('c', 0, 4095, true);

	(void)state;
	CHECK(claim(&a) && lock(&a) && !their_claim(&b) && !claim(&c));
	give_up(&a);
	CHECK(c.holds && !lock(&c));
	CHECK(blocks_lock(others, &b.claim));
	they_give_up(&b);
	CHECK(lock(&c));
	give_up(&c);
}

static void who_gives_up_while_it_waits_leaves_no_lock(void **state)
{
	struct named a = claim_of('a', 0, 4095, true), b = claim_of('b', 0, 4095, true);
	struct named c = claim_of('c', 0, 4095, true);

	(void)state;
	CHECK(claim(&a) && lock(&a) && !their_claim(&b));
	they_give_up(&b);
	give_up(&a);
	CHECK(claim(&c) && lock(&c));
	give_up(&c);
}

static void a_process_that_dies_leaves_no_lock(void **state)
{
	struct named a = claim_of('a', 0, 4095, true);
	struct flock theirs = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 4096 };
	int fd = open_lock(3);

	(void)state;
	CHECK(fcntl(fd, F_OFD_SETLK, &theirs) == 0);
	CHECK(claim(&a) && !lock(&a));
	close(fd);
	CHECK(lock(&a));
	give_up(&a);
}

/* Two disks of one guest share the lock file of the first. */
static void disks_of_a_process_have_one_lock_file(void **state)
{
	struct named a = claim_of('a', 0, 4095, true), b = claim_of('b', 8192, 12287, true);
	struct named c = claim_of('c', 0, 4095, true);
	struct blocks *again = blocks_get("ours", open_lock(3));

	(void)state;
	CHECK(again == blocks);
	CHECK(claim(&a) && lock(&a));
	blocks_put(again);
	CHECK(claim(&b) && lock(&b));
	CHECK(!their_claim(&c));
	they_give_up(&c);
	give_up(&a);
	give_up(&b);
}

static bool there_is_a_lock_file(void)
{
	char pattern[64];
	glob_t found;
	bool any;

	snprintf(pattern, sizeof(pattern), "%s/medium-*.lock", dir);
	any = glob(pattern, 0, NULL, &found) == 0;
	if (any)
		globfree(&found);
	return any;
}

static void a_lock_file_stays_while_somebody_uses_it(void **state)
{
	int fd;

	(void)state;
	medium_lock_close(dir, "shared", &(int){ -1 });
	medium_lock_sweep(dir);
	CHECK(there_is_a_lock_file());
	blocks = blocks_put(blocks);
	medium_lock_sweep(dir);
	CHECK(there_is_a_lock_file());
	others = blocks_put(others);
	medium_lock_sweep(dir);
	CHECK(!there_is_a_lock_file());
	fd = open_lock(1);
	statefile_close(&fd);
}

/* Closed descriptors do not count: the kernel may keep one for an io_uring. */
static void a_disk_waits_for_its_own_earlier_requests(void **state)
{
	int fd = open_lock(3), copy = dup(fd);

	(void)state;
	CHECK(copy >= 0);
	statefile_close(&fd);
	CHECK(open_for(3) == -EAGAIN);
	fd = open_lock(4);
	statefile_close(&fd);
	medium_lock_served(copy);
	fd = open_lock(3);
	statefile_close(&copy);
	CHECK(open_for(3) == -EAGAIN);
	statefile_close(&fd);
	fd = open_lock(3);
	statefile_close(&fd);
}

static void a_disk_sees_which_others_have_requests(void **state)
{
	int fd = open_lock(3), other = open_lock(4);
	struct medium_disk disk;
	uint64_t at = 0;

	(void)state;
	medium_lock_served(other);
	for (uint32_t domid = 1; domid <= 2; domid++)
		CHECK(medium_lock_others(fd, &at, &disk) && disk.domid == domid &&
		      disk.devid == 51712);
	CHECK(!medium_lock_others(fd, &at, &disk));
	statefile_close(&fd);
	statefile_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_blocks_do_not_wait_for_each_other, fresh,
						end),
		cmocka_unit_test_setup_teardown(parts_of_a_block_are_written_one_after_the_other,
						fresh, end),
		cmocka_unit_test_setup_teardown(who_came_later_does_not_overtake, fresh, end),
		cmocka_unit_test_setup_teardown(a_claim_waits_for_all_that_it_touches, fresh, end),
		cmocka_unit_test_setup_teardown(neighbours_do_not_touch, fresh, end),
		cmocka_unit_test_setup_teardown(all_disks_on_a_medium_share_its_claims, fresh, end),
		cmocka_unit_test_setup_teardown(processes_exclude_each_other, fresh_pair, end_pair),
		cmocka_unit_test_setup_teardown(neighbours_in_another_process_do_not_touch,
						fresh_pair, end_pair),
		cmocka_unit_test_setup_teardown(one_process_does_not_share_what_it_locks,
						fresh_pair, end_pair),
		cmocka_unit_test_setup_teardown(who_must_try_again_is_next, fresh_pair, end_pair),
		cmocka_unit_test_setup_teardown(who_gives_up_while_it_waits_leaves_no_lock,
						fresh_pair, end_pair),
		cmocka_unit_test_setup_teardown(a_process_that_dies_leaves_no_lock, fresh_pair,
						end_pair),
		cmocka_unit_test_setup_teardown(disks_of_a_process_have_one_lock_file, fresh_pair,
						end_pair),
		cmocka_unit_test_setup_teardown(a_lock_file_stays_while_somebody_uses_it,
						fresh_pair, end_pair),
		cmocka_unit_test_setup_teardown(a_disk_waits_for_its_own_earlier_requests,
						fresh_pair, end_pair),
		cmocka_unit_test_setup_teardown(a_disk_sees_which_others_have_requests, fresh_pair,
						end_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
