/* SPDX-License-Identifier: MIT */
/* Claims on blocks: who may write while another does, and in which order those that wait go on. */
#include "unit.h"

#include <string.h>

#include "blkback/blocks.h"

static struct blocks *blocks;
static char order[64]; /* of the claims that were granted late */

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
	blocks = blocks_get("a medium");
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

/* Else a stream of whole blocks could keep a part of one waiting for ever. */
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
	struct blocks *again = blocks_get("a medium"), *other = blocks_get("another");

	(void)state;
	CHECK(again == blocks && other && other != blocks);
	CHECK(claim(&a));
	b.holds = blocks_claim(again, &b.claim);
	CHECK(!b.holds);
	give_up(&a);
	CHECK(b.holds);
	give_up(&b);
	CHECK(!blocks_put(again) && !blocks_put(other) && !blocks_put(NULL));
	CHECK(claim(&a)); /* the first user has it still */
	give_up(&a);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
