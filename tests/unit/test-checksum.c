/* SPDX-License-Identifier: MIT */
/* Header parsing, checksums, segmentation and the mapping between netif and virtio_net_hdr. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_tun.h>

#include <cmocka.h>

#include "netback/checksum.h"
#include "netback/offload.h"
#include "netback/segment.h"
#include "netframes.h"

static uint8_t frame[FRAME_MAX + 64];
static uint8_t out[FRAME_MAX + 64];

static const struct offload_accept takes_all = {
	.sg = true, .csum_v4 = true, .csum_v6 = true, .gso_v4 = true, .gso_v6 = true
};
static const struct offload_accept takes_nothing;

/* Every combination of headers for which the code differs. */
static const struct spec shapes[] = {
	{ .payload = 0 },
	{ .payload = 1 },
	{ .payload = 1473 },
	{ .tcp = true, .payload = 1448, .nr_tcp_options = 3 },
	{ .tcp = true, .payload = 0, .nr_tcp_options = 10 },
	{ .tcp = true, .payload = 999, .nr_ip_options = 10 },
	{ .v6 = true, .payload = 17 },
	{ .v6 = true, .tcp = true, .payload = 1440 },
	{ .v6 = true, .tcp = true, .payload = 1441, .nr_ip_options = 3 },
	{ .nr_tags = 1, .tcp = true, .payload = 1400 },
	{ .nr_tags = 2, .v6 = true, .tcp = true, .payload = 1400, .nr_tcp_options = 3 },
	{ .nr_tags = 2, .payload = 5 },
};
#define NR_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* --- frame --- */

static void headers_are_found_in_every_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		const struct spec *s = &shapes[i];
		struct built b = build_blank(frame, s);
		struct frame p;

		assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
		assert_int_equal(p.l3, s->v6 ? FRAME_IPV6 : FRAME_IPV4);
		assert_int_equal(p.l4, s->tcp ? FRAME_TCP : FRAME_UDP);
		assert_int_equal(p.tagged, s->nr_tags > 0);
		assert_int_equal(p.l3_offset, b.l3);
		assert_int_equal(p.l4_offset, b.l4);
		assert_int_equal(p.payload_offset, b.data);
		assert_int_equal(p.l4_len, b.len - b.l4);
		assert_false(p.fragment);
	}
}

static void padding_is_not_counted(void **state)
{
	struct spec s = { .payload = 3 };
	struct built b = build_blank(frame, &s);
	struct frame p;

	(void)state;
	assert_int_equal(frame_parse(frame, b.len + 15, false, &p), 0);
	assert_int_equal(p.l4_len, 11);
}

static void truncated_headers_are_refused_at_every_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		struct built b = build_blank(frame, &shapes[i]);

		for (uint32_t len = 0; len < b.data; len++) {
			/* In memory of exactly that size, so that a sanitizer finds an access beyond its end. */
			uint8_t *exact = malloc(len ? len : 1);
			struct frame p;

			memcpy(exact, frame, len);
			assert_int_equal(frame_parse(exact, len, false, &p), -EINVAL);
			frame_parse(exact, len, true, &p);
			free(exact);
		}
	}
}

static void other_protocols_are_no_error(void **state)
{
	uint8_t arp[42] = { [12] = 0x08, [13] = 0x06 };
	struct spec s = { .payload = 8 };
	struct built b;
	struct frame p;

	(void)state;
	assert_int_equal(frame_parse(arp, sizeof(arp), false, &p), 0);
	assert_int_equal(p.l3, FRAME_L3_OTHER);
	b = build_blank(frame, &s);
	frame[b.l3 + 9] = 132; /* SCTP */
	assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
	assert_int_equal(p.l3, FRAME_IPV4);
	assert_int_equal(p.l4, FRAME_L4_OTHER);
}

static void fragments_have_no_transport(void **state)
{
	struct spec s4 = { .payload = 64 }, s6 = { .v6 = true, .payload = 64, .nr_ip_options = 1 };
	struct built b;
	struct frame p;

	(void)state;
	b = build_blank(frame, &s4);
	put16(frame + b.l3 + 6, 0x2000); /* more fragments */
	assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
	assert_true(p.fragment);
	assert_int_equal(p.l4, FRAME_L4_OTHER);
	put16(frame + b.l3 + 6, 0x0001); /* an offset */
	assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
	assert_true(p.fragment);

	b = build_blank(frame, &s6);
	frame[b.l3 + 6] = 44;
	memset(frame + b.l3 + 41, 0, 7);
	put16(frame + b.l3 + 42, 0x0008);
	assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
	assert_true(p.fragment);
	put16(frame + b.l3 + 42, 0); /* an atomic fragment is whole */
	assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
	assert_false(p.fragment);
	assert_int_equal(p.l4, FRAME_UDP);
}

