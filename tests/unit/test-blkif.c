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

static const struct blkif_limits limits = { .nr_sectors = NR_SECTORS };
static const struct blkif_limits read_only = { .nr_sectors = NR_SECTORS, .read_only = true };

/* Our structs have names of their own; the header's is blkif_request_t here. */
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

/* The same fault in both layouts; gives the last parse for a closer look. */
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

		if (op == BLKIF_READ || op == BLKIF_WRITE || op == BLKIF_FLUSH)
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
