/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "netback/checksum.h"
#include "netback/segment.h"

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

/* Each segment has the next IPv4 identification. */
static void fix_id(const struct segment_plan *plan, uint32_t index, uint8_t *out)
{
	uint8_t *id = out + plan->frame.l3_offset + 4;

	if (plan->frame.l3 == FRAME_IPV4)
		frame_put16(id, (uint16_t)(frame_get16(id) + index));
}

/* FIN and PSH belong to the last segment, CWR to the first (RFC 3168). */
static void fix_tcp(const struct segment_plan *plan, uint32_t index, uint8_t *out)
{
	uint8_t *tcp = out + plan->frame.l4_offset;

	frame_put32(tcp + FRAME_TCP_SEQ_OFFSET,
		    frame_get32(tcp + FRAME_TCP_SEQ_OFFSET) + index * plan->payload_max);
	if (index + 1 < plan->nr_segments)
		tcp[FRAME_TCP_FLAGS_OFFSET] &= (uint8_t) ~(FRAME_TCP_FIN | FRAME_TCP_PSH);
	if (index > 0)
		tcp[FRAME_TCP_FLAGS_OFFSET] &= (uint8_t)~FRAME_TCP_CWR;
}

void segment_build(const struct segment_plan *plan, const uint8_t *large, uint32_t index,
		   uint8_t *out)
{
	struct frame frame = plan->frame;
	uint32_t header_len = frame.payload_offset;
	uint32_t len = segment_len(plan, index);

	memcpy(out, large, header_len);
	memcpy(out + header_len, large + header_len + index * plan->payload_max, len - header_len);
	fix_id(plan, index, out);
	fix_tcp(plan, index, out);
	checksum_write_len(out, &frame, len);
	checksum_finish(out, len, frame.l4_offset, FRAME_TCP_CSUM_OFFSET);
}
