/* SPDX-License-Identifier: MIT */
/* What a guest may write into a transmit ring, for each row of the table of checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ring/netif.h"

#include <errno.h>

/* A guest's ring page and our view of it. */
struct fixture {
	_Alignas(4096) uint8_t page[4096];
	struct ring ring;
	uint32_t prod;
};

static struct fixture f;

static void start_at(uint32_t index)
{
	memset(&f, 0, sizeof(f));
	memcpy(f.page + 0, &index, 4);
	memcpy(f.page + 8, &index, 4);
	f.prod = index;
	assert_int_equal(ring_attach(&f.ring, f.page, 4096, NETIF_TX_SLOT_SIZE), 0);
}

static int setup(void **state)
{
	(void)state;
	start_at(0);
	return 0;
}

static void push(const void *slot, size_t size)
{
	memcpy(f.page + RING_HEADER_SIZE + (f.prod % 256) * NETIF_TX_SLOT_SIZE, slot, size);
	f.prod++;
	memcpy(f.page, &f.prod, 4);
}

static void push_data(uint16_t id, uint16_t offset, uint16_t size, uint16_t flags)
{
	struct netif_tx_request req = {
		.gref = 1000u + id, .offset = offset, .size = size, .flags = flags, .id = id
	};

	push(&req, sizeof(req));
}

static void push_extra(struct netif_extra extra)
{
	push(&extra, sizeof(extra));
}

static void push_gso(uint8_t type, uint16_t size, uint8_t flags)
{
	push_extra((struct netif_extra){
		.type = NETIF_EXTRA_GSO, .flags = flags, .gso.type = type, .gso.size = size });
}

/* `nr` data slots of 100 bytes each. */
static void push_chain(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		push_data((uint16_t)i, 0, (uint16_t)(i ? 100 : nr * 100),
			  i + 1 < nr ? NETIF_TX_MORE_DATA : 0);
}

static struct netif_tx_packet packet;
static const char *why;

static int parse(void)
{
	uint32_t waiting;

	assert_int_equal(ring_peek(&f.ring, &waiting), 0);
	memset(&packet, 0xee, sizeof(packet));
	why = NULL;
	return netif_tx_parse(&f.ring, waiting, &packet, &why);
}

static void expect_fatal(void)
{
	assert_int_equal(parse(), -EPROTO);
	assert_non_null(why);
	assert_int_equal(f.ring.req_cons, 0);
}

/* The packet is refused, and the ring still knows each slot, so that each can be answered. */
static void expect_bad(enum netif_tx_kind kind, uint32_t nr_ring)
{
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, kind);
	assert_int_equal(packet.nr_ring, nr_ring);
	assert_int_equal(packet.nr_slots + packet.nr_extras, nr_ring);
}

/* --- what honest guests send --- */

static void one_slot_is_a_frame(void **state)
{
	(void)state;
	push_data(7, 100, 60, NETIF_TX_CSUM_BLANK | NETIF_TX_DATA_VALIDATED);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, NETIF_TX_FRAME);
	assert_int_equal(packet.nr_ring, 1);
	assert_int_equal(packet.nr_slots, 1);
	assert_int_equal(packet.nr_extras, 0);
	assert_int_equal(packet.total, 60);
	assert_true(packet.csum_blank);
	assert_true(packet.data_validated);
	assert_int_equal(packet.gso_type, NETIF_GSO_NONE);
	assert_int_equal(packet.slots[0].gref, 1007);
	assert_int_equal(packet.slots[0].offset, 100);
	assert_int_equal(packet.slots[0].size, 60);
	assert_int_equal(packet.slots[0].id, 7);
	assert_int_equal(f.ring.req_cons, 0); /* nothing was taken */
}

