/* SPDX-License-Identifier: MIT */
/* Every check on a block request, in every layout, against Xen's own header. */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/io/blkif.h>

#include "ring/blkif.h"

#define NR_SECTORS 1000u

static const struct blkif_limits limits = { .nr_sectors = NR_SECTORS, .discard = true };
static const struct blkif_limits read_only = { .nr_sectors = NR_SECTORS,
					       .read_only = true,
					       .discard = true };

/* Our structs have other names; blkif_request_t is that of Xen's header. */
static void put_request(enum blkif_abi abi, const blkif_request_t *in, uint8_t *slot)
{
	memset(slot, 0xee, BLKIF_SLOT_MAX);
	if (abi == BLKIF_ABI_64) {
		_Static_assert(sizeof(*in) == BLKIF_SLOT_MAX, "x86_64 layout");
		memcpy(slot, in, sizeof(*in));
		return;
	}
	memcpy(slot, in, 4);
	memcpy(slot + 4, &in->id, 8);
	memcpy(slot + 12, &in->sector_number, 8);
	memcpy(slot + 20, in->seg, sizeof(in->seg));
}

static blkif_request_t good_read(void)
{
	blkif_request_t in = { .operation = BLKIF_OP_READ,
			       .nr_segments = 2,
			       .id = 0x1122334455667788,
			       .sector_number = 10 };

	in.seg[0] = (struct blkif_request_segment){ .gref = 5, .first_sect = 0, .last_sect = 7 };
	in.seg[1] = (struct blkif_request_segment){ .gref = 6, .first_sect = 3, .last_sect = 3 };
	return in;
}

/* Check for the same fault in both layouts; returns the last parse for more checks. */
static enum blkif_fault parse_both(const blkif_request_t *in, const struct blkif_limits *with,
				   struct blk_request *req)
{
	uint8_t slot[BLKIF_SLOT_MAX];
	enum blkif_fault wide, narrow;

	put_request(BLKIF_ABI_64, in, slot);
	wide = blkif_parse(BLKIF_ABI_64, slot, with, req);
	CHECK(req->id == in->id && req->op == in->operation);
	put_request(BLKIF_ABI_X86_32, in, slot);
	narrow = blkif_parse(BLKIF_ABI_X86_32, slot, with, req);
	CHECK(req->id == in->id && req->op == in->operation);
	CHECK(wide == narrow);
	return wide;
}

static void a_good_request_comes_through_whole(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FINE);
	CHECK(req.sector == 10 && req.nr_segments == 2 && req.nr_sectors == 9);
	CHECK(req.segments[0].ref == 5 && blkif_segment_bytes(&req.segments[0]) == 4096);
	CHECK(req.segments[1].ref == 6 && blkif_segment_bytes(&req.segments[1]) == 512);
	CHECK(blkif_segment_offset(&req.segments[1]) == 3 * 512);
}

static void more_than_eleven_segments_are_refused(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	for (unsigned int nr = BLKIF_MAX_SEGMENTS_PER_REQUEST + 1; nr <= UINT8_MAX; nr++) {
		in.nr_segments = (uint8_t)nr;
		CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_SEGMENT_COUNT);
	}
}

static void zero_segments_are_for_flush_only(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	in.nr_segments = 0;
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_SEGMENT_COUNT);
	in.operation = BLKIF_OP_WRITE;
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_SEGMENT_COUNT);
	in.operation = BLKIF_OP_FLUSH_DISKCACHE;
	in.sector_number = UINT64_MAX; /* an empty flush has no place on the disk */
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FINE);
	CHECK(req.nr_sectors == 0);
}

static void put_indirect(enum blkif_abi abi, const struct blkif_request_indirect *in, uint8_t *slot)
{
	memset(slot, 0xee, BLKIF_SLOT_MAX);
	if (abi == BLKIF_ABI_64) {
		memcpy(slot, in, sizeof(*in));
		return;
	}
	memcpy(slot, in, 4);
	memcpy(slot + 4, &in->id, 8);
	memcpy(slot + 12, &in->sector_number, 8);
	memcpy(slot + 20, &in->handle, 2);
	memcpy(slot + 24, in->indirect_grefs, sizeof(in->indirect_grefs));
}