static void contradicting_lengths_are_refused(void **state)
{
	struct spec s = { .tcp = true, .payload = 100 };
	struct built b = build_blank(frame, &s);
	struct frame p;

	(void)state;
	put16(frame + b.l3 + 2, b.len - b.l3 + 1); /* longer than the frame */
	assert_int_equal(frame_parse(frame, b.len, false, &p), -EINVAL);
	put16(frame + b.l3 + 2, 19); /* shorter than its own header */
	assert_int_equal(frame_parse(frame, b.len, false, &p), -EINVAL);
	put16(frame + b.l3 + 2, 39); /* cuts the TCP header */
	assert_int_equal(frame_parse(frame, b.len, false, &p), -EINVAL);
	assert_int_equal(frame_parse(frame, b.len, true, &p), 0); /* ignored with GSO */
	assert_int_equal(p.l4_len, 120);
	frame[b.l3] = 0x44; /* IHL 4 */
	assert_int_equal(frame_parse(frame, b.len, true, &p), -EINVAL);
	frame[b.l3] = 0x65; /* version 6 in an IPv4 frame */
	assert_int_equal(frame_parse(frame, b.len, true, &p), -EINVAL);
	b = build_blank(frame, &s);
	frame[b.l4 + 12] = 0x40; /* data offset 4 */
	assert_int_equal(frame_parse(frame, b.len, false, &p), -EINVAL);
}

static void extension_headers_are_walked_only_so_far(void **state)
{
	struct spec s = { .v6 = true, .payload = 10, .nr_ip_options = 7 };
	struct built b = build_blank(frame, &s);
	struct frame p;

	(void)state;
	assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
	s.nr_ip_options = 8;
	b = build_blank(frame, &s);
	assert_int_equal(frame_parse(frame, b.len, false, &p), -EINVAL);
	/* One header that claims 2048 bytes leaves the part we look at. */
	s.nr_ip_options = 1;
	s.payload = 4000;
	b = build_blank(frame, &s);
	frame[b.l3 + 41] = 255;
	assert_int_equal(frame_parse(frame, b.len, false, &p), -EINVAL);
}

/* --- checksum --- */

static void sum_equals_the_plain_one_for_every_length(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4100; i++)
		frame[i] = (uint8_t)(i * 131 + (i >> 8));
	memset(frame + 2000, 0xff, 500);
	for (uint32_t len = 0; len < 4000; len++) {
		uint16_t ours = checksum_fold(checksum_add(0, frame + len % 7, len));

		assert_int_equal(htobe16(ours), plain_sum(0, frame + len % 7, len));
	}
}

static void sum_of_the_largest_frame_of_ones_does_not_overflow(void **state)
{
	(void)state;
	memset(frame, 0xff, 65535);
	assert_int_equal(htobe16(checksum_fold(checksum_add(0, frame, 65535))),
			 plain_sum(0, frame, 65535));
}

static void finished_checksums_are_right_in_every_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		struct built b = build_offloaded(frame, &shapes[i]);

		assert_false(csum_is_right(frame, &shapes[i], &b));
		checksum_finish(frame, b.len, b.l4, csum_at(&shapes[i], &b) - b.l4);
		assert_true(csum_is_right(frame, &shapes[i], &b));
	}
}

static void udp_checksum_0_is_written_as_ffff(void **state)
{
	struct spec s = { .payload = 2 };
	struct built b = build_offloaded(frame, &s);
	uint32_t rest;

	(void)state;
	put16(frame + b.data, 0);
	rest = plain_sum(0, frame + b.l4, b.len - b.l4);
	put16(frame + b.data, 0xffff - rest); /* now the sum is 0xffff, the checksum 0 */
	checksum_finish(frame, b.len, b.l4, 6);
	assert_int_equal(get16(frame + b.l4 + 6), 0xffff);
	assert_true(csum_is_right(frame, &s, &b));
}

static void pseudo_header_is_as_the_plain_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		struct built b = build_blank(frame, &shapes[i]);
		struct frame p;

		assert_int_equal(frame_parse(frame, b.len, false, &p), 0);
		checksum_write_pseudo(frame, &p);
		assert_int_equal(get16(frame + csum_at(&shapes[i], &b)),
				 plain_pseudo(frame, &shapes[i], &b));
	}
}

/* --- segments --- */

