/* SPDX-License-Identifier: MIT */
/* Any slot, any page of segments, any journal entry: all that is accepted is within its limits. */
#include "fuzz/fuzz.h"
#include "ring/blkif.h"

static void check_place(const struct blk_request *req, const struct blkif_limits *limits)
{
	HOLDS(req->nr_sectors == 0 || (req->nr_sectors <= limits->nr_sectors &&
				       req->sector <= limits->nr_sectors - req->nr_sectors));
}

static void check_segments(const struct blk_request *req, const struct blk_segment *segments)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < req->nr_segments; i++) {
		uint32_t bytes = blkif_segment_bytes(&segments[i]);

		HOLDS(bytes > 0 && bytes % BLKIF_SECTOR_SIZE == 0);
		HOLDS(blkif_segment_offset(&segments[i]) + bytes <= 4096);
		total += bytes / BLKIF_SECTOR_SIZE;
	}
	HOLDS(total == req->nr_sectors);
}

static void check_indirect(struct fuzz_input *in, const struct blkif_limits *limits,
			   struct blk_request *req)
{
	uint8_t page[BLKIF_INDIRECT_SEGMENTS * BLKIF_WIRE_SEGMENT];
	struct blk_segment segments[BLKIF_INDIRECT_SEGMENTS];

	HOLDS(req->op == BLKIF_READ || req->op == BLKIF_WRITE);
	HOLDS(req->nr_segments > 0 && req->nr_segments <= BLKIF_INDIRECT_SEGMENTS);
	fuzz_bytes(in, page, sizeof(page));
	if (blkif_parse_indirect(page, limits, req, segments))
		return;
	check_segments(req, segments);
	check_place(req, limits);
}

static void check_fine(struct fuzz_input *in, const struct blkif_limits *limits,
		       struct blk_request *req)
{
	HOLDS(!limits->read_only || req->op == BLKIF_READ);
	HOLDS(blkif_recheck(req, limits) == BLKIF_FINE);
	if (req->indirect) {
		check_indirect(in, limits, req);
		return;
	}
	check_place(req, limits);
	if (req->op == BLKIF_DISCARD)
		return;
	HOLDS(req->nr_segments <= BLKIF_DIRECT_SEGMENTS);
	check_segments(req, req->segments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t bits = fuzz_u8(&in), slot[BLKIF_SLOT_MAX], rsp[BLKIF_RESPONSE_MAX];
	enum blkif_abi abi = bits & 1 ? BLKIF_ABI_X86_32 : BLKIF_ABI_64;
	struct blkif_limits limits = { .nr_sectors = fuzz_u32(&in),
				       .read_only = bits & 2,
				       .discard = bits & 4,
				       .secure_discard = bits & 8 };
	struct blk_request req;
	enum blkif_fault fault;

	fuzz_bytes(&in, slot, sizeof(slot));
	fault = blkif_parse(abi, slot, &limits, &req);
	HOLDS(blkif_response(abi, req.id, req.op, blkif_fault_status(fault), rsp) <= sizeof(rsp));
	if (!fault)
		check_fine(&in, &limits, &req);
	fuzz_bytes(&in, &req, sizeof(req));
	if (!blkif_recheck(&req, &limits)) {
		req.nr_segments = req.op == BLKIF_DISCARD ? 0 : req.nr_segments;
		check_fine(&in, &limits, &req);
	}
	return 0;
}