static enum blkif_fault parse_indirect_both(const struct blkif_request_indirect *in,
					    struct blk_request *req)
{
	uint8_t slot[BLKIF_SLOT_MAX];
	enum blkif_fault wide, narrow;

	put_indirect(BLKIF_ABI_64, in, slot);
	wide = blkif_parse(BLKIF_ABI_64, slot, &limits, req);
	CHECK(req->id == in->id);
	put_indirect(BLKIF_ABI_X86_32, in, slot);
	narrow = blkif_parse(BLKIF_ABI_X86_32, slot, &limits, req);
	CHECK(req->id == in->id && wide == narrow);
	return wide;
}

static struct blkif_request_indirect good_indirect(void)
{
	return (struct blkif_request_indirect){ .operation = BLKIF_OP_INDIRECT,
						.indirect_op = BLKIF_OP_WRITE,
						.nr_segments = 256,
						.id = 42,
						.sector_number = 3,
						.indirect_grefs = { 99 } };
}

static void an_indirect_request_names_its_page_and_echoes_the_inner_operation(void **state)
{
	struct blkif_request_indirect in = good_indirect();
	struct blk_request req;

	(void)state;
	CHECK(parse_indirect_both(&in, &req) == BLKIF_FINE);
	CHECK(req.indirect && req.op == BLKIF_WRITE && req.nr_segments == 256);
	CHECK(req.indirect_ref == 99 && req.sector == 3);
}

static void an_indirect_request_is_read_or_write_of_one_to_256_segments(void **state)
{
	struct blkif_request_indirect in = good_indirect();
	struct blk_request req;

	(void)state;
	in.nr_segments = 0;
	CHECK(parse_indirect_both(&in, &req) == BLKIF_FAULT_SEGMENT_COUNT);
	in.nr_segments = 257;
	CHECK(parse_indirect_both(&in, &req) == BLKIF_FAULT_SEGMENT_COUNT);
	in.nr_segments = UINT16_MAX;
	CHECK(parse_indirect_both(&in, &req) == BLKIF_FAULT_SEGMENT_COUNT);
	in.nr_segments = 1;
	for (unsigned int op = BLKIF_BARRIER; op <= UINT8_MAX; op++) {
		in.indirect_op = (uint8_t)op;
		CHECK(parse_indirect_both(&in, &req) == BLKIF_FAULT_OPERATION);
	}
}

static void indirect_segments_get_every_check_of_direct_ones(void **state)
{
	struct blkif_request_segment page[256];
	struct blk_segment segments[256];
	struct blk_request req = { .op = BLKIF_READ, .indirect = 1, .nr_segments = 256 };
	const struct blkif_limits big = { .nr_sectors = 2048 };

	(void)state;
	for (unsigned int i = 0; i < 256; i++)
		page[i] = (struct blkif_request_segment){ .gref = i, .last_sect = 7 };
	CHECK(blkif_parse_indirect(page, &big, &req, segments) == BLKIF_FINE);
	CHECK(req.nr_sectors == 2048 && segments[255].ref == 255);
	CHECK(blkif_parse_indirect(page, &limits, &req, segments) == BLKIF_FAULT_BEYOND_END);
	req.sector = 1;
	CHECK(blkif_parse_indirect(page, &big, &req, segments) == BLKIF_FAULT_BEYOND_END);
	req.sector = 0;
	page[255].last_sect = 8;
	CHECK(blkif_parse_indirect(page, &big, &req, segments) == BLKIF_FAULT_SEGMENT_RANGE);
	page[255] = (struct blkif_request_segment){ .first_sect = 5, .last_sect = 4 };
	CHECK(blkif_parse_indirect(page, &big, &req, segments) == BLKIF_FAULT_SEGMENT_RANGE);
}