static void check_segment(const struct spec *large, const struct built *lb, uint32_t mss,
			  const struct segment_plan *plan, uint32_t k)
{
	uint32_t at = lb->data + k * mss;
	uint32_t part = lb->len - at < mss ? lb->len - at : mss;
	bool last = k + 1 == plan->nr_segments;
	struct spec s = *large;
	struct built b = *lb;
	uint8_t flags = 0x10;

	s.payload = part;
	b.len = lb->data + part;
	assert_int_equal(segment_len(plan, k), b.len);
	memset(out, 0xee, sizeof(out));
	segment_build(plan, frame, k, out);
	assert_int_equal(out[b.len], 0xee); /* nothing behind it was written */

	assert_memory_equal(out, frame, b.l3);
	assert_memory_equal(out + b.data, frame + at, part);
	if (large->v6) {
		assert_int_equal(get16(out + b.l3 + 4), b.len - b.l3 - 40);
	} else {
		assert_int_equal(get16(out + b.l3 + 2), b.len - b.l3);
		assert_int_equal(get16(out + b.l3 + 4), (0xfff0 + k) & 0xffff);
		assert_int_equal(plain_sum(0, out + b.l3, b.l4 - b.l3), 0xffff);
	}
	assert_int_equal(frame_get32(out + b.l4 + 4), (uint32_t)(0xfffffa00u + k * mss));
	assert_int_equal(frame_get32(out + b.l4 + 8), 0x12345678);
	flags |= k == 0 ? 0x80 : 0;
	flags |= last ? 0x09 : 0;
	assert_int_equal(out[b.l4 + 13], flags);
	assert_true(csum_is_right(out, &s, &b));
}

static void large_frames_are_cut_into_valid_ones(void **state)
{
	static const uint32_t sizes[] = { 1, 100, 1447, 1448, 1449, 2896, 9001, 65000 };
	static const uint32_t mss[] = { 88, 536, 1448, 8948 };

	(void)state;
	for (unsigned int shape = 0; shape < 8; shape++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			for (size_t m = 0; m < sizeof(mss) / sizeof(mss[0]); m++) {
				struct spec s = { .tcp = true,
						  .v6 = shape & 1,
						  .nr_tags = shape & 2 ? 1 : 0,
						  .nr_tcp_options = shape & 4 ? 3 : 0,
						  .payload = sizes[i] };
				struct built b = build_offloaded(frame, &s);
				struct segment_plan plan;
				struct frame p;

				assert_int_equal(frame_parse(frame, b.len, true, &p), 0);
				assert_int_equal(segment_plan(&p, b.len, mss[m], &plan), 0);
				assert_int_equal(plan.nr_segments,
						 (sizes[i] + mss[m] - 1) / mss[m]);
				for (uint32_t k = 0; k < plan.nr_segments; k++)
					check_segment(&s, &b, mss[m], &plan, k);
			}
}

static void what_is_not_tcp_is_not_cut(void **state)
{
	struct spec s = { .payload = 3000 };
	struct built b = build_blank(frame, &s);
	struct segment_plan plan;
	struct frame p;

	(void)state;
	assert_int_equal(frame_parse(frame, b.len, true, &p), 0);
	assert_int_equal(segment_plan(&p, b.len, 1448, &plan), -EINVAL);
	s.tcp = true;
	b = build_blank(frame, &s);
	assert_int_equal(frame_parse(frame, b.len, true, &p), 0);
	assert_int_equal(segment_plan(&p, b.len, 0, &plan), -EINVAL);
}

/* --- from the guest --- */

static struct netif_tx_packet packet_of(const struct built *b)
{
	return (struct netif_tx_packet){ .kind = NETIF_TX_FRAME, .total = b->len };
}

static void blank_checksum_becomes_needs_csum_in_every_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		struct built b = build_blank(frame, &shapes[i]);
		struct netif_tx_packet packet = packet_of(&b);
		struct virtio_net_hdr hdr;

		packet.csum_blank = packet.data_validated = true;
		put16(frame + csum_at(&shapes[i], &b), 0xdead); /* a wrong value does no harm */
		assert_int_equal(offload_from_guest(&packet, frame, &hdr), 0);
		assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(le16toh(hdr.csum_start), b.l4);
		assert_int_equal(le16toh(hdr.csum_offset), shapes[i].tcp ? 16 : 6);
		checksum_finish(frame, b.len, b.l4, le16toh(hdr.csum_offset));
		assert_true(csum_is_right(frame, &shapes[i], &b));
	}
}

