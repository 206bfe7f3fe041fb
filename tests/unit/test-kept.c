/* SPDX-License-Identifier: MIT */
/* Persistent grants that stay mapped: each once, at most so many, and none left at the end. */
#include "unit.h"

#include <sys/mman.h>

#include "blkback/kept.h"
#include "fake/fake_xen.h"

#define NR_REFS 64u
#define PAGE    4096u

/* The guest: a page for each reference, those from NR_REFS on are refused. */
static uint8_t pages[NR_REFS][PAGE];

static bool mapped(uint32_t ref)
{
	return fake_xen_mapped(7, ref) != NULL;
}

static void *page_of(uint32_t domid, uint32_t ref, int prot)
{
	CHECK(domid == 7 && prot == (PROT_READ | PROT_WRITE) && !mapped(ref));
	return ref < NR_REFS ? pages[ref] : NULL;
}

static struct kept_budget budget;

static struct kept kept;

static void fresh(uint32_t max)
{
	budget = (struct kept_budget){ .max = 1000 };
	fake_xen = (struct fake_xen){ .page = page_of };
	kept_init(&kept, NULL, 7, max, &budget);
}

static void end(void)
{
	kept_done(&kept);
	kept_done(&kept);
	CHECK(fake_xen_nr_mapped() == 0 && budget.used == 0);
}

static void a_page_is_mapped_once_and_found_again(void **state)
{
	(void)state;
	fresh(16);
	for (unsigned int round = 0; round < 3; round++)
		for (uint32_t ref = 0; ref < 16; ref++)
			CHECK(kept_find(&kept, ref) == pages[ref]);
	CHECK(fake_xen.nr_maps == 16 && kept.nr == 16 && budget.used == 16);
	end();
}

static void nothing_agreed_keeps_nothing(void **state)
{
	(void)state;
	fresh(0);
	CHECK(kept_find(&kept, 3) == NULL && fake_xen.nr_maps == 0);
	end();
	kept = (struct kept){ 0 };
	CHECK(kept_find(&kept, 3) == NULL);
	kept_done(&kept);
}

static void a_full_set_in_use_stays(void **state)
{
	(void)state;
	fresh(4);
	for (unsigned int round = 0; round < 100; round++) {
		for (uint32_t ref = 0; ref < 4; ref++)
			CHECK(kept_find(&kept, ref) == pages[ref]);
		CHECK(kept_find(&kept, 10 + round % 50) == NULL);
	}
	CHECK(fake_xen.nr_maps == 4);
	end();
}

static void what_is_out_of_use_gives_way(void **state)
{
	(void)state;
	fresh(4);
	for (uint32_t ref = 0; ref < 4; ref++)
		kept_find(&kept, ref);
	for (unsigned int i = 0; i < 4 * 8; i++)
		kept_find(&kept, 1 + i % 3);
	CHECK(mapped(0));
	CHECK(kept_find(&kept, 20) == pages[20]);
	CHECK(!mapped(0) && mapped(1) && mapped(2) && mapped(3) && kept.nr == 4 && kept.drops == 1);
	CHECK(kept_find(&kept, 0) == NULL); /* the others are in use */
	end();
}

/* Neither for lack of room nor because of its age. */
static void what_is_held_stays(void **state)
{
	(void)state;
	fresh(4);
	CHECK(kept_hold(&kept, 0) == pages[0] && kept_hold(&kept, 0) == pages[0]);
	for (unsigned int i = 0; i < 100; i++)
		kept_find(&kept, 1 + i % 3);
	for (unsigned int i = 0; i < 2 * KEPT_UNUSED_TICKS; i++)
		kept_tick(&kept);
	CHECK(kept_find(&kept, 20) == NULL && mapped(0));
	kept_let_go(&kept, 0);
	kept_tick(&kept);
	CHECK(mapped(0));
	kept_let_go(&kept, 0);
	kept_let_go(&kept, 21); /* one that is not in use */
	kept_tick(&kept);
	CHECK(!mapped(0) && kept.nr == 0);
	CHECK(kept_hold(&kept, NR_REFS) == NULL);
	end();
}

/* Also when all pages are unmapped at once: lookups that find nothing count as well. */
static void a_new_set_takes_the_place_of_the_old(void **state)
{
	(void)state;
	fresh(4);
	for (uint32_t ref = 0; ref < 4; ref++)
		kept_find(&kept, ref);
	for (unsigned int round = 0; round < 20; round++)
		for (uint32_t ref = 30; ref < 34; ref++)
			kept_find(&kept, ref);
	for (uint32_t ref = 0; ref < 4; ref++)
		CHECK(!mapped(ref) && mapped(30 + ref));
	end();
}

static void all_rings_of_a_worker_share_a_bound(void **state)
{
	(void)state;
	fresh(16);
	budget.max = 5;
	for (uint32_t ref = 0; ref < 16; ref++)
		CHECK((kept_find(&kept, ref) != NULL) == (ref < 5));
	end();
}

static void what_cannot_be_mapped_is_copied(void **state)
{
	(void)state;
	fresh(16);
	CHECK(kept_find(&kept, 1000) == NULL);
	CHECK(kept_find(&kept, 1) == pages[1] && kept.nr == 1);
	end();
}

/* Each try costs the host a system call. */
static void a_frontend_without_a_promise_is_not_tried_for_ever(void **state)
{
	(void)state;
	fresh(16);
	CHECK(kept_find(&kept, 1) == pages[1]);
	for (unsigned int i = 0; i < 1000; i++)
		CHECK(kept_find(&kept, 1000 + i) == NULL);
	CHECK(fake_xen.nr_maps == 65);
	CHECK(kept_find(&kept, 1) == pages[1]);
	end();
}

static void a_page_out_of_use_is_dropped_in_time(void **state)
{
	(void)state;
	fresh(4);
	kept_find(&kept, 0);
	kept_find(&kept, 1);
	for (unsigned int i = 0; i < KEPT_UNUSED_TICKS; i++) {
		CHECK(mapped(0) && mapped(1));
		kept_find(&kept, 1);
		kept_tick(&kept);
	}
	CHECK(!mapped(0) && mapped(1) && kept.nr == 1 && kept.drops == 1 && budget.used == 1);
	CHECK(kept_find(&kept, 0) == pages[0]); /* and may come again */
	end();
	kept_tick(&kept); /* nothing is kept */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_mapped_once_and_found_again),
		cmocka_unit_test(nothing_agreed_keeps_nothing),
		cmocka_unit_test(a_full_set_in_use_stays),
		cmocka_unit_test(what_is_out_of_use_gives_way),
		cmocka_unit_test(what_is_held_stays),
		cmocka_unit_test(a_new_set_takes_the_place_of_the_old),
		cmocka_unit_test(all_rings_of_a_worker_share_a_bound),
		cmocka_unit_test(what_cannot_be_mapped_is_copied),
		cmocka_unit_test(a_frontend_without_a_promise_is_not_tried_for_ever),
		cmocka_unit_test(a_page_out_of_use_is_dropped_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
