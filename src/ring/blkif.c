/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "ring/blkif.h"
#include "ring/ring.h"

/*
 * The fields of a read/write request by byte offset. x86_32 aligns 64-bit
 * fields to four bytes, so everything after `handle` moves up by four.
 */
struct layout {
	uint32_t slot_size;
	uint8_t id, sector, segments, discard_sectors, indirect_refs; /* offsets */
	uint8_t rsp_op, rsp_status, rsp_size;
};

static const struct layout layouts[] = {
	[BLKIF_ABI_64] = { 112, 8, 16, 24, 24, 28, 8, 10, 16 },
	[BLKIF_ABI_X86_32] = { 108, 4, 12, 20, 20, 24, 8, 10, 12 },
};

enum {
	OFFSET_OP = 0,
	OFFSET_NR_SEGMENTS = 1,
	OFFSET_FLAG = 1,
	OFFSET_INDIRECT_OP = 1,
	OFFSET_INDIRECT_NR = 2,
	SEGMENT_FIRST = 4,
	SEGMENT_LAST = 5,
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

uint32_t blkif_ring_slots(enum blkif_abi abi, uint32_t nr_pages)
{
	return ring_count_slots(nr_pages * BLKIF_SECTORS_PER_PAGE * BLKIF_SECTOR_SIZE,
				blkif_slot_size(abi));
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

static bool segment_fits(const struct blk_segment *segment)
{
	return segment->first <= segment->last && segment->last < BLKIF_SECTORS_PER_PAGE;
}

/* Copy and check `nr` segments, and add up their sectors. */
static enum blkif_fault parse_segments(const uint8_t *at, unsigned int nr,
				       struct blk_segment *segments, uint64_t *ret_sectors)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < nr; i++, at += BLKIF_WIRE_SEGMENT) {
		struct blk_segment *segment = &segments[i];

		memcpy(&segment->ref, at, sizeof(segment->ref));
		segment->first = at[SEGMENT_FIRST];
		segment->last = at[SEGMENT_LAST];
		segment->zero = 0;
		if (!segment_fits(segment))
			return BLKIF_FAULT_SEGMENT_RANGE;
		total += (uint64_t)(segment->last - segment->first) + 1;
	}
	*ret_sectors = total;
	return BLKIF_FINE;
}

/* Compare by subtracting from the limit: no sum of a guest's numbers can wrap. */
static enum blkif_fault check_place(const struct blk_request *req,
				    const struct blkif_limits *limits)
{
	bool inside = req->nr_sectors <= limits->nr_sectors &&
		      req->sector <= limits->nr_sectors - req->nr_sectors;

	/* An empty flush or barrier has no place on the medium. */
	return inside || req->nr_sectors == 0 ? BLKIF_FINE : BLKIF_FAULT_BEYOND_END;
}

/* What may be said before the segments are read. */
static enum blkif_fault check_kind(const struct blk_request *req, const struct blkif_limits *limits)
{
	bool may_be_empty = req->op == BLKIF_FLUSH || req->op == BLKIF_BARRIER;
	unsigned int most = req->indirect ? BLKIF_INDIRECT_SEGMENTS : BLKIF_DIRECT_SEGMENTS;

	if (req->indirect && req->op != BLKIF_READ && req->op != BLKIF_WRITE)
		return BLKIF_FAULT_OPERATION;
	if (req->op == BLKIF_DISCARD &&
	    (!limits->discard || (req->secure && !limits->secure_discard)))
		return BLKIF_FAULT_OPERATION;
	if (req->op != BLKIF_READ && limits->read_only)
		return BLKIF_FAULT_READ_ONLY;
	if (req->op == BLKIF_DISCARD)
		return BLKIF_FINE;
	if (req->nr_segments > most || (req->nr_segments == 0 && !may_be_empty))
		return BLKIF_FAULT_SEGMENT_COUNT;
	return BLKIF_FINE;
}

static enum blkif_fault parse_data(const struct layout *layout, const uint8_t *slot,
				   const struct blkif_limits *limits, struct blk_request *req)
{
	enum blkif_fault fault;

	req->nr_segments = slot[OFFSET_NR_SEGMENTS];
	req->sector = load_u64(slot + layout->sector);
	fault = check_kind(req, limits);
	if (!fault)
		fault = parse_segments(slot + layout->segments, req->nr_segments, req->segments,
				       &req->nr_sectors);
	return fault ? fault : check_place(req, limits);
}

static enum blkif_fault parse_discard(const struct layout *layout, const uint8_t *slot,
				      const struct blkif_limits *limits, struct blk_request *req)
{
	enum blkif_fault fault;

	req->secure = slot[OFFSET_FLAG] & 1;
	req->sector = load_u64(slot + layout->sector);
	req->nr_sectors = load_u64(slot + layout->discard_sectors);
	fault = check_kind(req, limits);
	return fault ? fault : check_place(req, limits);
}

/* The page of segments is only named here; it is read by a grant copy. */
static enum blkif_fault parse_indirect(const struct layout *layout, const uint8_t *slot,
				       const struct blkif_limits *limits, struct blk_request *req)
{
	req->op = slot[OFFSET_INDIRECT_OP];
	req->indirect = 1;
	memcpy(&req->nr_segments, slot + OFFSET_INDIRECT_NR, sizeof(req->nr_segments));
	req->sector = load_u64(slot + layout->sector);
	memcpy(&req->indirect_ref, slot + layout->indirect_refs, sizeof(req->indirect_ref));
	return check_kind(req, limits);
}

enum blkif_fault blkif_parse(enum blkif_abi abi, const void *slot,
			     const struct blkif_limits *limits, struct blk_request *req)
{
	const struct layout *layout = &layouts[abi];
	const uint8_t *bytes = slot;

	memset(req, 0, sizeof(*req));
	req->op = bytes[OFFSET_OP];
	req->id = load_u64(bytes + layout->id);
	switch (req->op) {
	case BLKIF_READ:
	case BLKIF_WRITE:
	case BLKIF_FLUSH:
	case BLKIF_BARRIER:
		return parse_data(layout, bytes, limits, req);
	case BLKIF_DISCARD:
		return parse_discard(layout, bytes, limits, req);
	case BLKIF_INDIRECT:
		return parse_indirect(layout, bytes, limits, req);
	default: /* any byte may come */
		return BLKIF_FAULT_OPERATION;
	}
}

enum blkif_fault blkif_parse_indirect(const void *page, const struct blkif_limits *limits,
				      struct blk_request *req, struct blk_segment *ret_segments)
{
	enum blkif_fault fault =
		parse_segments(page, req->nr_segments, ret_segments, &req->nr_sectors);

	return fault ? fault : check_place(req, limits);
}

enum blkif_fault blkif_recheck(const struct blk_request *req, const struct blkif_limits *limits)
{
	uint64_t total = 0;
	enum blkif_fault fault;

	if (req->op > BLKIF_DISCARD || req->op == 4)
		return BLKIF_FAULT_OPERATION;
	fault = check_kind(req, limits);
	if (fault || req->indirect)
		return fault;
	for (unsigned int i = 0; req->op != BLKIF_DISCARD && i < req->nr_segments; i++) {
		if (!segment_fits(&req->segments[i]))
			return BLKIF_FAULT_SEGMENT_RANGE;
		total += (uint64_t)(req->segments[i].last - req->segments[i].first) + 1;
	}
	if (req->op != BLKIF_DISCARD && total != req->nr_sectors)
		return BLKIF_FAULT_SEGMENT_RANGE;
	return check_place(req, limits);
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
