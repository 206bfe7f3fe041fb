/* SPDX-License-Identifier: MIT */
/* Merging frames of one flow: cutting the merged frame must give exactly the same frames. */
#include <endian.h>
#include <string.h>

#include "netback/merge.h"
#include "netframes.h"
#include "unit.h"

enum { ACK = 0x10, PSH = 0x08, SEQ = 0x1234fff0, MSS = 100 };

static uint8_t whole[FRAME_MAX], room[2 * FRAME_MAX], head[FRAME_HEAD_MAX];
static struct merge m;

/* What the kernel would give in one piece. */
static struct built build_whole(struct spec *s, uint32_t payload, uint8_t flags)
{
	struct built b;

	s->tcp = true;
	s->payload = payload;
	b = build_blank(whole, s);
	put16(whole + b.l4 + 4, SEQ >> 16);
	put16(whole + b.l4 + 6, SEQ & 0xffff);
	whole[b.l4 + 13] = flags;
	put16(whole + csum_at(s, &b), plain_pseudo(whole, s, &b));
	return b;
}

/* Make the headers of the part that begins `from` bytes into the payload of the whole. Returns that frame. */
static struct built build_part(const struct spec *s, const struct built *b, uint32_t from,
			       uint32_t payload, uint8_t *to)
{
	struct built part = *b;
	uint32_t seq = SEQ + from;

	part.len = b->data + payload;
	memcpy(to, whole, b->data);
	put16(to + b->l4 + 4, seq >> 16);
	put16(to + b->l4 + 6, seq & 0xffff);
	if (b->data + from + payload < b->len)
		to[b->l4 + 13] &= (uint8_t)~PSH;
	if (s->v6) {
		put16(to + b->l3 + 4, part.len - b->l3 - 40);
	} else {
		put16(to + b->l3 + 2, part.len - b->l3);
		put16(to + b->l3 + 10, 0);
		put16(to + b->l3 + 10, (uint16_t)~plain_sum(0, to + b->l3, b->l4 - b->l3));
	}
	put16(to + csum_at(s, b), plain_pseudo(to, s, &part));
	return part;
}

static struct virtio_net_hdr header(const struct spec *s, const struct built *b, bool large)
{
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .csum_start = htole16((uint16_t)b->l4),
				      .csum_offset = htole16(16) };

	if (!large)
		return hdr;
	hdr.gso_type = s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	hdr.gso_size = htole16(MSS);
	return hdr;
}

static bool begin(const struct spec *s, const struct built *b, uint32_t payload)
{
	struct built part = build_part(s, b, 0, payload, room);
	struct virtio_net_hdr hdr = header(s, b, true);

	memcpy(room + b->data, whole + b->data, payload);
	return merge_begin(&m, &hdr, room, part.len);
}

/* Read the next part as the queue does: headers to one place, the rest behind what is there. */
static struct built read_part(const struct spec *s, const struct built *b, uint32_t from,
			      uint32_t payload)
{
	memcpy(room + m.len, whole + b->data + from, payload);
	return build_part(s, b, from, payload, head);
}

static bool add(const struct spec *s, const struct built *b, uint32_t from, uint32_t payload)
{
	struct built part = read_part(s, b, from, payload);
	struct virtio_net_hdr hdr = header(s, b, payload > MSS);

	return merge_add(&m, &hdr, head, part.len, FRAME_MAX);
}

static void expect_whole(const struct built *b)
{
	CHECK(m.len == b->len);
	assert_memory_equal(room, whole, b->len);
}

/* --- what belongs together --- */

static void parts_become_the_whole(struct spec s)
{
	/* 30 segments and a bit, cut behind the 4th, the 11th and the 30th */
	struct built b = build_whole(&s, 30 * MSS + 7, ACK | PSH);

	CHECK(begin(&s, &b, 4 * MSS));
	CHECK(merge_head_len(&m) == b.data);
	CHECK(add(&s, &b, 4 * MSS, 7 * MSS));
	CHECK(add(&s, &b, 11 * MSS, 19 * MSS));
	CHECK(merge_is_open(&m, FRAME_MAX));
	CHECK(add(&s, &b, 30 * MSS, 7));
	expect_whole(&b);
	CHECK(!merge_is_open(&m, FRAME_MAX));
}

static void parts_become_the_whole_v4(void **state)
{
	(void)state;
	parts_become_the_whole((struct spec){ .nr_tcp_options = 3 });
}

static void parts_become_the_whole_v6(void **state)
{
	(void)state;
	parts_become_the_whole((struct spec){ .v6 = true });
}

/* --- where it ends --- */

static void nothing_follows_a_short_segment(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 10 * MSS, ACK);

	(void)state;
	CHECK(!begin(&s, &b, 4 * MSS - 1));
	CHECK(begin(&s, &b, 4 * MSS));
	CHECK(add(&s, &b, 4 * MSS, 2 * MSS + 1));
	CHECK(!merge_is_open(&m, FRAME_MAX));
}

