/* SPDX-License-Identifier: MIT */
/* Promises of the ring arithmetic, whatever the frontend writes. */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ring/ring.h"

#define SLOT 112u

struct front {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
	uint8_t pad[48];
	uint8_t slots[32][SLOT];
	uint8_t rest[4096 - 64 - 32 * SLOT];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct front) == 4096, "one page");

static struct front page;

static struct ring fresh_ring(void)
{
	struct ring r;

	memset(&page, 0, sizeof(page));
	page.req_event = 1;
	page.rsp_event = 1;
	CHECK(ring_attach(&r, &page, sizeof(page), SLOT) == 0);
	return r;
}

static void slots_are_counted_as_ring_h_does(void **state)
{
	(void)state;
	CHECK(ring_count_slots(4096, 112) == 32);
	CHECK(ring_count_slots(4096, 108) == 32);
	CHECK(ring_count_slots(16 * 4096, 112) == 512);
	CHECK(ring_count_slots(16 * 4096, 108) == 512);
	CHECK(ring_count_slots(4096, 12) == 256);
	CHECK(ring_count_slots(4096, 8) == 256);
	CHECK(ring_count_slots(4096, 16) == 128);
	CHECK(ring_count_slots(64, 112) == 0);
	CHECK(ring_count_slots(4096, 0) == 0);
}

static void impossible_producer_is_refused(void **state)
{
	struct ring r = fresh_ring();
	uint8_t req[SLOT];

	(void)state;
	page.req_prod = r.nr_slots + 1;
	CHECK(ring_take(&r, req, sizeof(req)) == -EPROTO);
	CHECK(r.req_cons == 0);
	page.req_prod = UINT32_MAX; /* behind us */
	CHECK(ring_take(&r, req, sizeof(req)) == -EPROTO);
}

static void requests_beyond_response_room_are_refused(void **state)
{
	struct ring r = fresh_ring();
	uint8_t req[SLOT];

	(void)state;
	page.req_prod = r.nr_slots;
	CHECK(ring_take(&r, req, sizeof(req)) == 1);
	page.req_prod = r.nr_slots + 1; /* none is answered yet */
	CHECK(ring_take(&r, req, sizeof(req)) == -EPROTO);
}

static void filled_but_hidden_responses_make_no_room(void **state)
{
	struct ring r = fresh_ring();
	uint8_t req[SLOT], rsp[16] = { 0 };

	(void)state;
	page.req_prod = r.nr_slots;
	CHECK(ring_take(&r, req, sizeof(req)) == 1);
	ring_put(&r, rsp, sizeof(rsp));
	page.req_prod = r.nr_slots + 1;
	CHECK(ring_take(&r, req, sizeof(req)) == -EPROTO);
}

static void a_request_is_a_private_copy(void **state)
{
	struct ring r = fresh_ring();
	uint8_t req[SLOT];

	(void)state;
	memset(page.slots[0], 0xaa, SLOT);
	page.req_prod = 1;
	CHECK(ring_take(&r, req, sizeof(req)) == 1);
	memset(page.slots[0], 0x55, SLOT);
	CHECK(req[0] == 0xaa && req[SLOT - 1] == 0xaa);
	CHECK(ring_take(&r, req, sizeof(req)) == 0);
}

static void indices_wrap_at_two_to_the_32(void **state)
{
	struct ring r;
	uint8_t req[SLOT], rsp[16] = { 0 };

	(void)state;
	memset(&page, 0, sizeof(page));
	page.rsp_prod = page.req_prod = UINT32_MAX - 3;
	page.rsp_event = UINT32_MAX - 2;
	CHECK(ring_attach(&r, &page, sizeof(page), SLOT) == 0);
	for (uint32_t i = 0; i < 10; i++) {
		page.req_prod++;
		CHECK(ring_take(&r, req, sizeof(req)) == 1);
		ring_put(&r, rsp, sizeof(rsp));
		page.rsp_event = page.rsp_prod + 1;
		CHECK(ring_publish(&r));
	}
	CHECK(page.rsp_prod == 6 && ring_in_flight(&r) == 0);
}

