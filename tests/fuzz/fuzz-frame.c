/* SPDX-License-Identifier: MIT */
/* Any frame in either direction: headers stay inside, flags obey netif.h, and segments and merges have each byte once. */
#include "fuzz/fuzz.h"
#include "netback/checksum.h"
#include "netback/merge.h"
#include "netback/offload.h"

static void from_guest(struct fuzz_input *in, uint8_t *frame, uint32_t len)
{
	uint8_t bits = fuzz_u8(in);
	struct netif_tx_packet packet = {
		.kind = NETIF_TX_FRAME,
		.total = len,
		.csum_blank = bits & 1,
		.data_validated = bits & 2,
		.gso_type = (enum netif_gso_type)(bits / 4 % 3),
	};
	struct virtio_net_hdr hdr;

	packet.gso_size = packet.gso_type ? (uint16_t)(1 + fuzz_u8(in) * 16u) : 0;
	if (offload_from_guest(&packet, frame, &hdr))
		return;
	if (hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		HOLDS((uint32_t)hdr.csum_start + hdr.csum_offset + 2 <= len);
	if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		HOLDS((hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && hdr.gso_size &&
		      hdr.hdr_len <= len);
}

static void check_segments(const struct segment_plan *plan, const uint8_t *large, uint32_t len)
{
	uint32_t headers = plan->frame.payload_offset, payload = 0;
	uint8_t *out = malloc(FRAME_MAX);

	HOLDS(out && plan->nr_segments >= 1);
	for (uint32_t i = 0; i < plan->nr_segments; i++) {
		uint32_t bytes = segment_len(plan, i);

		HOLDS(bytes >= headers && bytes <= len && bytes - headers <= plan->payload_max);
		segment_build(plan, large, i, out);
		HOLDS(!memcmp(out + headers, large + headers + payload, bytes - headers));
		payload += bytes - headers;
	}
	HOLDS(headers + payload == plan->len);
	free(out);
}

/* The headers of a frame of `len` bytes that goes on where this one ends, but for some of them. */
static void follow(struct fuzz_input *in, const struct merge *merge, uint32_t len, uint8_t *head)
{
	uint8_t *seq = head + merge->frame.l4_offset + FRAME_TCP_SEQ_OFFSET;
	uint32_t head_len = merge_head_len(merge);
	struct frame frame = merge->frame;

	memcpy(head, merge->at, head_len);
	frame_put32(seq, frame_get32(seq) + merge->len - head_len);
	checksum_write_len(head, &frame, len);
	for (unsigned int nr = fuzz_u8(in) % 3; nr; nr--)
		head[fuzz_u8(in) % head_len] ^= fuzz_u8(in);
}

static void check_merge(struct fuzz_input *in, const struct virtio_net_hdr *hdr,
			const uint8_t *frame, uint32_t len)
{
	uint8_t *room = malloc(len + FRAME_MAX), head[FRAME_HEAD_MAX];
	uint32_t max = len + fuzz_u8(in) * 256u, head_len, more;
	struct virtio_net_hdr next = *hdr;
	struct frame parsed;
	struct merge merge;

	HOLDS(room);
	memcpy(room, frame, len);
	if (merge_begin(&merge, hdr, room, len)) {
		head_len = merge_head_len(&merge);
		HOLDS(head_len <= len && head_len <= FRAME_HEAD_MAX);
		more = head_len + fuzz_u8(in) * 100u % len;
		follow(in, &merge, more, head);
		next.gso_type = fuzz_u8(in) & 1 ? hdr->gso_type : 0;
		if (merge_add(&merge, &next, head, more, max)) {
			HOLDS(merge.len == len + more - head_len && merge.len <= max);
			HOLDS(!memcmp(room + head_len, frame + head_len, len - head_len));
			HOLDS(!frame_parse(room, merge.len, false, &parsed));
			HOLDS(parsed.payload_offset == head_len && parsed.l4 == FRAME_TCP);
			HOLDS(parsed.l4_len == merge.len - parsed.l4_offset);
		}
	}
	free(room);
}

static void to_guest(struct fuzz_input *in, struct fuzz_input *rest, uint8_t *frame, uint32_t len)
{
	uint8_t bits = fuzz_u8(in);
	struct offload_accept accept = { .sg = bits & 1,
					 .csum_v4 = bits & 2,
					 .csum_v6 = bits & 4,
					 .gso_v4 = bits & 8,
					 .gso_v6 = bits & 16 };
	struct virtio_net_hdr hdr;
	struct offload_plan plan;

	fuzz_bytes(in, &hdr, sizeof(hdr));
	offload_to_guest(&hdr, &accept, frame, len, &plan);
	if (plan.action == OFFLOAD_SEGMENT)
		check_segments(&plan.segments, frame, len);
	if (plan.action != OFFLOAD_PASS)
		return;
	if (plan.flags & NETIF_RX_CSUM_BLANK)
		HOLDS(plan.flags & NETIF_RX_DATA_VALIDATED);
	if (plan.gso_type != NETIF_GSO_NONE) {
		HOLDS(plan.flags & NETIF_RX_CSUM_BLANK && plan.flags & NETIF_RX_DATA_VALIDATED);
		HOLDS(plan.gso_type == NETIF_GSO_TCPV4 ? accept.gso_v4 : accept.gso_v6);
		check_merge(rest, &hdr, frame, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	bool from = fuzz_u8(&in) & 1;
	uint32_t len = 14 + fuzz_u32(&in) % 9000;
	uint8_t *frame = calloc(1, len); /* exactly: a sanitizer sees any byte beyond */
	uint8_t knobs[16];
	struct fuzz_input knob = { knobs, sizeof(knobs) };

	HOLDS(frame);
	fuzz_bytes(&in, knobs, sizeof(knobs));
	fuzz_bytes(&in, frame, len);
	if (from)
		from_guest(&knob, frame, len);
	else
		to_guest(&knob, &in, frame, len);
	free(frame);
	return 0;
}