static void first_slot_has_what_the_others_leave_over(void **state)
{
	(void)state;
	push_data(1, 0, 9000, NETIF_TX_MORE_DATA);
	push_data(2, 0, 4096, NETIF_TX_MORE_DATA);
	push_data(3, 96, 4000, 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, NETIF_TX_FRAME);
	assert_int_equal(packet.total, 9000);
	assert_int_equal(packet.nr_slots, 3);
	assert_int_equal(packet.slots[0].size, 904);
	assert_int_equal(packet.slots[1].size, 4096);
	assert_int_equal(packet.slots[2].size, 4000);
	assert_int_equal(packet.slots[2].offset, 96);
}

static void gso_extra_sits_between_first_and_second_slot(void **state)
{
	(void)state;
	push_data(1, 0, 5000, NETIF_TX_MORE_DATA | NETIF_TX_EXTRA_INFO | NETIF_TX_CSUM_BLANK);
	push_gso(NETIF_GSO_TCPV6, 1440, 0);
	push_data(2, 0, 4000, 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, NETIF_TX_FRAME);
	assert_int_equal(packet.nr_ring, 3);
	assert_int_equal(packet.nr_slots, 2);
	assert_int_equal(packet.nr_extras, 1);
	assert_int_equal(packet.gso_type, NETIF_GSO_TCPV6);
	assert_int_equal(packet.gso_size, 1440);
	assert_int_equal(packet.slots[1].id, 2);
}

static void only_the_first_packet_is_looked_at(void **state)
{
	(void)state;
	push_data(1, 0, 60, 0);
	push_data(2, 4000, 4000, 0); /* impossible, but it is not its turn yet */
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.nr_ring, 1);
}

static void packet_may_lie_across_the_end_of_the_ring(void **state)
{
	(void)state;
	start_at(UINT32_MAX - 1); /* the index itself wraps too */
	push_chain(5);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.nr_slots, 5);
	assert_int_equal(packet.slots[4].id, 4);
}

static void eighteen_slots_are_accepted(void **state)
{
	(void)state;
	push_chain(18);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, NETIF_TX_FRAME);
	assert_int_equal(packet.nr_slots, 18);
}

static void largest_packet_of_65535_bytes_is_accepted(void **state)
{
	(void)state;
	push_data(0, 0, 65535, NETIF_TX_MORE_DATA);
	for (uint16_t i = 1; i < 16; i++)
		push_data(i, 0, 4096, (uint16_t)(i < 15 ? NETIF_TX_MORE_DATA : 0));
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, NETIF_TX_FRAME);
	assert_int_equal(packet.slots[0].size, 65535 - 15 * 4096);
}

static void hash_extra_is_passed_over(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
	push_extra((struct netif_extra){ .type = NETIF_EXTRA_HASH, .flags = NETIF_EXTRA_MORE });
	push_gso(NETIF_GSO_TCPV4, 1448, 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.nr_extras, 2);
	assert_int_equal(packet.gso_size, 1448);
}

/* --- rows 4 to 15 --- */

static void row_4_extra_that_is_not_there_is_fatal(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
	expect_fatal();
}

static void row_4_second_extra_that_is_not_there_is_fatal(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
	push_gso(NETIF_GSO_TCPV4, 1448, NETIF_EXTRA_MORE);
	expect_fatal();
}

static void row_5_extra_type_0_is_fatal(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
	push_extra((struct netif_extra){ .type = NETIF_EXTRA_NONE });
	expect_fatal();
}

static void row_5_every_unknown_extra_type_is_fatal(void **state)
{
	(void)state;
	for (unsigned int type = NETIF_EXTRA_NR; type < 256; type++) {
		start_at(0);
		push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
		push_extra((struct netif_extra){ .type = (uint8_t)type });
		expect_fatal();
	}
}

static void row_6_five_extras_are_bearable(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
	for (int i = 0; i < 5; i++)
		push_gso(NETIF_GSO_TCPV4, (uint16_t)(1000 + i), i < 4 ? NETIF_EXTRA_MORE : 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.nr_extras, 5);
	assert_int_equal(packet.gso_size, 1004); /* the last one counts */
}

