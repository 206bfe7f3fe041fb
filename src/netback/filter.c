/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>

#include "netback/filter.h"
#include "netback/frame.h"

enum { ETH_LEN = 14, TAG_LEN = 4, MAX_TAGS = 2 };
enum {
	TYPE_MIN = 0x0600, /* below: a length, and an LLC header follows */
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_CTAG = 0x8100,
	TYPE_IPV6 = 0x86dd,
	TYPE_STAG = 0x88a8,
	TYPE_OLD_STAG = 0x9100,
};
enum { SNAP_SAP = 0xaa };
enum { ARP_LEN = 28, ARP_REQUEST = 1 };
enum { IPV4_LEN = 20, IPV6_LEN = 40, UDP_LEN = 8 };
enum {
	PROTO_HOPOPTS = 0,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_ICMP6 = 58,
	PROTO_DSTOPTS = 60,
	PROTO_MOBILITY = 135,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};
enum { PORT_BOOTPS = 67, PORT_BOOTPC = 68, PORT_DHCP6_CLIENT = 546, PORT_DHCP6_SERVER = 547 };
enum {
	ICMP6_MLD_REPORT = 131,
	ICMP6_MLD_DONE = 132,
	ICMP6_RS = 133,
	ICMP6_RA = 134,
	ICMP6_NS = 135,
	ICMP6_NA = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_MLD2_REPORT = 143,
};
enum { OPTION_SOURCE = 1, OPTION_TARGET = 2, OPTION_UNIT = 8 };
#define MAX_HEADERS 8u

static const uint8_t unspecified[16];

/* What may be read, and how far the walk has come. */
struct walk {
	const struct message_filter *filter;
	const uint8_t *head;
	uint32_t readable; /* of head */
	uint32_t len;      /* from the frame's start to the end of the IP packet */
	uint32_t at;
	bool fragment;      /* IPv6: there was a fragment header */
	const uint8_t *src; /* IPv6 */
};

static bool has(const struct walk *w, uint32_t nr_bytes)
{
	return w->at <= w->readable && nr_bytes <= w->readable - w->at;
}

/*
 * Bytes behind the packet are padding, and no header is read there. A length of 0 is valid in a large TCP frame.
 * Receivers drop any other packet whose length is wrong.
 */
static void set_end(struct walk *w, uint32_t start, uint32_t nr_bytes)
{
	if (nr_bytes && nr_bytes < w->len - start)
		w->len = start + nr_bytes;
	if (w->readable > w->len)
		w->readable = w->len;
}

static bool wants(const struct walk *w, unsigned int want)
{
	return w->filter->want & want;
}

static bool is_own_mac(const struct walk *w, const uint8_t *mac)
{
	return !memcmp(w->filter->mac, mac, 6);
}

/* --- addresses --- */

static bool has_prefix(const uint8_t *addr, const struct message_addr *rule)
{
	unsigned int whole = rule->bits / 8u, rest = rule->bits % 8u;

	if (memcmp(addr, rule->addr, whole))
		return false;
	return !rest || (addr[whole] ^ rule->addr[whole]) >> (8 - rest) == 0;
}

static bool is_listed(const struct message_filter *filter, const uint8_t *addr, bool v6)
{
	for (uint32_t i = 0; i < filter->nr_addrs; i++)
		if (filter->addrs[i].v6 == v6 && has_prefix(addr, &filter->addrs[i]))
			return true;
	return false;
}

/* The link-local address that follows from the hardware address (RFC 4291, appendix A). */
static bool is_own_link_local(const struct message_filter *filter, const uint8_t *addr)
{
	const uint8_t *mac = filter->mac;
	const uint8_t own[16] = { 0xfe,       0x80,   0,      0,    0,    0,      0,      0,
				  mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };

	return !memcmp(own, addr, sizeof(own));
}

static bool may_have_ipv6(const struct walk *w, const uint8_t *addr)
{
	return !wants(w, FILTER_WANT_IP) || is_listed(w->filter, addr, true) ||
	       is_own_link_local(w->filter, addr);
}

/* --- ARP --- */

static enum filter_verdict check_arp(const struct walk *w)
{
	static const uint8_t ethernet_ipv4[6] = { 0, 1, 8, 0, 6, 4 };
	const uint8_t *arp = w->head + w->at;
	const uint8_t *sender_mac = arp + 8, *sender = arp + 14, *target = arp + 24;
	bool probe;

	if (!has(w, ARP_LEN) || memcmp(arp, ethernet_ipv4, sizeof(ethernet_ipv4)))
		return FILTER_ARP;
	if (wants(w, FILTER_WANT_MAC) && !is_own_mac(w, sender_mac))
		return FILTER_ARP;
	if (!wants(w, FILTER_WANT_IP))
		return FILTER_PASS;
	/*
	 * RFC 5227: a probe comes from a guest without an address, and asks for the address that it is going to have.
	 */
	probe = frame_get16(arp + 6) == ARP_REQUEST && !memcmp(sender, unspecified, 4);
	return is_listed(w->filter, probe ? target : sender, false) ? FILTER_PASS : FILTER_ARP;
}