/* The kernel sets this flag on every large frame (Linux 5.4), so it cannot end a merge. */
static void a_push_anywhere_is_a_push_at_the_end(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 9 * MSS, ACK | PSH), part;
	struct virtio_net_hdr hdr = header(&s, &b, true);

	(void)state;
	for (unsigned int who = 0; who < 3; who++) {
		CHECK(begin(&s, &b, 3 * MSS));
		room[b.l4 + 13] = who == 0 ? ACK | PSH : ACK;
		for (unsigned int i = 1; i < 3; i++) {
			part = read_part(&s, &b, i * 3 * MSS, 3 * MSS);
			head[b.l4 + 13] = who == i ? ACK | PSH : ACK;
			CHECK(merge_add(&m, &hdr, head, part.len, FRAME_MAX));
		}
		expect_whole(&b);
	}
}

static void it_grows_to_what_ip_can_say(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 65535 - 40, ACK);
	uint32_t payload = b.len - b.data;

	(void)state;
	CHECK(begin(&s, &b, 40000));
	CHECK(!merge_is_open(&m, FRAME_MAX)); /* not twice as much */
	CHECK(add(&s, &b, 40000, payload - 40000));
	expect_whole(&b);
	CHECK(begin(&s, &b, 40000));
	CHECK(!add(&s, &b, 40000, payload - 40000 + 1));
	CHECK(m.len == b.data + 40000);
}

static void it_grows_to_what_the_caller_has(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 8 * MSS, ACK);
	struct virtio_net_hdr hdr = header(&s, &b, true);
	struct built part;

	(void)state;
	CHECK(begin(&s, &b, 4 * MSS));
	CHECK(merge_is_open(&m, b.len));
	CHECK(!merge_is_open(&m, b.len - 1));
	part = read_part(&s, &b, 4 * MSS, 2 * MSS);
	CHECK(!merge_add(&m, &hdr, head, part.len, m.len + 2 * MSS - 1));
	CHECK(merge_add(&m, &hdr, head, part.len, m.len + 2 * MSS));
	CHECK(merge_is_open(&m, b.len)); /* for another like the last */
	CHECK(!merge_is_open(&m, b.len - 1));
}

/* --- what cannot begin --- */

static void expect_no_begin(struct spec s, uint8_t flags, struct virtio_net_hdr hdr)
{
	struct built b = build_whole(&s, 4 * MSS, flags);

	m.len = 1;
	CHECK(!merge_begin(&m, &hdr, whole, b.len));
	CHECK(m.len == 0);
}

static void only_plain_large_frames_begin(void **state)
{
	struct virtio_net_hdr v4 = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				     .gso_size = htole16(MSS) };
	struct virtio_net_hdr v6 = v4, none = { 0 }, ecn = v4;

	(void)state;
	v6.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	ecn.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	expect_no_begin((struct spec){ 0 }, ACK, none);
	expect_no_begin((struct spec){ 0 }, ACK, ecn);
	expect_no_begin((struct spec){ .nr_tags = 1 }, ACK, v4);
	expect_no_begin((struct spec){ .nr_ip_options = 1 }, ACK, v4);
	expect_no_begin((struct spec){ .v6 = true, .nr_ip_options = 1 }, ACK, v6);
	for (unsigned int flag = 1; flag < 256; flag *= 2)
		if (flag != ACK && flag != PSH)
			expect_no_begin((struct spec){ 0 }, (uint8_t)(ACK | flag), v4);
	expect_no_begin((struct spec){ 0 }, 0, v4);
}

static void what_may_be_fragmented_does_not_begin(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 4 * MSS, ACK);

	(void)state;
	whole[b.l3 + 6] = 0;
	put16(whole + b.l3 + 10, 0);
	put16(whole + b.l3 + 10, (uint16_t)~plain_sum(0, whole + b.l3, 20));
	CHECK(!begin(&s, &b, 2 * MSS));
}

/* --- what does not belong --- */

/* Bytes that the code writes again, or that mean nothing when fragments are forbidden. */
static bool is_free(const struct spec *s, const struct built *b, uint32_t at, unsigned int bit)
{
	uint32_t csum = csum_at(s, b);

	if (at == b->l4 + 13)
		return bit == PSH;
	return (!s->v6 && (at == b->l3 + 4 || at == b->l3 + 5)) || at == csum || at == csum + 1;
}

/* The frame has another header and correct checksums, as from a sender; it is not damaged. */
static void mend_ip(const struct spec *s, const struct built *b)
{
	if (s->v6)
		return;
	put16(head + b->l3 + 10, 0);
	put16(head + b->l3 + 10, (uint16_t)~plain_sum(0, head + b->l3, 20));
}

