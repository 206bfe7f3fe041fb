/* SPDX-License-Identifier: MIT */
/* netframe.c - building and judging test frames. */
#include "netframe.h"

#include <string.h>

#define ETH_LEN   14u
#define VLAN_LEN  4u
#define UDP_LEN   8u
#define TCP_LEN   20u
#define TAG_LEN   8u /* magic and number in UDP and raw payload */
#define MAGIC     0x7358454eu
#define PORT      7777u
#define TYPE_IP4  0x0800u
#define TYPE_IP6  0x86ddu
#define TYPE_VLAN 0x8100u
#define TYPE_RAW  0x88b5u /* IEEE local experimental */

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v & 0xffff);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static uint32_t sum16(const uint8_t *at, size_t len, uint32_t sum)
{
	for (; len > 1; at += 2, len -= 2)
		sum += get16(at);
	if (len)
		sum += (uint32_t)at[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static bool kind_is_tcp(enum net_kind kind)
{
	return kind == NET_TCP4 || kind == NET_TCP6 || kind == NET_GSO4 || kind == NET_GSO6;
}

static bool kind_is_v6(enum net_kind kind)
{
	return kind == NET_UDP6 || kind == NET_TCP6 || kind == NET_GSO6;
}

static size_t l3_len(enum net_kind kind)
{
	return kind == NET_RAW ? 0 : kind_is_v6(kind) ? 40 : 20;
}

static size_t l3_offset(enum net_kind kind)
{
	return ETH_LEN + (kind == NET_VLAN ? VLAN_LEN : 0);
}

static size_t l4_len(enum net_kind kind)
{
	return kind == NET_RAW ? 0 : kind_is_tcp(kind) ? TCP_LEN : UDP_LEN;
}

static size_t payload_offset(enum net_kind kind)
{
	return l3_offset(kind) + l3_len(kind) + l4_len(kind);
}

size_t net_frame_min(enum net_kind kind)
{
	if (kind == NET_GSO4 || kind == NET_GSO6)
		return payload_offset(kind) + NET_MSS4 + 1;
	return payload_offset(kind) + (kind_is_tcp(kind) ? 1 : TAG_LEN);
}

static uint8_t pattern(uint32_t at)
{
	return (uint8_t)((at * 2654435761u) >> 24 ^ at);
}

/* Position of a payload byte in the endless stream that the pattern follows. */
static uint32_t stream_start(uint16_t number)
{
	return (uint32_t)number << 16;
}

/* Sum of the addresses, protocol and length that go into the L4 checksum. */
static uint32_t pseudo_sum(const uint8_t *ip, bool v6, size_t l4_bytes)
{
	uint32_t proto = v6 ? ip[6] : ip[9];
	uint32_t sum = v6 ? sum16(ip + 8, 32, 0) : sum16(ip + 12, 8, 0);

	return sum16(NULL, 0, sum + proto + (uint32_t)l4_bytes);
}

static void build_ip4(uint8_t *ip, const struct net_frame *f, size_t bytes)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)bytes);
	put16(ip + 4, f->number);
	put16(ip + 6, 0x4000); /* do not fragment */
	ip[8] = 64;
	ip[9] = kind_is_tcp(f->kind) ? 6 : 17;
	put32(ip + 12, 0x0a630001);
	put32(ip + 16, 0x0a630002);
	put16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
}

static void build_ip6(uint8_t *ip, const struct net_frame *f, size_t bytes)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, (uint32_t)(bytes - 40));
	ip[6] = kind_is_tcp(f->kind) ? 6 : 17;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	ip[23] = 1;
	ip[39] = 2;
}

static void build_l4(uint8_t *l4, const struct net_frame *f, size_t bytes)
{
	put16(l4, PORT + f->flow);
	put16(l4 + 2, PORT + f->flow);
	if (!kind_is_tcp(f->kind)) {
		put16(l4 + 4, (uint32_t)bytes);
		put16(l4 + 6, 0);
		return;
	}
	memset(l4 + 4, 0, TCP_LEN - 4);
	put32(l4 + 4, stream_start(f->number) + f->start);
	l4[12] = 5 << 4;
	l4[13] = 0x10; /* ACK */
	put16(l4 + 14, 0xffff);
}

static void build_payload(uint8_t *at, size_t len, const struct net_frame *f)
{
	uint32_t start = stream_start(f->number) + f->start;

	for (size_t i = 0; i < len; i++)
		at[i] = pattern(start + (uint32_t)i);
	if (!kind_is_tcp(f->kind)) {
		put32(at, MAGIC);
		put32(at + 4, (uint32_t)f->kind << 16 | f->number);
	}
}

static void fill_checksum(uint8_t *buf, const struct net_frame *f, bool blank)
{
	uint8_t *l4 = buf + f->l4_offset;
	size_t bytes = f->len - f->l4_offset;
	uint32_t sum = pseudo_sum(buf + l3_offset(f->kind), kind_is_v6(f->kind), bytes);

	put16(l4 + f->csum_offset, 0);
	if (!blank) {
		sum = ~sum16(l4, bytes, sum) & 0xffff;
		if (!sum && !kind_is_tcp(f->kind))
			sum = 0xffff;
	}
	put16(l4 + f->csum_offset, sum);
}

