/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <string.h>

#include "netback/checksum.h"
#include "netback/offload.h"

unsigned int offload_tap_flags(const struct offload_accept *accept)
{
	unsigned int flags = 0;

	/*
	 * One flag stands for both families. For a guest that takes only v4, the daemon finishes v6 checksums. Without
	 * this flag the kernel refuses TSO.
	 */
	if (!accept->csum_v4)
		return 0;
	flags |= TUN_F_CSUM;
	if (accept->gso_v4)
		flags |= TUN_F_TSO4;
	if (accept->gso_v6)
		flags |= TUN_F_TSO6;
	return flags;
}

static uint16_t csum_offset(const struct frame *frame)
{
	return frame->l4 == FRAME_TCP ? FRAME_TCP_CSUM_OFFSET : FRAME_UDP_CSUM_OFFSET;
}

struct offload_wire offload_on_wire(enum netif_gso_type type, uint32_t gso_size, uint32_t len)
{
	uint32_t headers = type == NETIF_GSO_TCPV6 ? 86 : 66;
	struct offload_wire wire = { .packets = 1, .bytes = len };

	if (type == NETIF_GSO_NONE || gso_size == 0 || len <= headers + gso_size)
		return wire;
	wire.packets = (len - headers + gso_size - 1) / gso_size;
	if (wire.packets > OFFLOAD_MAX_SEGMENTS)
		wire.packets = OFFLOAD_MAX_SEGMENTS;
	wire.bytes += (wire.packets - 1) * headers;
	return wire;
}

/* --- from the guest --- */

static bool gso_fits(enum netif_gso_type type, const struct frame *frame)
{
	if (frame->l4 != FRAME_TCP)
		return false;
	return frame->l3 == (type == NETIF_GSO_TCPV4 ? FRAME_IPV4 : FRAME_IPV6);
}

/* A cluster may have a multicast hardware address for its one IP address. Nobody has the broadcast address. */
static bool is_broadcast(const uint8_t *head)
{
	return !memcmp(head, "\xff\xff\xff\xff\xff\xff", 6);
}

static bool may_be_cut(const struct netif_tx_packet *packet, const uint8_t *head,
		       const struct frame *frame)
{
	uint32_t payload = packet->total - frame->payload_offset;
	uint32_t options = (uint32_t)frame->payload_offset - frame->l4_offset - FRAME_TCP_LEN;

	return packet->gso_size + options >= OFFLOAD_MIN_MSS &&
	       payload <= packet->gso_size * OFFLOAD_MAX_SEGMENTS && !is_broadcast(head);
}

static void set_needs_csum(struct virtio_net_hdr *hdr, uint8_t *head, const struct frame *frame)
{
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = htole16(frame->l4_offset);
	hdr->csum_offset = htole16(csum_offset(frame));
	/*
	 * This is cheap, and a guest's mistake in the sum then does no harm. But where other addresses count, only the
	 * guest knows them.
	 */
	if (!frame->other_addrs)
		checksum_write_pseudo(head, frame);
}

static int csum_from_guest(const struct netif_tx_packet *packet, uint8_t *head,
			   struct virtio_net_hdr *hdr)
{
	struct frame frame;
	int err = frame_parse(head, packet->total, false, &frame);

	if (err)
		return err;
	if (frame.l4 == FRAME_L4_OTHER)
		return -EOPNOTSUPP;
	set_needs_csum(hdr, head, &frame);
	return 0;
}

static int gso_from_guest(const struct netif_tx_packet *packet, uint8_t *head,
			  struct virtio_net_hdr *hdr)
{
	struct frame frame;
	int err = frame_parse(head, packet->total, true, &frame);

	if (err)
		return err;
	if (!gso_fits(packet->gso_type, &frame))
		return -EPROTO;
	/* A single segment needs no segmentation, and the kernel would refuse it. */
	if (packet->gso_size >= packet->total - frame.payload_offset)
		return csum_from_guest(packet, head, hdr);
	if (!may_be_cut(packet, head, &frame))
		return -EPROTO;
	/* The kernel requires a blank checksum with GSO, whatever the guest said. */
	set_needs_csum(hdr, head, &frame);
	hdr->gso_type = packet->gso_type == NETIF_GSO_TCPV4 ? VIRTIO_NET_HDR_GSO_TCPV4
							    : VIRTIO_NET_HDR_GSO_TCPV6;
	hdr->gso_size = htole16(packet->gso_size);
	hdr->hdr_len = htole16(frame.payload_offset);
	return 0;
}

