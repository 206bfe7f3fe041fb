/* SPDX-License-Identifier: MIT */
/* How rings share their worker's buffers and its requests in the kernel, however many of them hang. */
#include "unit.h"

#include "blkback/bufshare.h"
#include "blkback/slots.h"

#define ARENA ((size_t)64 << 20)
#define MOST  ((size_t)BUFPOOL_MAX_BYTES)
#define HUNG  100u

static struct bufpool *pool;

static int fresh(void **state)
{
	(void)state;
	pool = bufpool_new(ARENA);
	return pool ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	CHECK(bufpool_used(pool) == 0);
	pool = bufpool_free(pool);
	return 0;
}

/* Takes as many buffers of this size as it can get; returns the number. */
static unsigned int fill(struct bufshare *share, size_t bytes, void **bufs, unsigned int max)
{
	unsigned int nr = 0;

	while (nr < max && (bufs[nr] = bufshare_get(share, bytes)))
		nr++;
	return nr;
}

static void give_back(struct bufshare *share, size_t bytes, void **bufs, unsigned int nr)
{
	while (nr)
		bufshare_put(share, bufs[--nr], bytes);
	bufshare_close(share);
}

static void alone_a_ring_gets_half_of_all_and_its_own(void **state)
{
	struct bufshare share;
	void *bufs[64];
	unsigned int nr;

	(void)state;
	CHECK(bufshare_open(&share, pool) == 0);
	nr = fill(&share, MOST, bufs, 64);
	CHECK(nr == ARENA / MOST / 2 + 1);
	give_back(&share, MOST, bufs, nr);
}

static void whatever_the_others_hold_a_ring_gets_the_largest_buffer(void **state)
{
	static const size_t sizes[] = { 4096, 8192, 69632, 1048576, MOST };
	static struct bufshare hung[HUNG], well;
	static void *bufs[HUNG][16384];
	unsigned int nr[HUNG];

	(void)state;
	for (unsigned int i = 0; i < HUNG; i++) {
		CHECK(bufshare_open(&hung[i], pool) == 0);
		nr[i] = fill(&hung[i], sizes[i % 5], bufs[i], 16384);
		CHECK(nr[i] > 0);
	}
	CHECK(bufshare_open(&well, pool) == 0);
	for (unsigned int i = 0; i < 1000; i++) {
		void *buf = bufshare_get(&well, i % 2 ? MOST : 4096);

		CHECK(buf);
		bufshare_put(&well, buf, i % 2 ? MOST : 4096);
	}
	bufshare_close(&well);
	for (unsigned int i = 0; i < HUNG; i++)
		give_back(&hung[i], sizes[i % 5], bufs[i], nr[i]);
}

/* Small buffers of its own may stand in the way of a large one, but they come back. */
static void who_gets_none_has_some_of_its_own_out(void **state)
{
	struct bufshare share;
	void *bufs[64], *small[1024], *large;
	unsigned int nr, nr_small;

	(void)state;
	for (nr = 0; nr < ARENA / MOST; nr++)
		CHECK((bufs[nr] = bufpool_get(pool, MOST))); /* no buffer is left */
	CHECK(bufshare_open(&share, pool) == 0);
	nr_small = fill(&share, 4096, small, 1024);
	CHECK(nr_small == MOST / 4096 && !bufshare_get(&share, MOST));
	while (nr_small)
		bufshare_put(&share, small[--nr_small], 4096);
	large = bufshare_get(&share, MOST);
	CHECK(large && !bufshare_get(&share, 4096));
	bufshare_put(&share, large, MOST);
	bufshare_close(&share);
	while (nr)
		bufpool_put(pool, bufs[--nr], MOST);
}

static unsigned int take_all(struct slots *slots, struct slots_share *share)
{
	unsigned int nr = 0;

	while (nr < 10000 && slots_take(slots, share))
		nr++;
	return nr;
}

enum { PLACES = 1024, OWNERS = PLACES / 4 / SLOTS_OWN };

static void places_in_the_kernel_are_left_to_every_ring(void **state)
{
	struct slots slots;
	struct slots_share hung[OWNERS], late = { 0 };
	unsigned int all = 0;

	(void)state;
	slots_init(&slots, PLACES);
	for (unsigned int i = 0; i < OWNERS; i++) {
		hung[i] = (struct slots_share){ 0 };
		slots_join(&slots, &hung[i]);
		CHECK(take_all(&slots, &hung[i]) >= SLOTS_OWN);
		CHECK(hung[i].taken <= slots.nr_common / 2 + SLOTS_OWN);
		all += hung[i].taken;
	}
	CHECK(all <= PLACES);
	slots_join(&slots, &late); /* no place of its own is left */
	CHECK(take_all(&slots, &late) == 1);
	slots_put(&slots, &late);
	slots_leave(&slots, &late);
	for (unsigned int i = 0; i < OWNERS; i++) {
		while (hung[i].taken)
			slots_put(&slots, &hung[i]);
		slots_leave(&slots, &hung[i]);
	}
	CHECK(slots.taken == 0 && slots.nr_owners == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(alone_a_ring_gets_half_of_all_and_its_own, fresh,
						end),
		cmocka_unit_test_setup_teardown(
			whatever_the_others_hold_a_ring_gets_the_largest_buffer, fresh, end),
		cmocka_unit_test_setup_teardown(who_gets_none_has_some_of_its_own_out, fresh, end),
		cmocka_unit_test(places_in_the_kernel_are_left_to_every_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
