/* SPDX-License-Identifier: MIT */
/*
 * blkif on the wire (xen/io/blkif.h) -> checked requests, in the three layouts
 * that frontends use. Pure: no allocation, no I/O, no Xen library.
 */
#ifndef PVB_BLKIF_H
#define PVB_BLKIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLKIF_SECTOR_SIZE       512u /* every unit on the ring, whatever the medium has */
#define BLKIF_SECTORS_PER_PAGE  8u
#define BLKIF_INDIRECT_SEGMENTS 256u /* what we offer; one page holds them */
#define BLKIF_DIRECT_SEGMENTS   11u  /* in one slot */
#define BLKIF_SLOT_MAX          112u
#define BLKIF_RESPONSE_MAX      16u
#define BLKIF_WIRE_SEGMENT      8u /* bytes of one segment, in a slot or an indirect page */

enum blkif_op {
	BLKIF_READ = 0,
	BLKIF_WRITE = 1,
	BLKIF_BARRIER = 2,
	BLKIF_FLUSH = 3,
	BLKIF_DISCARD = 5,
	BLKIF_INDIRECT = 6,
};

enum blkif_status {
	BLKIF_OKAY = 0,
	BLKIF_ERROR = -1,
	BLKIF_NOT_SUPPORTED = -2,
};

/* arm-abi and "native" on a 64-bit Dom0 have the x86_64 layout. */
enum blkif_abi { BLKIF_ABI_64, BLKIF_ABI_X86_32 };

/* Why a request was refused: one counter each. */
enum blkif_fault {
	BLKIF_FINE,
	BLKIF_FAULT_OPERATION,
	BLKIF_FAULT_SEGMENT_COUNT,
	BLKIF_FAULT_SEGMENT_RANGE,
	BLKIF_FAULT_BEYOND_END,
	BLKIF_FAULT_READ_ONLY,
	BLKIF_NR_FAULTS,
};

/* One page of data: sectors first..last (0..7) of the page behind ref. */
struct blk_segment {
	uint32_t ref;
	uint8_t first;
	uint8_t last;
	uint16_t zero;
};

struct blk_request {
	uint64_t id;     /* opaque, echoed */
	uint64_t sector; /* first one on the medium */
	uint64_t
		nr_sectors; /* of a discard; else the sum of the segments, 0 while they are not read */
	uint16_t nr_segments;
	uint8_t op;       /* what to do, and what to echo: of an indirect request the inner one */
	uint8_t indirect; /* the segments are in the page behind indirect_ref */
	uint32_t secure;  /* discard: nothing may be left to read */
	union {
		struct blk_segment segments[BLKIF_DIRECT_SEGMENTS];
		uint32_t indirect_ref;
	};
};

/* What the medium allows. */
struct blkif_limits {
	uint64_t nr_sectors;
	bool read_only;
	bool discard;        /* offered */
	bool secure_discard; /* offered */
};

/* Take the frontend's `protocol` key; NULL means it wrote none. 0, or -EINVAL. */
int blkif_abi_parse(const char *protocol, enum blkif_abi *ret_abi);

/* Bytes of one slot of the ring. */
uint32_t blkif_slot_size(enum blkif_abi abi);
/* Slots of a ring of so many pages. */
uint32_t blkif_ring_slots(enum blkif_abi abi, uint32_t nr_pages);

/*
 * Check one request. `slot` is a private copy of a slot of this ABI. `id` and `op` of the
 * result are filled in any case, so that every request can be answered; the rest only when it
 * is fine. Returns BLKIF_FINE or the reason to refuse it.
 */
enum blkif_fault blkif_parse(enum blkif_abi abi, const void *slot,
			     const struct blkif_limits *limits, struct blk_request *ret_req);

/*
 * Check the segments of an indirect request that blkif_parse() found fine so far. `page` is a
 * private copy of nr_segments * BLKIF_WIRE_SEGMENT bytes; `ret_segments` has room for as many.
 * Sets req->nr_sectors.
 */
enum blkif_fault blkif_parse_indirect(const void *page, const struct blkif_limits *limits,
				      struct blk_request *req, struct blk_segment *ret_segments);

/*
 * The same checks on a request that was parsed before, by a process that may have been another
 * one: nothing is believed of what a journal holds.
 */
enum blkif_fault blkif_recheck(const struct blk_request *req, const struct blkif_limits *limits);

/* The status that goes with a refusal. */
enum blkif_status blkif_fault_status(enum blkif_fault fault);
const char *blkif_fault_name(enum blkif_fault fault);

/* Bytes in one segment, and where they begin in its page. */
uint32_t blkif_segment_bytes(const struct blk_segment *segment);
uint32_t blkif_segment_offset(const struct blk_segment *segment);

/*
 * Lay out a response: at most BLKIF_RESPONSE_MAX bytes with all padding zero (XSA-216).
 * Returns its size.
 */
size_t blkif_response(enum blkif_abi abi, uint64_t id, uint8_t op, enum blkif_status status,
		      void *ret_rsp);

const char *blkif_op_name(uint8_t op);

#endif