static void row_6_six_extras_are_fatal(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
	for (int i = 0; i < 6; i++)
		push_gso(NETIF_GSO_TCPV4, 1448, i < 5 ? NETIF_EXTRA_MORE : 0);
	expect_fatal();
}

static void row_7_multicast_dummy_takes_its_two_slots_and_no_more(void **state)
{
	static const uint8_t addr[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct netif_extra extra = { .type = NETIF_EXTRA_MCAST_ADD };

	(void)state;
	memcpy(extra.mcast_addr, addr, sizeof(addr));
	push_data(9, 4095, 4095, NETIF_TX_EXTRA_INFO | NETIF_TX_MORE_DATA);
	push_extra(extra);
	push_data(10, 0, 60, 0);
	expect_bad(NETIF_TX_MCAST_ADD, 2);
	assert_memory_equal(packet.mcast_addr, addr, sizeof(addr));
	assert_int_equal(packet.slots[0].id, 9);
}

static void row_7_multicast_del_is_told_from_add(void **state)
{
	(void)state;
	push_data(9, 0, 0, NETIF_TX_EXTRA_INFO);
	push_extra((struct netif_extra){ .type = NETIF_EXTRA_MCAST_DEL });
	expect_bad(NETIF_TX_MCAST_DEL, 2);
}

static void row_8_more_data_that_is_not_there_is_fatal(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_MORE_DATA);
	expect_fatal();
}

static void row_9_twenty_slots_are_fatal(void **state)
{
	(void)state;
	push_chain(20);
	expect_fatal();
}

static void row_9_a_ring_full_of_one_packet_is_fatal(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 256; i++)
		push_data(i, 0, 100, NETIF_TX_MORE_DATA);
	expect_fatal();
}

static void row_10_nineteen_slots_are_answered_with_errors(void **state)
{
	(void)state;
	push_chain(19);
	expect_bad(NETIF_TX_TOO_MANY_SLOTS, 19);
	for (uint16_t i = 0; i < 19; i++)
		assert_int_equal(packet.slots[i].id, i);
}

static void row_11_fragment_above_the_total_is_answered_with_errors(void **state)
{
	(void)state;
	push_data(1, 0, 1000, NETIF_TX_MORE_DATA);
	push_data(2, 0, 1001, 0);
	expect_bad(NETIF_TX_TOO_LONG, 2);
}

static void row_11_wrapped_total_does_not_underflow(void **state)
{
	(void)state;
	/* 16 full pages are 65536 bytes: a 16 bit total shows 0. */
	push_data(0, 0, 0, NETIF_TX_MORE_DATA);
	for (uint16_t i = 1; i < 16; i++)
		push_data(i, 0, 4096, (uint16_t)(i < 15 ? NETIF_TX_MORE_DATA : 0));
	expect_bad(NETIF_TX_TOO_LONG, 16);
}

static void row_11_later_slots_are_still_checked(void **state)
{
	(void)state;
	push_data(1, 0, 100, NETIF_TX_MORE_DATA);
	push_data(2, 0, 200, NETIF_TX_MORE_DATA);
	push_data(3, 4000, 97, 0);
	expect_fatal();
}

static void row_12_slot_across_its_page_is_fatal(void **state)
{
	(void)state;
	push_data(1, 0, 1000, NETIF_TX_MORE_DATA);
	push_data(2, 4000, 97, 0);
	expect_fatal();
}

static void row_12_slot_up_to_the_end_of_its_page_is_fine(void **state)
{
	(void)state;
	push_data(1, 4096 - 903, 1000, NETIF_TX_MORE_DATA);
	push_data(2, 3999, 97, 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.slots[0].size, 903);
}

static void row_12_first_fragment_across_its_page_is_fatal(void **state)
{
	(void)state;
	push_data(1, 4096 - 902, 1000, NETIF_TX_MORE_DATA);
	push_data(2, 3999, 97, 0);
	expect_fatal();
}