static uint32_t ethertype(enum net_kind kind)
{
	return kind == NET_RAW ? TYPE_RAW : kind_is_v6(kind) ? TYPE_IP6 : TYPE_IP4;
}

static void layout(struct net_frame *f)
{
	f->l4_offset = f->kind == NET_RAW ? 0 : (uint32_t)(l3_offset(f->kind) + l3_len(f->kind));
	f->csum_offset = kind_is_tcp(f->kind) ? 16 : 6;
	f->payload = f->len - payload_offset(f->kind);
}

void net_frame_build(uint8_t *buf, struct net_frame *f, const uint8_t *src_mac,
		     const uint8_t *dst_mac, bool blank)
{
	size_t l3 = l3_offset(f->kind);

	layout(f);
	memcpy(buf, dst_mac, 6);
	memcpy(buf + 6, src_mac, 6);
	if (f->kind == NET_VLAN) {
		put16(buf + 12, TYPE_VLAN);
		put16(buf + 14, 42);
	}
	put16(buf + l3 - 2, ethertype(f->kind));
	build_payload(buf + payload_offset(f->kind), f->payload, f);
	if (f->kind == NET_RAW)
		return;
	if (kind_is_v6(f->kind))
		build_ip6(buf + l3, f, f->len - l3);
	else
		build_ip4(buf + l3, f, f->len - l3);
	build_l4(buf + f->l4_offset, f, f->len - f->l4_offset);
	fill_checksum(buf, f, blank);
}

/* Kind by headers only; a GSO frame's segments count as plain TCP. */
static bool kind_guess(const uint8_t *buf, size_t len, enum net_kind *ret)
{
	uint32_t type = get16(buf + 12);
	bool v6 = type == TYPE_IP6;
	uint8_t proto;

	if (type == TYPE_RAW) {
		*ret = NET_RAW;
	} else if (type == TYPE_VLAN && len >= 18 && get16(buf + 16) == TYPE_IP4) {
		*ret = NET_VLAN;
	} else if (type == TYPE_IP4 || v6) {
		if (len < ETH_LEN + (v6 ? 40u : 20u))
			return false;
		proto = buf[ETH_LEN + (v6 ? 6 : 9)];
		if (proto != 6 && proto != 17)
			return false;
		*ret = proto == 6 ? (v6 ? NET_TCP6 : NET_TCP4) : (v6 ? NET_UDP6 : NET_UDP4);
	} else {
		return false;
	}
	return len >= payload_offset(*ret);
}

static const char *check_ip(const uint8_t *buf, const struct net_frame *f)
{
	const uint8_t *ip = buf + l3_offset(f->kind);
	size_t bytes = f->len - l3_offset(f->kind);

	if (kind_is_v6(f->kind))
		return get16(ip + 4) + 40 == bytes ? NULL : "IPv6 length";
	if (get16(ip + 2) != bytes)
		return "IPv4 length";
	return sum16(ip, 20, 0) == 0xffff ? NULL : "IPv4 header checksum";
}

static const char *check_l4(const uint8_t *buf, const struct net_frame *f, bool blank)
{
	const uint8_t *l4 = buf + f->l4_offset;
	size_t bytes = f->len - f->l4_offset;
	uint32_t sum = pseudo_sum(buf + l3_offset(f->kind), kind_is_v6(f->kind), bytes);

	if (blank)
		return get16(l4 + f->csum_offset) == sum ? NULL : "pseudo-header checksum";
	return sum16(l4, bytes, sum) == 0xffff ? NULL : "L4 checksum";
}

static const char *check_payload(const uint8_t *buf, struct net_frame *f)
{
	const uint8_t *at = buf + payload_offset(f->kind);
	uint32_t start;
	size_t i = 0;

	if (kind_is_tcp(f->kind)) {
		start = get32(buf + f->l4_offset + 4);
		f->number = (uint16_t)(start >> 16);
		f->start = start & 0xffff;
	} else {
		if (f->payload < TAG_LEN || get32(at) != MAGIC)
			return "";
		f->number = (uint16_t)get32(at + 4);
		start = stream_start(f->number);
		i = TAG_LEN;
	}
	for (; i < f->payload; i++)
		if (at[i] != pattern(start + (uint32_t)i))
			return "payload";
	return NULL;
}

const char *net_frame_check(const uint8_t *buf, size_t len, bool blank, struct net_frame *f)
{
	const char *wrong;

	if (len < ETH_LEN || !kind_guess(buf, len, &f->kind))
		return "";
	/* Short frames may arrive padded to Ethernet's minimum. */
	if (kind_is_v6(f->kind) && len == 60)
		len = l3_offset(f->kind) + 40 + get16(buf + l3_offset(f->kind) + 4);
	f->len = len;
	f->flow = 0;
	f->start = 0;
	layout(f);
	if (f->kind != NET_RAW) {
		uint32_t port = get16(buf + f->l4_offset);

		if (port != get16(buf + f->l4_offset + 2) || port - PORT > UINT8_MAX)
			return "";
		f->flow = (uint8_t)(port - PORT);
		wrong = check_ip(buf, f);
		if (!wrong)
			wrong = check_l4(buf, f, blank);
		if (wrong)
			return wrong;
	}
	return check_payload(buf, f);
}
