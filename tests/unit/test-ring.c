/* SPDX-License-Identifier: MIT */
/* What the ring arithmetic guarantees, whatever the frontend writes. */
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

/* --- requests that are read again after a death --- */

static struct ring attach_small(struct ring_undo *undo, int *ret)
{
	struct ring r;

	CHECK(ring_attach(&r, &page, sizeof(page), 12) == 0);
	*ret = ring_use_undo(&r, undo);
	return r;
}

static bool slot_is(unsigned int nr, uint8_t value)
{
	const uint8_t *slot = (const uint8_t *)&page + RING_HEADER_SIZE + nr * 12u;

	for (unsigned int i = 0; i < 12; i++)
		if (slot[i] != value)
			return false;
	return true;
}

static void fill_small(void)
{
	memset(&page, 0, sizeof(page));
	for (unsigned int nr = 0; nr < 8; nr++)
		memset((uint8_t *)&page + RING_HEADER_SIZE + nr * 12u, (int)(nr + 1), 12);
	page.req_prod = 8;
}

static void what_was_not_published_is_undone(void **state)
{
	static struct ring_undo undo;
	struct ring r;
	int err;

	(void)state;
	fill_small();
	undo = (struct ring_undo){ 0 };
	r = attach_small(&undo, &err);
	CHECK(err == 0);
	ring_consume(&r, 5);
	ring_put(&r, "abcdefghijkl", 12);
	ring_put(&r, "abcd", 4);
	CHECK(!slot_is(0, 1) && !slot_is(1, 2));
	r = attach_small(&undo, &err); /* it died here */
	CHECK(err == 0);
	for (unsigned int nr = 0; nr < 8; nr++)
		CHECK(slot_is(nr, (uint8_t)(nr + 1)));
}

static void what_was_published_is_not_undone(void **state)
{
	static struct ring_undo undo;
	struct ring_undo before;
	struct ring r;
	int err;

	(void)state;
	fill_small();
	undo = (struct ring_undo){ 0 };
	r = attach_small(&undo, &err);
	ring_consume(&r, 5);
	ring_put(&r, "abcdefghijkl", 12);
	before = undo;
	ring_publish(&r);
	r = attach_small(&undo, &err);
	CHECK(err == 0 && r.rsp_public == 1 && !slot_is(0, 1));
	undo = before; /* the process died right after the store of rsp_prod */
	r = attach_small(&undo, &err);
	CHECK(err == 0 && !slot_is(0, 1) && slot_is(1, 2));
	undo.from = 1;
	undo.nr = 300;
	r = attach_small(&undo, &err);
	CHECK(err == -EBADMSG);
}

/* A control request is longer than its response, which cannot overwrite the rest. */
static void the_rest_of_a_long_request_needs_no_saving(void **state)
{
	static struct ring_undo undo;
	uint8_t request[16], found[16];
	struct ring r;

	(void)state;
	memset(&page, 0, sizeof(page));
	memset(request, 0x77, sizeof(request));
	memcpy((uint8_t *)&page + RING_HEADER_SIZE, request, sizeof(request));
	page.req_prod = 1;
	CHECK(ring_attach(&r, &page, sizeof(page), 16) == 0);
	CHECK(ring_use_undo(&r, &undo) == 0);
	ring_consume(&r, 1);
	ring_put(&r, "abcdefghijkl", 12);
	CHECK(ring_attach(&r, &page, sizeof(page), 16) == 0);
	CHECK(ring_use_undo(&r, &undo) == 0); /* it died here */
	ring_copy(&r, 0, found, sizeof(found));
	CHECK(memcmp(request, found, sizeof(found)) == 0);
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
		cmocka_unit_test(what_was_not_published_is_undone),
		cmocka_unit_test(the_rest_of_a_long_request_needs_no_saving),
		cmocka_unit_test(what_was_published_is_not_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