/* Cases in which the addresses of the pseudo-header are not those of the IP header; they stand after 20, 40 or more bytes. */
static const struct {
	bool v6;
	uint8_t proto; /* of the extension header */
	uint8_t behind[24];
} detours[] = {
	{ false, 0, { 131, 7, 4, 10, 9, 9, 9, 0 } },
	{ false, 0, { 1, 137, 7, 4, 10, 9, 9, 9 } },
	{ false, 0, { 148, 4, 0, 0, 131, 3, 4, 0 } },
	{ true, 43, { 6, 2, 4, 1, 0, 0, 0, 0, 0xfd } },
	{ true, 43, { 6, 2, 2, 0, 0, 0, 0, 0, 0xfd } },
	{ true, 60, { 6, 2, 0, 1, 0, 0, 201, 16, 0xfd } },
};
#define NR_DETOURS (sizeof(detours) / sizeof(detours[0]))

/* A large or small TCP frame with such a header. Its checksum field has what only the sender can know. */
static struct built build_detour(size_t i, uint32_t payload, uint16_t sum)
{
	struct spec s = { .tcp = true, .v6 = detours[i].v6, .payload = payload };
	struct built b;

	s.nr_ip_options = s.v6 ? 3 : 2;
	b = build_blank(frame, &s);
	memcpy(frame + b.l3 + (s.v6 ? 40 : 20), detours[i].behind, s.v6 ? 24 : 8);
	if (s.v6)
		frame[b.l3 + 6] = detours[i].proto;
	put16(frame + csum_at(&s, &b), sum);
	return b;
}

static void pseudo_header_of_another_address_is_the_guests(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_DETOURS; i++)
		for (unsigned int gso = 0; gso < 2; gso++) {
			struct built b = build_detour(i, 3000, 0xbeef);
			struct netif_tx_packet packet = packet_of(&b);
			struct virtio_net_hdr hdr;

			packet.csum_blank = true;
			if (gso)
				packet.gso_type = detours[i].v6 ? NETIF_GSO_TCPV6 : NETIF_GSO_TCPV4;
			packet.gso_size = 1448;
			assert_int_equal(offload_from_guest(&packet, frame, &hdr), 0);
			assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
			assert_int_equal(le16toh(hdr.csum_start), b.l4);
			assert_int_equal(get16(frame + b.l4 + 16), 0xbeef);
		}
}

static void validated_data_is_passed_on_untouched(void **state)
{
	struct spec s = { .payload = 10 };
	struct built b = build_blank(frame, &s);
	struct netif_tx_packet packet = packet_of(&b);
	struct virtio_net_hdr hdr;

	(void)state;
	memcpy(out, frame, b.len);
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), 0);
	assert_int_equal(hdr.flags, 0);
	packet.data_validated = true;
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), 0);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_DATA_VALID);
	assert_memory_equal(out, frame, b.len);
}

static void row_17_blank_checksum_on_something_else_is_refused(void **state)
{
	struct spec s = { .payload = 100 };
	struct built b = build_blank(frame, &s);
	struct netif_tx_packet packet = packet_of(&b);
	struct virtio_net_hdr hdr;

	(void)state;
	packet.csum_blank = true;
	frame[b.l3 + 9] = 1; /* ICMP */
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), -EOPNOTSUPP);
	build_blank(frame, &s);
	put16(frame + b.l3 + 6, 0x2000); /* a fragment */
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), -EOPNOTSUPP);
	put16(frame + 12, 0x0806); /* ARP */
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), -EOPNOTSUPP);
}

static void row_18_headers_beyond_the_frame_are_refused(void **state)
{
	struct spec s = { .tcp = true, .payload = 0 };
	struct built b = build_blank(frame, &s);
	struct netif_tx_packet packet = packet_of(&b);
	struct virtio_net_hdr hdr;

	(void)state;
	packet.csum_blank = true;
	frame[b.l4 + 12] = 0xf0; /* 60 bytes of TCP header in 20 */
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), -EINVAL);
}

static void gso_gets_all_its_fields_even_without_csum_blank(void **state)
{
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct spec s = { .tcp = true, .v6 = v6, .payload = 60000, .nr_tcp_options = 3 };
		struct built b = build_blank(frame, &s);
		struct netif_tx_packet packet = packet_of(&b);
		struct virtio_net_hdr hdr;

		(void)state;
		packet.gso_type = v6 ? NETIF_GSO_TCPV6 : NETIF_GSO_TCPV4;
		packet.gso_size = 1428;
		assert_int_equal(offload_from_guest(&packet, frame, &hdr), 0);
		assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(hdr.gso_type,
				 v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
		assert_int_equal(le16toh(hdr.gso_size), 1428);
		assert_int_equal(le16toh(hdr.hdr_len), b.data);
		assert_int_equal(get16(frame + csum_at(&s, &b)), plain_pseudo(frame, &s, &b));
	}
}