static void a_live_ring_is_joined_at_rsp_prod(void **state)
{
	struct ring r;
	uint8_t req[SLOT];

	(void)state;
	memset(&page, 0, sizeof(page));
	page.rsp_prod = 100;
	page.req_prod = 103;
	page.slots[100 & 31][0] = 7;
	CHECK(ring_attach(&r, &page, sizeof(page), SLOT) == 0);
	CHECK(ring_take(&r, req, sizeof(req)) == 1 && req[0] == 7);
}

static void a_live_ring_with_more_requests_than_slots_is_refused(void **state)
{
	struct ring r = { .nr_slots = 77 };

	(void)state;
	memset(&page, 0, sizeof(page));
	page.rsp_prod = 100;
	page.req_prod = 133;
	CHECK(ring_attach(&r, &page, sizeof(page), SLOT) == -EPROTO);
	CHECK(r.nr_slots == 77); /* untouched */
}

static void rearm_asks_for_the_next_request_and_looks_again(void **state)
{
	struct ring r = fresh_ring();
	uint8_t req[SLOT];

	(void)state;
	CHECK(!ring_rearm(&r));
	CHECK(page.req_event == 1);
	page.req_prod = 1;
	CHECK(ring_rearm(&r));
	CHECK(ring_take(&r, req, sizeof(req)) == 1);
	CHECK(!ring_rearm(&r));
	CHECK(page.req_event == 2);
}

static void publish_notifies_only_when_asked(void **state)
{
	struct ring r = fresh_ring();
	uint8_t req[SLOT], rsp[16] = { 0 };

	(void)state;
	page.req_prod = 4;
	for (int i = 0; i < 4; i++)
		CHECK(ring_take(&r, req, sizeof(req)) == 1);
	CHECK(!ring_publish(&r)); /* nothing filled */
	ring_put(&r, rsp, sizeof(rsp));
	CHECK(page.rsp_prod == 0); /* hidden until published */
	CHECK(ring_publish(&r));   /* rsp_event was 1 */
	CHECK(page.rsp_prod == 1);
	ring_put(&r, rsp, sizeof(rsp));
	CHECK(!ring_publish(&r)); /* rsp_event still 1: passed already */
	page.rsp_event = 4;
	ring_put(&r, rsp, sizeof(rsp));
	CHECK(!ring_publish(&r)); /* 3: not there yet */
	ring_put(&r, rsp, sizeof(rsp));
	CHECK(ring_publish(&r)); /* 4 */
}

static void a_response_writes_its_bytes_and_no_more(void **state)
{
	struct ring r = fresh_ring();
	uint8_t req[SLOT], rsp[12];

	(void)state;
	memset(page.slots[0], 0x11, SLOT);
	page.req_prod = 1;
	CHECK(ring_take(&r, req, sizeof(req)) == 1);
	memset(rsp, 0x22, sizeof(rsp));
	ring_put(&r, rsp, sizeof(rsp));
	CHECK(page.slots[0][11] == 0x22 && page.slots[0][12] == 0x11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_counted_as_ring_h_does),
		cmocka_unit_test(impossible_producer_is_refused),
		cmocka_unit_test(requests_beyond_response_room_are_refused),
		cmocka_unit_test(filled_but_hidden_responses_make_no_room),
		cmocka_unit_test(a_request_is_a_private_copy),
		cmocka_unit_test(indices_wrap_at_two_to_the_32),
		cmocka_unit_test(a_live_ring_is_joined_at_rsp_prod),
		cmocka_unit_test(a_live_ring_with_more_requests_than_slots_is_refused),
		cmocka_unit_test(rearm_asks_for_the_next_request_and_looks_again),
		cmocka_unit_test(publish_notifies_only_when_asked),
		cmocka_unit_test(a_response_writes_its_bytes_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