static void any_other_byte_keeps_it_apart(struct spec s)
{
	struct built b = build_whole(&s, 8 * MSS, ACK);
	struct virtio_net_hdr hdr = header(&s, &b, true);
	static uint8_t before[sizeof(room)];

	CHECK(begin(&s, &b, 4 * MSS));
	memcpy(before, room, sizeof(room));
	for (uint32_t at = 0; at < b.data; at++) {
		for (unsigned int bit = 1; bit < 256; bit *= 2) {
			struct built part = read_part(&s, &b, 4 * MSS, 4 * MSS);

			head[at] ^= (uint8_t)bit;
			mend_ip(&s, &b);
			if (!s.v6 && (at == b.l3 + 10 || at == b.l3 + 11))
				head[at] ^= (uint8_t)bit; /* the mended sum, damaged */
			if (merge_add(&m, &hdr, head, part.len, FRAME_MAX) !=
			    is_free(&s, &b, at, bit))
				fail_msg("byte %u, bit %u", at, bit);
			if (is_free(&s, &b, at, bit))
				CHECK(begin(&s, &b, 4 * MSS));
			else
				assert_memory_equal(room, before, m.len);
		}
	}
}

static void any_other_byte_keeps_it_apart_v4(void **state)
{
	(void)state;
	any_other_byte_keeps_it_apart((struct spec){ .nr_tcp_options = 3 });
}

static void any_other_byte_keeps_it_apart_v6(void **state)
{
	(void)state;
	any_other_byte_keeps_it_apart((struct spec){ .v6 = true, .nr_tcp_options = 1 });
}

static bool joins(const struct spec *s, const struct built *b, struct virtio_net_hdr hdr,
		  uint32_t payload)
{
	struct built part;

	CHECK(begin(s, b, 4 * MSS));
	part = read_part(s, b, 4 * MSS, payload);
	return merge_add(&m, &hdr, head, part.len, FRAME_MAX);
}

static void other_offload_keeps_it_apart(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 8 * MSS, ACK);
	struct virtio_net_hdr good = header(&s, &b, true), bad = good;

	(void)state;
	CHECK(joins(&s, &b, good, 2 * MSS));
	bad.gso_size = htole16(MSS + 1);
	CHECK(!joins(&s, &b, bad, 2 * MSS));
	bad = good;
	bad.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	CHECK(!joins(&s, &b, bad, 2 * MSS));
	bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	CHECK(!joins(&s, &b, bad, 2 * MSS));

	good = header(&s, &b, false);
	CHECK(joins(&s, &b, good, MSS));
	CHECK(!joins(&s, &b, good, MSS + 1));
	bad = good;
	bad.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	CHECK(!joins(&s, &b, bad, MSS));
	bad = good;
	bad.csum_start = htole16((uint16_t)(b.l4 + 2));
	CHECK(!joins(&s, &b, bad, MSS));
	bad = good;
	bad.csum_offset = htole16(6);
	CHECK(!joins(&s, &b, bad, MSS));
}

static void a_frame_of_headers_or_less_keeps_apart(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 8 * MSS, ACK);
	struct virtio_net_hdr hdr = header(&s, &b, false);

	(void)state;
	CHECK(begin(&s, &b, 4 * MSS));
	for (uint32_t len = 1; len <= b.data; len++) {
		read_part(&s, &b, 4 * MSS, len < b.data ? 1 : 0);
		CHECK(!merge_add(&m, &hdr, head, len, FRAME_MAX));
	}
	CHECK(m.len == b.data + 4 * MSS);
}

static void padding_keeps_apart(void **state)
{
	struct spec s = { 0 };
	struct built b = build_whole(&s, 8 * MSS, ACK), part;
	struct virtio_net_hdr hdr = header(&s, &b, false);

	(void)state;
	CHECK(begin(&s, &b, 4 * MSS));
	part = read_part(&s, &b, 4 * MSS, 2);
	CHECK(!merge_add(&m, &hdr, head, part.len + 4, FRAME_MAX));
	CHECK(merge_add(&m, &hdr, head, part.len, FRAME_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_become_the_whole_v4),
		cmocka_unit_test(parts_become_the_whole_v6),
		cmocka_unit_test(nothing_follows_a_short_segment),
		cmocka_unit_test(a_push_anywhere_is_a_push_at_the_end),
		cmocka_unit_test(it_grows_to_what_ip_can_say),
		cmocka_unit_test(it_grows_to_what_the_caller_has),
		cmocka_unit_test(only_plain_large_frames_begin),
		cmocka_unit_test(what_may_be_fragmented_does_not_begin),
		cmocka_unit_test(any_other_byte_keeps_it_apart_v4),
		cmocka_unit_test(any_other_byte_keeps_it_apart_v6),
		cmocka_unit_test(other_offload_keeps_it_apart),
		cmocka_unit_test(a_frame_of_headers_or_less_keeps_apart),
		cmocka_unit_test(padding_keeps_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