static void row_15_gso_size_of_the_whole_payload_is_no_gso(void **state)
{
	struct spec s = { .tcp = true, .payload = 1000 };
	struct built b = build_blank(frame, &s);
	struct netif_tx_packet packet = packet_of(&b);
	struct virtio_net_hdr hdr;

	(void)state;
	packet.gso_type = NETIF_GSO_TCPV4;
	packet.gso_size = 1000;
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), 0);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	assert_int_equal(hdr.gso_size, 0);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	packet.gso_size = 999;
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), 0);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
}

static void row_16_gso_against_the_protocol_is_refused(void **state)
{
	struct spec s = { .tcp = true, .payload = 5000 };
	struct built b = build_blank(frame, &s);
	struct netif_tx_packet packet = packet_of(&b);
	struct virtio_net_hdr hdr;

	(void)state;
	packet.gso_size = 1448;
	packet.gso_type = NETIF_GSO_TCPV6;
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), -EPROTO);
	packet.gso_type = NETIF_GSO_TCPV4;
	s.tcp = false;
	build_blank(frame, &s);
	assert_int_equal(offload_from_guest(&packet, frame, &hdr), -EPROTO);
}

/* One try at GSO with 60 bytes of TCP header at most; `options` are words. */
static int try_gso(unsigned int options, uint32_t payload, uint16_t gso_size, bool broadcast)
{
	struct spec s = { .tcp = true, .payload = payload, .nr_tcp_options = options };
	struct built b = build_blank(frame, &s);
	struct netif_tx_packet packet = packet_of(&b);
	struct virtio_net_hdr hdr;

	if (broadcast)
		memset(frame, 0xff, 6);
	packet.gso_type = NETIF_GSO_TCPV4;
	packet.gso_size = gso_size;
	return offload_from_guest(&packet, frame, &hdr);
}

static void large_frame_that_would_be_cut_into_dust_is_refused(void **state)
{
	(void)state;
	assert_int_equal(try_gso(0, 2000, 1, false), -EPROTO);
	assert_int_equal(try_gso(0, 2000, 47, false), -EPROTO);
	assert_int_equal(try_gso(0, 2000, 48, false), 0);
	/* The options are part of what a peer has announced. */
	assert_int_equal(try_gso(3, 2000, 35, false), -EPROTO);
	assert_int_equal(try_gso(3, 2000, 36, false), 0);
	/* A segment that is the whole frame is no segment. */
	assert_int_equal(try_gso(0, 40, 40, false), 0);
}

static void large_frame_of_too_many_segments_is_refused(void **state)
{
	(void)state;
	assert_int_equal(try_gso(0, 139 * 100, 100, false), 0);
	assert_int_equal(try_gso(0, 139 * 100 + 1, 100, false), -EPROTO);
	assert_int_equal(try_gso(0, 65000, 48, false), -EPROTO);
	/* The most segments at the smallest path MTU, with all TCP options. */
	assert_int_equal(try_gso(10, 65535 - 80, 472, false), 0);
}

static void large_frame_to_everybody_is_refused(void **state)
{
	(void)state;
	assert_int_equal(try_gso(0, 5000, 1448, true), -EPROTO);
	assert_int_equal(try_gso(0, 1000, 1448, true), 0);
}

static void large_frame_counts_as_what_it_becomes(void **state)
{
	static const struct {
		enum netif_gso_type type;
		uint32_t gso_size, len, packets, bytes;
	} rows[] = {
		{ NETIF_GSO_NONE, 0, 60, 1, 60 },
		{ NETIF_GSO_NONE, 0, 9014, 1, 9014 },
		{ NETIF_GSO_TCPV4, 1448, 66 + 1448, 1, 66 + 1448 },
		{ NETIF_GSO_TCPV4, 1448, 66 + 1449, 2, 66 + 1449 + 66 },
		{ NETIF_GSO_TCPV4, 1448, 66 + 45 * 1448, 45, 45 * (66 + 1448) },
		{ NETIF_GSO_TCPV6, 1428, 86 + 45 * 1428, 45, 45 * (86 + 1428) },
		{ NETIF_GSO_TCPV4, 100, 66 + 139 * 100, 139, 139 * 166 },
		{ NETIF_GSO_TCPV4, 1, 65535, 139, 65535 + 138 * 66 }, /* is refused */
		{ NETIF_GSO_TCPV4, 10, 20, 1, 20 },                   /* no headers at all */
		{ NETIF_GSO_TCPV4, 0, 65535, 1, 65535 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct offload_wire wire =
			offload_on_wire(rows[i].type, rows[i].gso_size, rows[i].len);

		assert_int_equal(wire.packets, rows[i].packets);
		assert_int_equal(wire.bytes, rows[i].bytes);
	}
}

/* --- to the guest --- */

static struct virtio_net_hdr hdr_of(const struct spec *s, const struct built *b, uint16_t gso_size)
{
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .csum_start = htole16((uint16_t)b->l4),
				      .csum_offset = htole16(s->tcp ? 16 : 6) };

	if (gso_size) {
		hdr.gso_type = s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = htole16(gso_size);
		hdr.hdr_len = htole16((uint16_t)b->data);
	}
	return hdr;
}