static void a_discard_is_checked_like_a_write(void **state)
{
	blkif_request_discard_t in = { .operation = BLKIF_OP_DISCARD,
				       .id = 9,
				       .sector_number = 8,
				       .nr_sectors = NR_SECTORS - 8 };
	struct blkif_limits with = limits;
	uint8_t slot[BLKIF_SLOT_MAX] = { 0 };
	struct blk_request req;

	(void)state;
	memcpy(slot, &in, sizeof(in));
	CHECK(blkif_parse(BLKIF_ABI_64, slot, &with, &req) == BLKIF_FINE);
	CHECK(req.nr_sectors == NR_SECTORS - 8 && req.nr_segments == 0);
	with.read_only = true;
	CHECK(blkif_parse(BLKIF_ABI_64, slot, &with, &req) == BLKIF_FAULT_READ_ONLY);
	with = limits;
	with.discard = false;
	CHECK(blkif_parse(BLKIF_ABI_64, slot, &with, &req) == BLKIF_FAULT_OPERATION);
	in.flag = BLKIF_DISCARD_SECURE;
	memcpy(slot, &in, sizeof(in));
	CHECK(blkif_parse(BLKIF_ABI_64, slot, &limits, &req) == BLKIF_FAULT_OPERATION);
	in.flag = 0;
	in.nr_sectors = UINT64_MAX - 7;
	memcpy(slot, &in, sizeof(in));
	CHECK(blkif_parse(BLKIF_ABI_64, slot, &limits, &req) == BLKIF_FAULT_BEYOND_END);
	memset(slot, 0, sizeof(slot)); /* the 32-bit layout: id 4, sector 12, count 20 */
	slot[0] = BLKIF_OP_DISCARD;
	slot[4] = 9;
	slot[12] = 8;
	slot[20] = 5;
	CHECK(blkif_parse(BLKIF_ABI_X86_32, slot, &limits, &req) == BLKIF_FINE);
	CHECK(req.id == 9 && req.sector == 8 && req.nr_sectors == 5);
}

static void a_request_from_a_journal_is_checked_again(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request good, req;

	(void)state;
	CHECK(parse_both(&in, &limits, &good) == BLKIF_FINE);
	CHECK(blkif_recheck(&good, &limits) == BLKIF_FINE);
	req = good;
	req.nr_segments = 12;
	CHECK(blkif_recheck(&req, &limits) != BLKIF_FINE);
	req = good;
	req.nr_sectors = 1;
	CHECK(blkif_recheck(&req, &limits) != BLKIF_FINE);
	req = good;
	req.segments[1].last = 8;
	CHECK(blkif_recheck(&req, &limits) != BLKIF_FINE);
	req = good;
	req.sector = NR_SECTORS;
	CHECK(blkif_recheck(&req, &limits) != BLKIF_FINE);
	req = good;
	req.op = BLKIF_INDIRECT;
	CHECK(blkif_recheck(&req, &limits) != BLKIF_FINE);
	req.op = 4;
	CHECK(blkif_recheck(&req, &limits) != BLKIF_FINE);
}

static void a_backward_segment_is_refused(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	in.seg[1].first_sect = 4;
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_SEGMENT_RANGE);
}

static void a_segment_beyond_its_page_is_refused(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	for (unsigned int last = 8; last <= UINT8_MAX; last++) {
		in.seg[0].last_sect = (uint8_t)last;
		CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_SEGMENT_RANGE);
	}
}

static void no_sum_of_sectors_can_wrap(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	in.sector_number = NR_SECTORS - 9; /* the last nine */
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FINE);
	in.sector_number = NR_SECTORS - 8;
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_BEYOND_END);
	in.sector_number = UINT64_MAX - 4;
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_BEYOND_END);
	in.sector_number = UINT64_MAX;
	CHECK(parse_both(&in, &limits, &req) == BLKIF_FAULT_BEYOND_END);
}

static void a_disk_smaller_than_the_request_is_safe(void **state)
{
	const struct blkif_limits tiny = { .nr_sectors = 8 };
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	in.sector_number = 0;
	CHECK(parse_both(&in, &tiny, &req) == BLKIF_FAULT_BEYOND_END);
}

static void a_read_only_disk_takes_reads_only(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	CHECK(parse_both(&in, &read_only, &req) == BLKIF_FINE);
	in.operation = BLKIF_OP_WRITE;
	CHECK(parse_both(&in, &read_only, &req) == BLKIF_FAULT_READ_ONLY);
	in.operation = BLKIF_OP_FLUSH_DISKCACHE;
	CHECK(parse_both(&in, &read_only, &req) == BLKIF_FAULT_READ_ONLY);
}

