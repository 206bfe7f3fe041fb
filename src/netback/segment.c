/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "netback/checksum.h"
#include "netback/segment.h"

enum { TCP_SEQ = 4, TCP_FLAGS = 13, TCP_CSUM = 16 };
enum { FLAG_FIN = 0x01, FLAG_PSH = 0x08, FLAG_CWR = 0x80 };

int segment_plan(const struct frame *frame, uint32_t len, uint32_t payload_max,
		 struct segment_plan *ret)
{
	uint32_t payload = len - frame->payload_offset;

	if (frame->l4 != FRAME_TCP || payload_max == 0)
		return -EINVAL;
	*ret = (struct segment_plan){ .frame = *frame,
				      .len = len,
				      .payload_max = payload_max,
				      .nr_segments = (payload + payload_max - 1) / payload_max };
	if (ret->nr_segments == 0)
		ret->nr_segments = 1;
	return 0;
}

static uint32_t payload_len(const struct segment_plan *plan, uint32_t index)
{
	uint32_t left = plan->len - plan->frame.payload_offset - index * plan->payload_max;

	return left < plan->payload_max ? left : plan->payload_max;
}

uint32_t segment_len(const struct segment_plan *plan, uint32_t index)
{
	return plan->frame.payload_offset + payload_len(plan, index);
}

/* Lengths, the IPv4 identification, and the IPv4 checksum. */
static void fix_ip(const struct segment_plan *plan, uint32_t index, uint32_t len, uint8_t *out)
{
	const struct frame *frame = &plan->frame;
	uint8_t *ip = out + frame->l3_offset;
	uint32_t ip_len = len - frame->l3_offset;

	if (frame->l3 == FRAME_IPV6) {
		frame_put16(ip + 4, (uint16_t)(ip_len - 40));
		return;
	}
	frame_put16(ip + 2, (uint16_t)ip_len);
	frame_put16(ip + 4, (uint16_t)(frame_get16(ip + 4) + index));
	checksum_write_ipv4(ip, (ip[0] & 15u) * 4u);
}

/* What marks the end of the data belongs to the last segment, CWR to the first (RFC 3168). */
static void fix_tcp(const struct segment_plan *plan, uint32_t index, uint8_t *out)
{
	uint8_t *tcp = out + plan->frame.l4_offset;

	frame_put32(tcp + TCP_SEQ, frame_get32(tcp + TCP_SEQ) + index * plan->payload_max);
	if (index + 1 < plan->nr_segments)
		tcp[TCP_FLAGS] &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
	if (index > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~FLAG_CWR;
}

void segment_build(const struct segment_plan *plan, const uint8_t *large, uint32_t index,
		   uint8_t *out)
{
	struct frame frame = plan->frame;
	uint32_t header_len = frame.payload_offset;
	uint32_t len = segment_len(plan, index);

	memcpy(out, large, header_len);
	memcpy(out + header_len, large + header_len + index * plan->payload_max, len - header_len);
	fix_ip(plan, index, len, out);
	fix_tcp(plan, index, out);
	frame.l4_len = len - frame.l4_offset;
	checksum_write_pseudo(out, &frame);
	checksum_finish(out, len, frame.l4_offset, FRAME_TCP_CSUM_OFFSET);
}