/* A frontend need not know such headers: the daemon completes the checksum that the kernel has begun. */
static void pseudo_header_of_another_address_is_kept_for_the_guest(void **state)
{
	const struct offload_accept accept = { true, true, true, true, true };

	(void)state;
	for (size_t i = 0; i < NR_DETOURS; i++) {
		struct built b = build_detour(i, 1000, 0xbeef);
		struct spec s = { .tcp = true, .v6 = detours[i].v6 };
		struct virtio_net_hdr hdr = hdr_of(&s, &b, 0);
		struct offload_plan plan;

		offload_to_guest(&hdr, &accept, frame, b.len, &plan);
		assert_int_equal(plan.action, OFFLOAD_PASS);
		assert_int_equal(plan.flags, NETIF_RX_DATA_VALIDATED);
		/* The sum over all, including the partial sum in the field, is as if the field were blank. */
		assert_int_equal(plain_sum(0xbeef, frame + b.l4, b.len - b.l4), 0xffff);
	}
}

static void segments_to_another_address_differ_in_length_only(void **state)
{
	const struct offload_accept accept = { true, true, true, true, true };

	(void)state;
	for (size_t i = 0; i < NR_DETOURS; i++) {
		uint32_t sent = 20 + 3000, segment = 20 + 1448;
		struct built b = build_detour(
			i, 3000,
			(uint16_t)plain_sum(0x1234,
					    (uint8_t[]){ (uint8_t)(sent >> 8), (uint8_t)sent }, 2));
		struct spec s = { .tcp = true, .v6 = detours[i].v6 };
		struct virtio_net_hdr hdr = hdr_of(&s, &b, 1448);
		struct offload_plan plan;
		uint32_t len;

		offload_to_guest(&hdr, &accept, frame, b.len, &plan);
		assert_int_equal(plan.action, OFFLOAD_SEGMENT);
		segment_build(&plan.segments, frame, 0, out);
		len = segment_len(&plan.segments, 0);
		assert_int_equal(len - b.l4, segment);
		assert_int_equal(plain_sum(0x1234 + segment, out + b.l4, segment), 0xffff);
	}
}

static void blank_checksum_passes_or_is_finished(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++)
		for (unsigned int able = 0; able < 2; able++) {
			const struct spec *s = &shapes[i];
			struct built b = build_offloaded(frame, s);
			struct virtio_net_hdr hdr = hdr_of(s, &b, 0);
			bool passes = able && s->nr_tags == 0;
			struct offload_plan plan;

			offload_to_guest(&hdr, able ? &takes_all : &takes_nothing, frame, b.len,
					 &plan);
			assert_int_equal(plan.action, OFFLOAD_PASS);
			assert_int_equal(plan.flags, NETIF_RX_DATA_VALIDATED |
							     (passes ? NETIF_RX_CSUM_BLANK : 0));
			assert_int_equal(csum_is_right(frame, s, &b), !passes);
			assert_int_equal(plan.finished, !passes);
		}
}

static void families_are_accepted_separately(void **state)
{
	struct offload_accept v4_only = { .csum_v4 = true }, v6_only = { .csum_v6 = true };
	struct spec s = { .v6 = true, .payload = 100 };
	struct built b = build_offloaded(frame, &s);
	struct virtio_net_hdr hdr = hdr_of(&s, &b, 0);
	struct offload_plan plan;

	(void)state;
	offload_to_guest(&hdr, &v6_only, frame, b.len, &plan);
	assert_true(plan.flags & NETIF_RX_CSUM_BLANK);
	offload_to_guest(&hdr, &v4_only, frame, b.len, &plan);
	assert_int_equal(plan.flags, NETIF_RX_DATA_VALIDATED);
	assert_true(csum_is_right(frame, &s, &b));
}

static void inner_checksum_of_a_tunnel_is_finished(void **state)
{
	struct spec s = { .payload = 200 };
	struct built b = build_offloaded(frame, &s);
	struct virtio_net_hdr hdr = hdr_of(&s, &b, 0);
	struct offload_plan plan;
	uint32_t start = b.data + 50;

	(void)state;
	hdr.csum_start = htole16((uint16_t)start);
	offload_to_guest(&hdr, &takes_all, frame, b.len, &plan);
	assert_int_equal(plan.flags, NETIF_RX_DATA_VALIDATED);
	assert_true(plan.finished);
}