/* --- UDP, for both --- */

static enum filter_verdict check_udp(const struct walk *w, uint32_t server, uint32_t client)
{
	const uint8_t *udp = w->head + w->at;

	if (!has(w, UDP_LEN))
		return FILTER_HEADER;
	if (!wants(w, FILTER_WANT_DHCP))
		return FILTER_PASS;
	return frame_get16(udp) == server || frame_get16(udp + 2) == client ? FILTER_DHCP
									    : FILTER_PASS;
}

/* --- IPv4 --- */

/* A guest without an address may only ask for one. */
static bool asks_for_an_address(const struct walk *w, const uint8_t *ip, bool first)
{
	const uint8_t *udp = w->head + w->at;

	return first && !memcmp(ip + 12, unspecified, 4) && ip[9] == PROTO_UDP && has(w, UDP_LEN) &&
	       frame_get16(udp) == PORT_BOOTPC && frame_get16(udp + 2) == PORT_BOOTPS;
}

static enum filter_verdict check_ipv4(struct walk *w)
{
	const uint8_t *ip = w->head + w->at;
	uint32_t header_len;
	bool first;

	if (!has(w, IPV4_LEN) || ip[0] >> 4 != 4)
		return FILTER_HEADER;
	header_len = (ip[0] & 15u) * 4u;
	set_end(w, w->at, frame_get16(ip + 2));
	if (header_len < IPV4_LEN || !has(w, header_len))
		return FILTER_HEADER;
	w->at += header_len;
	first = (frame_get16(ip + 6) & 0x1fff) == 0;
	if (wants(w, FILTER_WANT_IP) && !is_listed(w->filter, ip + 12, false) &&
	    !asks_for_an_address(w, ip, first))
		return FILTER_IPV4;
	/* Later fragments have no ports. They cannot overwrite them: the UDP header is eight bytes. */
	if (ip[9] != PROTO_UDP || !first)
		return FILTER_PASS;
	return check_udp(w, PORT_BOOTPS, PORT_BOOTPC);
}

/* --- IPv6 --- */

/* Each source or target link-layer address must be the guest's own (RFC 4861, 4.6.1). */
static bool nd_options_are_good(const struct walk *w, uint32_t at)
{
	uint32_t left = w->len - at, size;
	const uint8_t *option = w->head + at;

	if (!wants(w, FILTER_WANT_MAC))
		return true;
	for (; left; left -= size, option += size) {
		if (left < OPTION_UNIT || option[1] == 0)
			return false;
		size = option[1] * (uint32_t)OPTION_UNIT;
		if (size > left)
			return false;
		if ((option[0] == OPTION_SOURCE || option[0] == OPTION_TARGET) &&
		    (size != OPTION_UNIT || !is_own_mac(w, option + 2)))
			return false;
	}
	return true;
}

/* Check solicitations and advertisements: `fixed` bytes, the target at 8, then options. */
static enum filter_verdict check_nd(const struct walk *w, uint8_t type)
{
	const uint8_t *icmp = w->head + w->at;
	uint32_t fixed = type == ICMP6_RS ? 8 : 24;
	bool claims = type == ICMP6_NA || (type == ICMP6_NS && !memcmp(w->src, unspecified, 16));

	if (w->fragment || w->len > w->readable || !has(w, fixed) || fixed > w->len - w->at)
		return FILTER_ND;
	if (claims && !may_have_ipv6(w, icmp + 8))
		return FILTER_ND;
	return nd_options_are_good(w, w->at + fixed) ? FILTER_PASS : FILTER_ND;
}

static enum filter_verdict check_icmp6(const struct walk *w)
{
	uint8_t type;

	if (!has(w, 4))
		return FILTER_HEADER;
	type = w->head[w->at];
	if (type == ICMP6_RA || type == ICMP6_REDIRECT)
		return wants(w, FILTER_WANT_RA) ? FILTER_RA : FILTER_PASS;
	if (type == ICMP6_RS || type == ICMP6_NS || type == ICMP6_NA)
		return check_nd(w, type);
	return FILTER_PASS;
}

/* Packets that a guest sends before it has an address (RFC 4862, 5.4; RFC 3590). */
static bool may_be_unspecified(const struct walk *w, uint8_t proto)
{
	uint8_t type = proto == PROTO_ICMP6 && has(w, 1) ? w->head[w->at] : 0;

	return type == ICMP6_NS || type == ICMP6_RS || type == ICMP6_MLD_REPORT ||
	       type == ICMP6_MLD_DONE || type == ICMP6_MLD2_REPORT;
}