static void row_12_the_sum_does_not_wrap_at_16_bits(void **state)
{
	(void)state;
	push_data(1, 65535, 100, 0);
	expect_fatal();
	start_at(0);
	push_data(1, 0, 65535, NETIF_TX_MORE_DATA);
	push_data(2, 65000, 4000, 0);
	expect_fatal();
}

static void row_13_thirteen_bytes_are_no_frame(void **state)
{
	(void)state;
	push_data(1, 0, 13, 0);
	expect_bad(NETIF_TX_TOO_SHORT, 1);
}

static void row_13_fourteen_bytes_are_a_frame(void **state)
{
	(void)state;
	push_data(1, 0, 14, 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, NETIF_TX_FRAME);
}

static void row_14_empty_slots_are_kept_as_such(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_MORE_DATA);
	push_data(2, 0, 60, NETIF_TX_MORE_DATA);
	push_data(3, 4096, 0, 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(packet.kind, NETIF_TX_FRAME);
	assert_int_equal(packet.nr_slots, 3);
	assert_int_equal(packet.slots[0].size, 0);
	assert_int_equal(packet.slots[1].size, 60);
	assert_int_equal(packet.slots[2].size, 0);
}

static void row_15_gso_size_0_is_fatal(void **state)
{
	(void)state;
	push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
	push_gso(NETIF_GSO_TCPV4, 0, 0);
	expect_fatal();
}

static void row_15_unknown_gso_types_are_fatal(void **state)
{
	static const uint8_t types[] = { 0, 3, 4, 255 };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		start_at(0);
		push_data(1, 0, 60, NETIF_TX_EXTRA_INFO);
		push_gso(types[i], 1448, 0);
		expect_fatal();
	}
}

/* --- rows 1 to 3 are tested with the ring; here is the size of the network ring --- */

static void row_1_more_requests_than_the_ring_holds_are_refused(void **state)
{
	uint32_t prod = 257, waiting;

	(void)state;
	assert_int_equal(f.ring.nr_slots, 256);
	memcpy(f.page, &prod, 4);
	assert_int_equal(ring_peek(&f.ring, &waiting), -EPROTO);
}

static void receive_ring_has_256_slots(void **state)
{
	(void)state;
	assert_int_equal(ring_count_slots(4096, NETIF_RX_SLOT_SIZE), 256);
	assert_int_equal(ring_count_slots(4096, NETIF_TX_SLOT_SIZE), 256);
}

static void receive_slots_are_counted_exactly(void **state)
{
	(void)state;
	assert_int_equal(netif_rx_count_slots(14, false), 1);
	assert_int_equal(netif_rx_count_slots(4096, false), 1);
	assert_int_equal(netif_rx_count_slots(4097, false), 2);
	assert_int_equal(netif_rx_count_slots(4096, true), 2);
	assert_int_equal(netif_rx_count_slots(65549, true), 18);
}