static void an_unknown_operation_is_not_supported_and_echoed(void **state)
{
	blkif_request_t in = good_read();
	struct blk_request req;

	(void)state;
	for (unsigned int op = 0; op <= UINT8_MAX; op++) {
		enum blkif_fault fault;

		if (op <= BLKIF_FLUSH || op == BLKIF_DISCARD || op == BLKIF_INDIRECT)
			continue;
		in.operation = (uint8_t)op;
		fault = parse_both(&in, &limits, &req);
		CHECK(fault == BLKIF_FAULT_OPERATION);
		CHECK(blkif_fault_status(fault) == BLKIF_NOT_SUPPORTED);
	}
}

static void every_other_fault_is_an_error(void **state)
{
	(void)state;
	CHECK(blkif_fault_status(BLKIF_FINE) == BLKIF_OKAY);
	for (int fault = BLKIF_FAULT_SEGMENT_COUNT; fault < BLKIF_NR_FAULTS; fault++)
		CHECK(blkif_fault_status((enum blkif_fault)fault) == BLKIF_ERROR);
}

static void a_response_has_zero_padding_in_both_layouts(void **state)
{
	uint8_t rsp[BLKIF_RESPONSE_MAX];
	blkif_response_t wide;

	(void)state;
	memset(rsp, 0xee, sizeof(rsp));
	CHECK(blkif_response(BLKIF_ABI_64, 0x0102030405060708, BLKIF_WRITE, BLKIF_ERROR, rsp) ==
	      sizeof(wide));
	memcpy(&wide, rsp, sizeof(wide));
	CHECK(wide.id == 0x0102030405060708 && wide.operation == BLKIF_OP_WRITE);
	CHECK(wide.status == BLKIF_RSP_ERROR);
	CHECK(rsp[9] == 0 && rsp[12] == 0 && rsp[15] == 0);

	memset(rsp, 0xee, sizeof(rsp));
	CHECK(blkif_response(BLKIF_ABI_X86_32, 1, BLKIF_READ, BLKIF_OKAY, rsp) == 12);
	CHECK(rsp[9] == 0 && rsp[11] == 0);
	CHECK(rsp[12] == 0xee); /* not ours: the slot of a 32-bit guest ends there */
}

static void the_protocol_key_chooses_the_layout(void **state)
{
	enum blkif_abi abi;

	(void)state;
	CHECK(blkif_abi_parse("x86_64-abi", &abi) == 0 && abi == BLKIF_ABI_64);
	CHECK(blkif_abi_parse("x86_32-abi", &abi) == 0 && abi == BLKIF_ABI_X86_32);
	CHECK(blkif_abi_parse(NULL, &abi) == 0 && abi == BLKIF_ABI_X86_32);
	CHECK(blkif_abi_parse("arm-abi", &abi) == 0 && abi == BLKIF_ABI_64);
	CHECK(blkif_abi_parse("", &abi) == -EINVAL);
	CHECK(blkif_abi_parse("x86_64-abi ", &abi) == -EINVAL);
	CHECK(blkif_slot_size(BLKIF_ABI_64) == 112 && blkif_slot_size(BLKIF_ABI_X86_32) == 108);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_request_comes_through_whole),
		cmocka_unit_test(more_than_eleven_segments_are_refused),
		cmocka_unit_test(zero_segments_are_for_flush_only),
		cmocka_unit_test(an_indirect_request_names_its_page_and_echoes_the_inner_operation),
		cmocka_unit_test(an_indirect_request_is_read_or_write_of_one_to_256_segments),
		cmocka_unit_test(indirect_segments_get_every_check_of_direct_ones),
		cmocka_unit_test(a_discard_is_checked_like_a_write),
		cmocka_unit_test(a_request_from_a_journal_is_checked_again),
		cmocka_unit_test(a_backward_segment_is_refused),
		cmocka_unit_test(a_segment_beyond_its_page_is_refused),
		cmocka_unit_test(no_sum_of_sectors_can_wrap),
		cmocka_unit_test(a_disk_smaller_than_the_request_is_safe),
		cmocka_unit_test(a_read_only_disk_takes_reads_only),
		cmocka_unit_test(an_unknown_operation_is_not_supported_and_echoed),
		cmocka_unit_test(every_other_fault_is_an_error),
		cmocka_unit_test(a_response_has_zero_padding_in_both_layouts),
		cmocka_unit_test(the_protocol_key_chooses_the_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
