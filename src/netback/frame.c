/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "netback/frame.h"

enum { ETH_LEN = 14, TAG_LEN = 4, MAX_TAGS = 2 };
enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, TYPE_CTAG = 0x8100, TYPE_STAG = 0x88a8 };
enum { IPV4_LEN = 20, IPV6_LEN = 40, UDP_LEN = 8 };
enum {
	PROTO_HOPOPTS = 0,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_DSTOPTS = 60
};
/* Of IPv4, and of IPv6's destination options (RFC 6275, 6.3). */
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_LSRR = 131, OPTION_SSRR = 137 };
enum { OPTION_PAD1 = 0, OPTION_HOME_ADDRESS = 201 };

#define MAX_IPV6_HEADERS 8u

/* What may be read, and how far the walk has come. */
struct walk {
	const uint8_t *head;
	uint32_t len;      /* of the frame */
	uint32_t readable; /* of head */
	uint32_t at;
	uint32_t end; /* of the IP packet */
};

static bool has(const struct walk *walk, uint32_t nr_bytes)
{
	return walk->at <= walk->readable && nr_bytes <= walk->readable - walk->at;
}

static int skip_ethernet(struct walk *walk, struct frame *frame, uint16_t *ret_type)
{
	uint16_t type;

	if (!has(walk, ETH_LEN))
		return -EINVAL;
	type = frame_get16(walk->head + ETH_LEN - 2);
	walk->at = ETH_LEN;
	for (unsigned int i = 0; i < MAX_TAGS && (type == TYPE_CTAG || type == TYPE_STAG); i++) {
		if (!has(walk, TAG_LEN))
			return -EINVAL;
		type = frame_get16(walk->head + walk->at + 2);
		walk->at += TAG_LEN;
		frame->tagged = true;
	}
	frame->l3_offset = (uint16_t)walk->at;
	*ret_type = type;
	return 0;
}

/* The IP length says where the packet ends. Bytes behind it are padding. */
static int set_end(struct walk *walk, uint32_t end, bool gso)
{
	walk->end = gso ? walk->len : end;
	return walk->end > walk->len ? -EINVAL : 0;
}

static bool has_source_route(const uint8_t *options, uint32_t len)
{
	for (uint32_t at = 0; at < len && options[at] != OPTION_END;) {
		if (options[at] == OPTION_LSRR || options[at] == OPTION_SSRR)
			return true;
		at += options[at] == OPTION_NOP || at + 1 == len || !options[at + 1]
			      ? 1
			      : options[at + 1];
	}
	return false;
}

static int skip_ipv4(struct walk *walk, bool gso, struct frame *frame)
{
	const uint8_t *ip = walk->head + walk->at;
	uint32_t header_len, total;

	if (!has(walk, IPV4_LEN) || ip[0] >> 4 != 4)
		return -EINVAL;
	header_len = (ip[0] & 15u) * 4u;
	total = frame_get16(ip + 2);
	if (header_len < IPV4_LEN || !has(walk, header_len))
		return -EINVAL;
	if (!gso && total < header_len)
		return -EINVAL;
	if (set_end(walk, walk->at + total, gso))
		return -EINVAL;
	frame->l3 = FRAME_IPV4;
	frame->ip_proto = ip[9];
	frame->other_addrs = has_source_route(ip + IPV4_LEN, header_len - IPV4_LEN);
	frame->fragment = frame_get16(ip + 6) & 0x3fff; /* more fragments, or an offset */
	walk->at += header_len;
	return 0;
}

static bool has_home_address(const uint8_t *options, uint32_t len)
{
	for (uint32_t at = 0; at + 1 < len;) {
		if (options[at] == OPTION_HOME_ADDRESS)
			return true;
		at += options[at] == OPTION_PAD1 ? 1 : options[at + 1] + 2u;
	}
	return false;
}

/* Skip one extension header: 1 when it did, 0 when `proto` is not one, -EINVAL. */
static int skip_extension(struct walk *walk, struct frame *frame, uint8_t *proto)
{
	const uint8_t *ext = walk->head + walk->at;
	uint32_t ext_len;

	if (*proto != PROTO_HOPOPTS && *proto != PROTO_ROUTING && *proto != PROTO_DSTOPTS &&
	    *proto != PROTO_FRAGMENT && *proto != PROTO_AH)
		return 0;
	if (!has(walk, 8))
		return -EINVAL;
	ext_len = *proto == PROTO_AH ? (ext[1] + 2u) * 4u : (ext[1] + 1u) * 8u;
	if (*proto == PROTO_FRAGMENT) {
		ext_len = 8;
		if (frame_get16(ext + 2) & 0xfff9)
			frame->fragment = true;
	}
	if (!has(walk, ext_len))
		return -EINVAL;
	if (*proto == PROTO_ROUTING ||
	    (*proto == PROTO_DSTOPTS && has_home_address(ext + 2, ext_len - 2)))
		frame->other_addrs = true;
	*proto = ext[0];
	walk->at += ext_len;
	return 1;
}

static int skip_ipv6(struct walk *walk, bool gso, struct frame *frame)
{
	const uint8_t *ip = walk->head + walk->at;
	uint8_t proto;
	int more = 1;

	if (!has(walk, IPV6_LEN) || ip[0] >> 4 != 6)
		return -EINVAL;
	if (set_end(walk, walk->at + IPV6_LEN + frame_get16(ip + 4), gso))
		return -EINVAL;
	proto = ip[6];
	walk->at += IPV6_LEN;
	for (unsigned int i = 0; more > 0; i++) {
		if (i == MAX_IPV6_HEADERS)
			return -EINVAL;
		more = frame->fragment ? 0 : skip_extension(walk, frame, &proto);
		if (more < 0)
			return more;
	}
	frame->l3 = FRAME_IPV6;
	frame->ip_proto = proto;
	return 0;
}

static int find_transport(struct walk *walk, struct frame *frame)
{
	uint32_t header_len;

	if (frame->fragment || (frame->ip_proto != PROTO_TCP && frame->ip_proto != PROTO_UDP))
		return 0;
	header_len = frame->ip_proto == PROTO_TCP ? FRAME_TCP_LEN : UDP_LEN;
	if (!has(walk, header_len))
		return -EINVAL;
	if (frame->ip_proto == PROTO_TCP)
		header_len = (walk->head[walk->at + 12] >> 4) * 4u;
	if (frame->ip_proto == PROTO_TCP && header_len < FRAME_TCP_LEN)
		return -EINVAL;
	if (!has(walk, header_len) || walk->at > walk->end || header_len > walk->end - walk->at)
		return -EINVAL;
	frame->l4 = frame->ip_proto == PROTO_TCP ? FRAME_TCP : FRAME_UDP;
	frame->l4_offset = (uint16_t)walk->at;
	frame->payload_offset = (uint16_t)(walk->at + header_len);
	frame->l4_len = walk->end - walk->at;
	return 0;
}

int frame_parse(const uint8_t *head, uint32_t len, bool gso, struct frame *ret)
{
	struct walk walk = { .head = head, .len = len };
	uint16_t type;
	int err;

	walk.readable = len < FRAME_HEAD_MAX ? len : FRAME_HEAD_MAX;
	*ret = (struct frame){ 0 };
	err = skip_ethernet(&walk, ret, &type);
	if (err)
		return err;
	if (type == TYPE_IPV4)
		err = skip_ipv4(&walk, gso, ret);
	else if (type == TYPE_IPV6)
		err = skip_ipv6(&walk, gso, ret);
	else
		return 0;
	return err ? err : find_transport(&walk, ret);
}
