/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <string.h>

#include "netback/checksum.h"
#include "netback/merge.h"

enum { IPV4_LEN = 20, IPV6_LEN = 40 };
/* In an IPv4 header: */
enum { IPV4_TOTAL = 2, IPV4_FRAGMENT = 6, IPV4_CSUM = 10 };
/* In a TCP header: */
enum { SEQ = FRAME_TCP_SEQ_OFFSET, FLAGS = FRAME_TCP_FLAGS_OFFSET, CSUM = FRAME_TCP_CSUM_OFFSET };

#define DONT_FRAGMENT 0x4000
/* IP's length has 16 bits. */
#define IP_MAX 65535u

static bool is_gso(const struct virtio_net_hdr *hdr)
{
	return hdr->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 ||
	       hdr->gso_type == VIRTIO_NET_HDR_GSO_TCPV6;
}

static bool has_good_sum(const uint8_t *ip)
{
	return checksum_fold(checksum_add(0, ip, IPV4_LEN)) == 0xffff;
}

/* A packet with options or with a fragment's identification is not merged: these may mean something. */
static bool is_plain_ip(const uint8_t *head, const struct frame *frame)
{
	const uint8_t *ip = head + frame->l3_offset;
	uint32_t header_len = (uint32_t)frame->l4_offset - frame->l3_offset;

	if (frame->l3 == FRAME_IPV6)
		return header_len == IPV6_LEN;
	return header_len == IPV4_LEN && frame_get16(ip + IPV4_FRAGMENT) == DONT_FRAGMENT &&
	       has_good_sum(ip);
}

static uint8_t tcp_flags(const uint8_t *head, const struct frame *frame)
{
	return head[frame->l4_offset + FLAGS];
}

bool merge_begin(struct merge *merge, const struct virtio_net_hdr *hdr, uint8_t *frame,
		 uint32_t len)
{
	merge->len = 0;
	if (!is_gso(hdr) || frame_parse(frame, len, true, &merge->frame))
		return false;
	if (!is_plain_ip(frame, &merge->frame) || merge->frame.tagged ||
	    (tcp_flags(frame, &merge->frame) & ~FRAME_TCP_PSH) != FRAME_TCP_ACK)
		return false;
	merge->gso_size = le16toh(hdr->gso_size);
	merge->part = len - merge->frame.payload_offset;
	merge->ended = merge->part % merge->gso_size != 0;
	if (merge->ended)
		return false;
	merge->at = frame;
	merge->len = len;
	return true;
}

static uint32_t longest(const struct merge *merge, uint32_t len_max)
{
	uint32_t end = merge->frame.l3_offset + IP_MAX;

	return len_max < end ? len_max : end;
}

bool merge_is_open(const struct merge *merge, uint32_t len_max)
{
	return !merge->ended && merge->len + merge->part <= longest(merge, len_max);
}

/* Compare all headers except what the merge writes anew. */
static bool same_ip(const struct merge *merge, const uint8_t *head)
{
	const uint8_t *a = merge->at, *b = head;
	uint32_t at = merge->frame.l3_offset;

	if (memcmp(a, b, at)) /* the Ethernet header */
		return false;
	a += at;
	b += at;
	if (merge->frame.l3 == FRAME_IPV6)
		return !memcmp(a, b, 4) && !memcmp(a + 6, b + 6, IPV6_LEN - 6);
	return !memcmp(a, b, IPV4_TOTAL) && !memcmp(a + IPV4_FRAGMENT, b + IPV4_FRAGMENT, 4) &&
	       !memcmp(a + IPV4_CSUM + 2, b + IPV4_CSUM + 2, IPV4_LEN - IPV4_CSUM - 2);
}

/* Whether it has the next bytes of the same flow, with the same acknowledgement, window and options. */
static bool same_tcp(const struct merge *merge, const uint8_t *head)
{
	const uint8_t *a = merge->at + merge->frame.l4_offset, *b = head + merge->frame.l4_offset;
	uint32_t header_len = (uint32_t)merge->frame.payload_offset - merge->frame.l4_offset;
	uint32_t payload = merge->len - merge->frame.payload_offset;

	return !memcmp(a, b, SEQ) && frame_get32(b + SEQ) == frame_get32(a + SEQ) + payload &&
	       !memcmp(a + SEQ + 4, b + SEQ + 4, FLAGS - SEQ - 4) &&
	       (b[FLAGS] & ~FRAME_TCP_PSH) == FRAME_TCP_ACK &&
	       !memcmp(a + FLAGS + 1, b + FLAGS + 1, CSUM - FLAGS - 1) &&
	       !memcmp(a + CSUM + 2, b + CSUM + 2, header_len - CSUM - 2);
}

/* Whether it has segments of the same size, or is one segment that can be the last. */
static bool same_offload(const struct merge *merge, const struct virtio_net_hdr *hdr, uint32_t part)
{
	uint8_t type =
		merge->frame.l3 == FRAME_IPV4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;

	if (hdr->gso_type == type)
		return le16toh(hdr->gso_size) == merge->gso_size;
	return hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE && part <= merge->gso_size &&
	       (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
	       le16toh(hdr->csum_start) == merge->frame.l4_offset &&
	       le16toh(hdr->csum_offset) == FRAME_TCP_CSUM_OFFSET;
}

/* PSH asks the receiver to pass on what it has so far. The kernel sets it on every large frame. */
static void write_head(struct merge *merge, uint8_t push)
{
	merge->at[merge->frame.l4_offset + FLAGS] |= push;
	checksum_write_len(merge->at, &merge->frame, merge->len);
}

/* Whether the IP packet ends where the frame does: padding behind it must not become data. */
static bool fills_its_ip(const struct merge *merge, const uint8_t *head, uint32_t len)
{
	const uint8_t *ip = head + merge->frame.l3_offset;
	uint32_t ip_len = len - merge->frame.l3_offset;

	if (merge->frame.l3 == FRAME_IPV6)
		return frame_get16(ip + 4) == ip_len - IPV6_LEN;
	return frame_get16(ip + IPV4_TOTAL) == ip_len && has_good_sum(ip);
}

bool merge_add(struct merge *merge, const struct virtio_net_hdr *hdr, const uint8_t *head,
	       uint32_t len, uint32_t len_max)
{
	uint32_t head_len = merge_head_len(merge);
	uint32_t part = len - head_len;

	if (len <= head_len || merge->len + part > longest(merge, len_max) ||
	    !same_offload(merge, hdr, part) || !same_ip(merge, head) || !same_tcp(merge, head) ||
	    !fills_its_ip(merge, head, len))
		return false;
	merge->len += part;
	merge->part = part;
	merge->ended = part % merge->gso_size != 0;
	write_head(merge, tcp_flags(head, &merge->frame) & FRAME_TCP_PSH);
	return true;
}