int offload_from_guest(const struct netif_tx_packet *packet, uint8_t *head,
		       struct virtio_net_hdr *ret_hdr)
{
	*ret_hdr = (struct virtio_net_hdr){ 0 };
	if (packet->gso_type != NETIF_GSO_NONE)
		return gso_from_guest(packet, head, ret_hdr);
	if (packet->csum_blank)
		return csum_from_guest(packet, head, ret_hdr);
	if (packet->data_validated)
		ret_hdr->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	return 0;
}

/* --- to the guest --- */

/* The frontend expects IPv4 or IPv6 right behind the Ethernet header, and may write the pseudo-header's sum anew. */
static bool takes_blank(const struct offload_accept *accept, const struct frame *frame)
{
	if (frame->tagged || frame->other_addrs || frame->l4 == FRAME_L4_OTHER)
		return false;
	return frame->l3 == FRAME_IPV4 ? accept->csum_v4 : accept->csum_v6;
}

static bool takes_gso(const struct offload_accept *accept, const struct frame *frame, uint32_t len)
{
	if (!takes_blank(accept, frame) || (len > NETIF_PAGE_SIZE && !accept->sg))
		return false;
	return frame->l3 == FRAME_IPV4 ? accept->gso_v4 : accept->gso_v6;
}

enum netif_gso_type offload_gso_type(const struct virtio_net_hdr *hdr)
{
	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return NETIF_GSO_TCPV4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return NETIF_GSO_TCPV6;
	default:
		return NETIF_GSO_NONE;
	}
}

static void gso_to_guest(const struct virtio_net_hdr *hdr, const struct offload_accept *accept,
			 const uint8_t *frame, uint32_t len, struct offload_plan *plan)
{
	struct frame parsed;

	plan->action = OFFLOAD_DROP;
	plan->gso_type = offload_gso_type(hdr);
	if (plan->gso_type == NETIF_GSO_NONE || frame_parse(frame, len, true, &parsed))
		return;
	plan->gso_size = le16toh(hdr->gso_size);
	if (!gso_fits(plan->gso_type, &parsed) || plan->gso_size == 0)
		return;
	plan->flags = NETIF_RX_DATA_VALIDATED | NETIF_RX_CSUM_BLANK;
	if (takes_gso(accept, &parsed, len)) {
		plan->action = OFFLOAD_PASS;
		return;
	}
	plan->flags = NETIF_RX_DATA_VALIDATED;
	if (segment_plan(&parsed, len, plan->gso_size, &plan->segments) == 0)
		plan->action = OFFLOAD_SEGMENT;
}

static void csum_to_guest(const struct virtio_net_hdr *hdr, const struct offload_accept *accept,
			  uint8_t *frame, uint32_t len, struct offload_plan *plan)
{
	uint32_t start = le16toh(hdr->csum_start), offset = le16toh(hdr->csum_offset);
	struct frame parsed;

	if (start + offset + 2 > len) {
		plan->action = OFFLOAD_DROP;
		return;
	}
	plan->flags = NETIF_RX_DATA_VALIDATED;
	/* In a tunnel, the blank checksum is not where the frontend would look for it. */
	if (frame_parse(frame, len, false, &parsed) == 0 && takes_blank(accept, &parsed) &&
	    start == parsed.l4_offset && offset == csum_offset(&parsed)) {
		plan->flags |= NETIF_RX_CSUM_BLANK;
		return;
	}
	checksum_finish(frame, len, start, offset);
	plan->finished = true;
}

void offload_to_guest(const struct virtio_net_hdr *hdr, const struct offload_accept *accept,
		      uint8_t *frame, uint32_t len, struct offload_plan *ret)
{
	/* The segment plan is not cleared: it is large and rarely used. */
	ret->action = OFFLOAD_PASS;
	ret->flags = 0;
	ret->gso_type = NETIF_GSO_NONE;
	ret->gso_size = 0;
	ret->finished = false;
	if (len < NETIF_MIN_FRAME)
		ret->action = OFFLOAD_DROP;
	else if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		gso_to_guest(hdr, accept, frame, len, ret);
	else if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		csum_to_guest(hdr, accept, frame, len, ret);
	else if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		ret->flags = NETIF_RX_DATA_VALIDATED;
}