static void checksum_place_outside_the_frame_is_dropped(void **state)
{
	struct spec s = { .payload = 20 };
	struct built b = build_offloaded(frame, &s);
	struct virtio_net_hdr hdr = hdr_of(&s, &b, 0);
	struct offload_plan plan;

	(void)state;
	hdr.csum_start = htole16((uint16_t)(b.len - 7));
	offload_to_guest(&hdr, &takes_nothing, frame, b.len, &plan);
	assert_int_equal(plan.action, OFFLOAD_DROP);
	hdr.csum_start = htole16(65535);
	hdr.csum_offset = htole16(65535);
	offload_to_guest(&hdr, &takes_nothing, frame, b.len, &plan);
	assert_int_equal(plan.action, OFFLOAD_DROP);
	hdr.csum_start = htole16((uint16_t)(b.len - 8));
	hdr.csum_offset = htole16(6);
	offload_to_guest(&hdr, &takes_nothing, frame, b.len, &plan);
	assert_int_equal(plan.action, OFFLOAD_PASS);
}

static void large_frame_passes_with_both_flags(void **state)
{
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct spec s = { .tcp = true, .v6 = v6, .payload = 60000 };
		struct built b = build_offloaded(frame, &s);
		struct virtio_net_hdr hdr = hdr_of(&s, &b, 1448);
		struct offload_plan plan;

		(void)state;
		offload_to_guest(&hdr, &takes_all, frame, b.len, &plan);
		assert_int_equal(plan.action, OFFLOAD_PASS);
		assert_int_equal(plan.flags, NETIF_RX_DATA_VALIDATED | NETIF_RX_CSUM_BLANK);
		assert_int_equal(plan.gso_type, v6 ? NETIF_GSO_TCPV6 : NETIF_GSO_TCPV4);
		assert_int_equal(plan.gso_size, 1448);
	}
}

static void large_frame_is_cut_when_tagged_or_not_accepted(void **state)
{
	struct offload_accept no_gso = takes_all;

	(void)state;
	no_gso.gso_v4 = no_gso.gso_v6 = false;
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (unsigned int tags = 0; tags < 2; tags++) {
			struct spec s = {
				.tcp = true, .v6 = v6, .nr_tags = tags, .payload = 14480
			};
			struct built b = build_offloaded(frame, &s);
			struct virtio_net_hdr hdr = hdr_of(&s, &b, 1448);
			struct offload_plan plan;

			offload_to_guest(&hdr, tags ? &takes_all : &no_gso, frame, b.len, &plan);
			assert_int_equal(plan.action, OFFLOAD_SEGMENT);
			assert_int_equal(plan.flags, NETIF_RX_DATA_VALIDATED);
			assert_int_equal(plan.segments.nr_segments, 10);
		}
}

static void ecn_bit_does_not_hide_the_gso_type(void **state)
{
	struct spec s = { .tcp = true, .payload = 14480 };
	struct built b = build_offloaded(frame, &s);
	struct virtio_net_hdr hdr = hdr_of(&s, &b, 1448);
	struct offload_plan plan;

	(void)state;
	hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	offload_to_guest(&hdr, &takes_all, frame, b.len, &plan);
	assert_int_equal(plan.gso_type, NETIF_GSO_TCPV4);
}

static void gso_that_fits_no_frame_is_dropped(void **state)
{
	struct spec s = { .tcp = true, .payload = 5000 };
	struct built b = build_offloaded(frame, &s);
	struct virtio_net_hdr hdr = hdr_of(&s, &b, 1448);
	struct offload_plan plan;

	(void)state;
	hdr.gso_size = 0;
	offload_to_guest(&hdr, &takes_all, frame, b.len, &plan);
	assert_int_equal(plan.action, OFFLOAD_DROP);
	hdr = hdr_of(&s, &b, 1448);
	hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	offload_to_guest(&hdr, &takes_all, frame, b.len, &plan);
	assert_int_equal(plan.action, OFFLOAD_DROP);
	hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	offload_to_guest(&hdr, &takes_all, frame, b.len, &plan);
	assert_int_equal(plan.action, OFFLOAD_DROP);
	hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	offload_to_guest(&hdr, &takes_all, frame, 13, &plan);
	assert_int_equal(plan.action, OFFLOAD_DROP);
}

