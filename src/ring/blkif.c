/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "ring/blkif.h"

/*
 * The fields of a read/write request by byte offset. x86_32 aligns 64-bit
 * fields to four bytes, so everything after `handle` moves up by four.
 */
struct layout {
	uint32_t slot_size;
	uint8_t id, sector, segments; /* offsets */
	uint8_t rsp_op, rsp_status, rsp_size;
};

static const struct layout layouts[] = {
	[BLKIF_ABI_64] = { 112, 8, 16, 24, 8, 10, 16 },
	[BLKIF_ABI_X86_32] = { 108, 4, 12, 20, 8, 10, 12 },
};

enum {
	OFFSET_OP = 0,
	OFFSET_NR_SEGMENTS = 1,
	SEGMENT_SIZE = 8,
	SEGMENT_FIRST = 4,
	SEGMENT_LAST = 5
};

int blkif_abi_parse(const char *protocol, enum blkif_abi *ret_abi)
{
	/* Only old 32-bit PV guests leave the key out (xen-blkback and tapback assume so too). */
	if (!protocol || !strcmp(protocol, "x86_32-abi"))
		*ret_abi = BLKIF_ABI_X86_32;
	else if (!strcmp(protocol, "x86_64-abi") || !strcmp(protocol, "arm-abi") ||
		 !strcmp(protocol, "native"))
		*ret_abi = BLKIF_ABI_64;
	else
		return -EINVAL;
	return 0;
}

uint32_t blkif_slot_size(enum blkif_abi abi)
{
	return layouts[abi].slot_size;
}

uint32_t blkif_segment_bytes(const struct blk_segment *segment)
{
	return (uint32_t)(segment->last - segment->first + 1) * BLKIF_SECTOR_SIZE;
}

uint32_t blkif_segment_offset(const struct blk_segment *segment)
{
	return segment->first * BLKIF_SECTOR_SIZE;
}

static uint64_t load_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Copy and check the segments, and add up their sectors. */
static enum blkif_fault parse_segments(const uint8_t *at, struct blk_request *req)
{
	uint32_t total = 0;

	for (unsigned int i = 0; i < req->nr_segments; i++, at += SEGMENT_SIZE) {
		struct blk_segment *segment = &req->segments[i];

		memcpy(&segment->ref, at, sizeof(segment->ref));
		segment->first = at[SEGMENT_FIRST];
		segment->last = at[SEGMENT_LAST];
		segment->zero = 0;
		if (segment->first > segment->last || segment->last >= BLKIF_SECTORS_PER_PAGE)
			return BLKIF_FAULT_SEGMENT_RANGE;
		total += (uint32_t)(segment->last - segment->first) + 1;
	}
	req->nr_sectors = total;
	return BLKIF_FINE;
}

/* Compare by subtracting from the limit: no sum of a guest's numbers can wrap. */
static bool is_inside(const struct blk_request *req, const struct blkif_limits *limits)
{
	return req->nr_sectors <= limits->nr_sectors &&
	       req->sector <= limits->nr_sectors - req->nr_sectors;
}

static enum blkif_fault parse_data(const struct layout *layout, const uint8_t *slot,
				   const struct blkif_limits *limits, struct blk_request *req)
{
	bool may_be_empty = req->op == BLKIF_FLUSH;
	enum blkif_fault fault;

	req->nr_segments = slot[OFFSET_NR_SEGMENTS];
	if (req->nr_segments > BLKIF_DIRECT_SEGMENTS || (req->nr_segments == 0 && !may_be_empty))
		return BLKIF_FAULT_SEGMENT_COUNT;
	if (req->op != BLKIF_READ && limits->read_only)
		return BLKIF_FAULT_READ_ONLY;
	req->sector = load_u64(slot + layout->sector);
	fault = parse_segments(slot + layout->segments, req);
	if (fault)
		return fault;
	if (req->nr_segments && !is_inside(req, limits))
		return BLKIF_FAULT_BEYOND_END;
	return BLKIF_FINE;
}

enum blkif_fault blkif_parse(enum blkif_abi abi, const void *slot,
			     const struct blkif_limits *limits, struct blk_request *req)
{
	const struct layout *layout = &layouts[abi];
	const uint8_t *bytes = slot;

	req->op = bytes[OFFSET_OP];
	req->id = load_u64(bytes + layout->id);
	req->sector = 0;
	req->nr_sectors = 0;
	req->nr_segments = 0;
	req->zero = 0;
	switch (req->op) {
	case BLKIF_READ:
	case BLKIF_WRITE:
	case BLKIF_FLUSH:
		return parse_data(layout, bytes, limits, req);
	default: /* any byte may come */
		return BLKIF_FAULT_OPERATION;
	}
}

enum blkif_status blkif_fault_status(enum blkif_fault fault)
{
	if (fault == BLKIF_FINE)
		return BLKIF_OKAY;
	return fault == BLKIF_FAULT_OPERATION ? BLKIF_NOT_SUPPORTED : BLKIF_ERROR;
}

const char *blkif_fault_name(enum blkif_fault fault)
{
	static const char *const names[BLKIF_NR_FAULTS] = {
		"fine",       "bad_operation", "bad_segment_count", "bad_segment_range",
		"beyond_end", "read_only",
	};

	return names[fault];
}

size_t blkif_response(enum blkif_abi abi, uint64_t id, uint8_t op, enum blkif_status status,
		      void *ret_rsp)
{
	const struct layout *layout = &layouts[abi];
	int16_t wire_status = (int16_t)status;
	uint8_t *bytes = ret_rsp;

	memset(bytes, 0, layout->rsp_size);
	memcpy(bytes, &id, sizeof(id));
	bytes[layout->rsp_op] = op;
	memcpy(bytes + layout->rsp_status, &wire_status, sizeof(wire_status));
	return layout->rsp_size;
}

const char *blkif_op_name(uint8_t op)
{
	static const char *const names[] = { "read", "write",   "barrier", "flush",
					     "4",    "discard", "indirect" };

	return op < sizeof(names) / sizeof(names[0]) ? names[op] : "unknown";
}