static bool is_extension(uint8_t proto)
{
	return proto == PROTO_HOPOPTS || proto == PROTO_ROUTING || proto == PROTO_FRAGMENT ||
	       proto == PROTO_AH || proto == PROTO_DSTOPTS || proto == PROTO_MOBILITY ||
	       proto == PROTO_HIP || proto == PROTO_SHIM6;
}

/*
 * Walk to the upper layer's header. 1: it is there. 0: a later fragment, which has no such header. -1: the chain
 * leaves the packet or its readable part.
 */
static int walk_extensions(struct walk *w, uint8_t *proto)
{
	for (unsigned int i = 0; is_extension(*proto); i++) {
		const uint8_t *ext = w->head + w->at;
		uint32_t size;

		if (i == MAX_HEADERS || !has(w, 8))
			return -1;
		size = *proto == PROTO_AH ? (ext[1] + 2u) * 4u : (ext[1] + 1u) * 8u;
		if (*proto == PROTO_FRAGMENT) {
			size = 8;
			w->fragment = true;
			if (frame_get16(ext + 2) & 0xfff8)
				return 0;
		}
		if (!has(w, size) || size > w->len - w->at)
			return -1;
		*proto = ext[0];
		w->at += size;
	}
	return 1;
}

static enum filter_verdict check_upper(const struct walk *w, uint8_t proto)
{
	if (proto == PROTO_ICMP6)
		return check_icmp6(w);
	if (proto == PROTO_UDP)
		return check_udp(w, PORT_DHCP6_SERVER, PORT_DHCP6_CLIENT);
	return FILTER_PASS;
}

static enum filter_verdict check_ipv6(struct walk *w)
{
	const uint8_t *ip = w->head + w->at;
	uint8_t proto;
	int upper;

	if (!has(w, IPV6_LEN) || ip[0] >> 4 != 6)
		return FILTER_HEADER;
	proto = ip[6];
	w->src = ip + 8;
	w->at += IPV6_LEN;
	set_end(w, w->at, frame_get16(ip + 4));
	upper = walk_extensions(w, &proto);
	if (upper < 0)
		return FILTER_HEADER;
	if (!may_have_ipv6(w, w->src) &&
	    (memcmp(w->src, unspecified, 16) || !upper || !may_be_unspecified(w, proto)))
		return FILTER_IPV6;
	return upper ? check_upper(w, proto) : FILTER_PASS;
}

/* --- Ethernet --- */

/* Skip up to two tags. False when there are more, or when they leave the frame. */
static bool skip_tags(struct walk *w, uint16_t *ret_type)
{
	uint16_t type = frame_get16(w->head + ETH_LEN - 2);

	w->at = ETH_LEN;
	for (unsigned int i = 0; type == TYPE_CTAG || type == TYPE_STAG || type == TYPE_OLD_STAG;
	     i++) {
		if (i == MAX_TAGS || !has(w, TAG_LEN))
			return false;
		type = frame_get16(w->head + w->at + 2);
		w->at += TAG_LEN;
	}
	*ret_type = type;
	return true;
}

/* Neither ARP nor IP. A SNAP frame could hold either of them. */
static enum filter_verdict check_other(const struct walk *w, uint16_t type)
{
	const uint8_t *llc = w->head + w->at;
	bool snap = type < TYPE_MIN &&
		    (!has(w, 2) || llc[0] >> 1 == SNAP_SAP >> 1 || llc[1] >> 1 == SNAP_SAP >> 1);

	return snap || wants(w, FILTER_WANT_IP) ? FILTER_TYPE : FILTER_PASS;
}

enum filter_verdict filter_check(const struct message_filter *filter, const uint8_t *head,
				 uint32_t len)
{
	struct walk w = { .filter = filter, .head = head, .len = len };
	uint16_t type;

	w.readable = len < FRAME_HEAD_MAX ? len : FRAME_HEAD_MAX;
	if (!filter->want)
		return FILTER_PASS;
	if (wants(&w, FILTER_WANT_SILENCE))
		return FILTER_RULES;
	if (wants(&w, FILTER_WANT_MAC) && !is_own_mac(&w, head + 6))
		return FILTER_MAC;
	if (!skip_tags(&w, &type))
		return FILTER_TYPE;
	switch (type) {
	case TYPE_ARP:
		return check_arp(&w);
	case TYPE_IPV4:
		return check_ipv4(&w);
	case TYPE_IPV6:
		return check_ipv6(&w);
	default:
		return check_other(&w, type);
	}
}

const char *filter_verdict_name(enum filter_verdict verdict)
{
	static const char *const names[FILTER_NR] = { "pass", "mac",    "type", "arp",
						      "ipv4", "ipv6",   "nd",   "dhcp",
						      "ra",   "header", "rules" };

	return names[verdict];
}