/* A rule on which Windows' frontend depends, tested for all headers that a tap can give. */
static void no_frame_breaks_the_flag_rules(void **state)
{
	uint32_t seed = 99;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		struct virtio_net_hdr hdr;
		struct offload_accept accept;
		struct offload_plan plan;
		const struct spec *s;
		struct built b;

		seed = seed * 1664525u + 1013904223u;
		s = &shapes[(seed >> 16) % NR_SHAPES];
		b = build_offloaded(frame, s);
		hdr = (struct virtio_net_hdr){ .flags = (seed >> 8) & 3,
					       .gso_type = (seed >> 10) & 7,
					       .gso_size = htole16((seed >> 13) & 2047),
					       .csum_start = htole16(
						       (uint16_t)(seed & 4 ? b.l4 : seed >> 20)),
					       .csum_offset = htole16((seed & 8) ? 6 : 16) };
		accept = (struct offload_accept){ .sg = seed & 16,
						  .csum_v4 = seed & 32,
						  .csum_v6 = seed & 64 };
		accept.gso_v4 = accept.csum_v4 && accept.sg && (seed & 128);
		accept.gso_v6 = accept.csum_v6 && accept.sg && (seed & 1);
		offload_to_guest(&hdr, &accept, frame, b.len, &plan);
		if (plan.action == OFFLOAD_DROP)
			continue;
		if (plan.flags & NETIF_RX_CSUM_BLANK)
			assert_true(plan.flags & NETIF_RX_DATA_VALIDATED);
		if (plan.action == OFFLOAD_PASS && plan.gso_type != NETIF_GSO_NONE) {
			assert_true(plan.flags & NETIF_RX_CSUM_BLANK);
			assert_true(plan.gso_size > 0);
		}
	}
}

static void tap_is_told_only_what_the_guest_takes(void **state)
{
	struct offload_accept accept = takes_all;

	(void)state;
	assert_int_equal(offload_tap_flags(&accept), TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
	accept.gso_v6 = false;
	assert_int_equal(offload_tap_flags(&accept), TUN_F_CSUM | TUN_F_TSO4);
	accept.csum_v4 = false; /* TSO without checksums is refused by the kernel */
	assert_int_equal(offload_tap_flags(&accept), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_found_in_every_shape),
		cmocka_unit_test(padding_is_not_counted),
		cmocka_unit_test(truncated_headers_are_refused_at_every_length),
		cmocka_unit_test(other_protocols_are_no_error),
		cmocka_unit_test(fragments_have_no_transport),
		cmocka_unit_test(contradicting_lengths_are_refused),
		cmocka_unit_test(extension_headers_are_walked_only_so_far),
		cmocka_unit_test(sum_equals_the_plain_one_for_every_length),
		cmocka_unit_test(sum_of_the_largest_frame_of_ones_does_not_overflow),
		cmocka_unit_test(finished_checksums_are_right_in_every_shape),
		cmocka_unit_test(udp_checksum_0_is_written_as_ffff),
		cmocka_unit_test(pseudo_header_is_as_the_plain_one),
		cmocka_unit_test(large_frames_are_cut_into_valid_ones),
		cmocka_unit_test(what_is_not_tcp_is_not_cut),
		cmocka_unit_test(blank_checksum_becomes_needs_csum_in_every_shape),
		cmocka_unit_test(validated_data_is_passed_on_untouched),
		cmocka_unit_test(row_17_blank_checksum_on_something_else_is_refused),
		cmocka_unit_test(row_18_headers_beyond_the_frame_are_refused),
		cmocka_unit_test(gso_gets_all_its_fields_even_without_csum_blank),
		cmocka_unit_test(row_15_gso_size_of_the_whole_payload_is_no_gso),
		cmocka_unit_test(row_16_gso_against_the_protocol_is_refused),
		cmocka_unit_test(large_frame_that_would_be_cut_into_dust_is_refused),
		cmocka_unit_test(large_frame_of_too_many_segments_is_refused),
		cmocka_unit_test(large_frame_to_everybody_is_refused),
		cmocka_unit_test(large_frame_counts_as_what_it_becomes),
		cmocka_unit_test(pseudo_header_of_another_address_is_the_guests),
		cmocka_unit_test(pseudo_header_of_another_address_is_kept_for_the_guest),
		cmocka_unit_test(segments_to_another_address_differ_in_length_only),
		cmocka_unit_test(blank_checksum_passes_or_is_finished),
		cmocka_unit_test(families_are_accepted_separately),
		cmocka_unit_test(inner_checksum_of_a_tunnel_is_finished),
		cmocka_unit_test(checksum_place_outside_the_frame_is_dropped),
		cmocka_unit_test(large_frame_passes_with_both_flags),
		cmocka_unit_test(large_frame_is_cut_when_tagged_or_not_accepted),
		cmocka_unit_test(ecn_bit_does_not_hide_the_gso_type),
		cmocka_unit_test(gso_that_fits_no_frame_is_dropped),
		cmocka_unit_test(no_frame_breaks_the_flag_rules),
		cmocka_unit_test(tap_is_told_only_what_the_guest_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