/* Random rings: never more than what waits, never a slot outside its page, exact accounting. */
static void any_ring_keeps_the_promises(void **state)
{
	uint32_t seed = 12345;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		uint32_t nr;

		start_at(seed % 256);
		seed = seed * 1664525u + 1013904223u;
		nr = 1 + (seed >> 24) % 40;
		for (uint32_t i = 0; i < nr; i++) {
			uint8_t slot[NETIF_TX_SLOT_SIZE];

			for (size_t b = 0; b < sizeof(slot); b++) {
				seed = seed * 1664525u + 1013904223u;
				slot[b] = (uint8_t)(seed >> 24);
			}
			slot[5] &= 0x0f; /* offsets mostly inside a page */
			slot[11] &= 0x03;
			slot[0] = (uint8_t)(slot[0] % 6); /* as an extra: a likely type */
			slot[1] &= 1;
			push(slot, sizeof(slot));
		}
		if (parse() != 0)
			continue;
		assert_true(packet.nr_ring >= 1 && packet.nr_ring <= nr);
		assert_int_equal(packet.nr_ring, packet.nr_slots + packet.nr_extras);
		assert_true(packet.nr_slots < NETIF_FATAL_SLOTS);
		if (packet.kind != NETIF_TX_FRAME)
			continue;
		uint32_t sum = 0;

		assert_true(packet.nr_slots <= NETIF_MAX_SLOTS);
		for (uint32_t i = 0; i < packet.nr_slots; i++) {
			assert_true((uint32_t)packet.slots[i].offset + packet.slots[i].size <=
				    4096);
			sum += packet.slots[i].size;
		}
		assert_int_equal(sum, packet.total);
		assert_true(packet.total >= NETIF_MIN_FRAME);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_slot_is_a_frame, setup),
		cmocka_unit_test_setup(first_slot_has_what_the_others_leave_over, setup),
		cmocka_unit_test_setup(gso_extra_sits_between_first_and_second_slot, setup),
		cmocka_unit_test_setup(only_the_first_packet_is_looked_at, setup),
		cmocka_unit_test_setup(packet_may_lie_across_the_end_of_the_ring, setup),
		cmocka_unit_test_setup(eighteen_slots_are_accepted, setup),
		cmocka_unit_test_setup(largest_packet_of_65535_bytes_is_accepted, setup),
		cmocka_unit_test_setup(hash_extra_is_passed_over, setup),
		cmocka_unit_test_setup(row_1_more_requests_than_the_ring_holds_are_refused, setup),
		cmocka_unit_test_setup(row_4_extra_that_is_not_there_is_fatal, setup),
		cmocka_unit_test_setup(row_4_second_extra_that_is_not_there_is_fatal, setup),
		cmocka_unit_test_setup(row_5_extra_type_0_is_fatal, setup),
		cmocka_unit_test_setup(row_5_every_unknown_extra_type_is_fatal, setup),
		cmocka_unit_test_setup(row_6_five_extras_are_bearable, setup),
		cmocka_unit_test_setup(row_6_six_extras_are_fatal, setup),
		cmocka_unit_test_setup(row_7_multicast_dummy_takes_its_two_slots_and_no_more,
				       setup),
		cmocka_unit_test_setup(row_7_multicast_del_is_told_from_add, setup),
		cmocka_unit_test_setup(row_8_more_data_that_is_not_there_is_fatal, setup),
		cmocka_unit_test_setup(row_9_twenty_slots_are_fatal, setup),
		cmocka_unit_test_setup(row_9_a_ring_full_of_one_packet_is_fatal, setup),
		cmocka_unit_test_setup(row_10_nineteen_slots_are_answered_with_errors, setup),
		cmocka_unit_test_setup(row_11_fragment_above_the_total_is_answered_with_errors,
				       setup),
		cmocka_unit_test_setup(row_11_wrapped_total_does_not_underflow, setup),
		cmocka_unit_test_setup(row_11_later_slots_are_still_checked, setup),
		cmocka_unit_test_setup(row_12_slot_across_its_page_is_fatal, setup),
		cmocka_unit_test_setup(row_12_slot_up_to_the_end_of_its_page_is_fine, setup),
		cmocka_unit_test_setup(row_12_first_fragment_across_its_page_is_fatal, setup),
		cmocka_unit_test_setup(row_12_the_sum_does_not_wrap_at_16_bits, setup),
		cmocka_unit_test_setup(row_13_thirteen_bytes_are_no_frame, setup),
		cmocka_unit_test_setup(row_13_fourteen_bytes_are_a_frame, setup),
		cmocka_unit_test_setup(row_14_empty_slots_are_kept_as_such, setup),
		cmocka_unit_test_setup(row_15_gso_size_0_is_fatal, setup),
		cmocka_unit_test_setup(row_15_unknown_gso_types_are_fatal, setup),
		cmocka_unit_test_setup(receive_ring_has_256_slots, setup),
		cmocka_unit_test_setup(receive_slots_are_counted_exactly, setup),
		cmocka_unit_test_setup(any_ring_keeps_the_promises, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
