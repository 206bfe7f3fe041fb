/* SPDX-License-Identifier: MIT */
/* The buddy arena: bounded, aligned, and in one piece again when all buffers are back. */
#include "unit.h"

#include <stdint.h>
#include <string.h>

#include "blkback/bufpool.h"

#define MOST ((size_t)BUFPOOL_MAX_BYTES)

static void buffers_are_page_aligned_and_apart(void **state)
{
	struct bufpool *pool = bufpool_new(MOST);
	uint8_t *bufs[128];

	(void)state;
	for (unsigned int i = 0; i < 128; i++) {
		bufs[i] = bufpool_get(pool, 16384);
		CHECK(bufs[i] && ((uintptr_t)bufs[i] & 4095) == 0);
		memset(bufs[i], (int)i, 16384);
	}
	for (unsigned int i = 0; i < 128; i++)
		CHECK(bufs[i][0] == i && bufs[i][16383] == i);
	CHECK(bufpool_get(pool, 1) == NULL);
	CHECK(bufpool_used(pool) == MOST);
	bufpool_free(pool);
}

static void small_ones_never_use_up_the_large_for_good(void **state)
{
	struct bufpool *pool = bufpool_new(2 * MOST);
	void *pages[1024];

	(void)state;
	for (unsigned int i = 0; i < 1024; i++)
		CHECK((pages[i] = bufpool_get(pool, 4096)) != NULL);
	CHECK(bufpool_get(pool, MOST) == NULL);
	for (unsigned int i = 0; i < 1024; i += 2) /* in this order every kind of merge happens */
		bufpool_put(pool, pages[i], 4096);
	for (unsigned int i = 1; i < 1024; i += 2)
		bufpool_put(pool, pages[i], 4096);
	CHECK(bufpool_used(pool) == 0);
	CHECK(bufpool_get(pool, MOST) && bufpool_get(pool, MOST));
	CHECK(bufpool_get(pool, MOST) == NULL);
	bufpool_free(pool);
}

/* The buffer that came back last is still in the cache. */
static void the_last_buffer_goes_out_first(void **state)
{
	struct bufpool *pool = bufpool_new(MOST);
	void *a = bufpool_get(pool, 4096), *b = bufpool_get(pool, 4096);

	(void)state;
	bufpool_put(pool, a, 4096);
	bufpool_put(pool, b, 4096);
	CHECK(bufpool_get(pool, 4096) == b);
	CHECK(bufpool_get(pool, 4096) == a);
	bufpool_free(pool);
}

/* Random sizes from a fixed seed, compared with a simple count. */
static void a_long_walk_keeps_the_account(void **state)
{
	struct bufpool *pool = bufpool_new(4 * MOST);
	struct {
		uint8_t *buf;
		size_t bytes;
	} held[64] = { 0 };
	uint32_t seed = 1;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int at;

		seed = seed * 1664525u + 1013904223u;
		at = (seed >> 16) % 64;
		if (held[at].buf) {
			CHECK(held[at].buf[0] == at && held[at].buf[held[at].bytes - 1] == at);
			bufpool_put(pool, held[at].buf, held[at].bytes);
			held[at].buf = NULL;
		} else {
			held[at].bytes = 512 * (1 + (seed >> 8) % 200);
			held[at].buf = bufpool_get(pool, held[at].bytes);
			if (held[at].buf)
				memset(held[at].buf, (int)at, held[at].bytes);
		}
	}
	for (unsigned int at = 0; at < 64; at++)
		if (held[at].buf)
			bufpool_put(pool, held[at].buf, held[at].bytes);
	CHECK(bufpool_used(pool) == 0);
	for (unsigned int i = 0; i < 4; i++)
		CHECK(bufpool_get(pool, MOST) != NULL);
	bufpool_free(pool);
}

static void the_memory_of_runs_that_are_back_goes_to_the_system_at_rest(void **state)
{
	struct bufpool *pool = bufpool_new(2 * MOST);
	char *small = bufpool_get(pool, 4096), *large = bufpool_get(pool, MOST);

	(void)state;
	*small = *large = 'x';
	bufpool_put(pool, small, 4096);
	bufpool_rest(pool);
	CHECK(*small == 'x' && *large == 'x'); /* one is out */
	bufpool_put(pool, large, MOST);
	bufpool_rest(pool);
	CHECK(*small == 0 && *large == 0);
	CHECK(bufpool_get(pool, MOST) && bufpool_get(pool, MOST));
	CHECK(bufpool_get(pool, 4096) == NULL);
	bufpool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_page_aligned_and_apart),
		cmocka_unit_test(small_ones_never_use_up_the_large_for_good),
		cmocka_unit_test(the_last_buffer_goes_out_first),
		cmocka_unit_test(a_long_walk_keeps_the_account),
		cmocka_unit_test(the_memory_of_runs_that_are_back_goes_to_the_system_at_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
