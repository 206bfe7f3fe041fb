/* SPDX-License-Identifier: MIT */
/* Port security: what a guest may send, and all known ways around the rules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "netback/filter.h"
#include "netback/frame.h"

/* The guest: 10.0.0.5, 2001:db8::5, 2001:db8:7::/64. */
static struct message_filter rules;
static uint8_t frame[FRAME_MAX];
static uint32_t len;

#define OWN_MAC   "00:16:3e:01:02:03"
#define OWN_BYTES 0x00, 0x16, 0x3e, 0x01, 0x02, 0x03

static int setup(void **state)
{
	(void)state;
	rules = (struct message_filter){ .want = FILTER_WANT_ALL };
	assert_int_equal(filter_parse_mac(OWN_MAC, rules.mac), 0);
	assert_int_equal(filter_parse_addrs("10.0.0.5 2001:db8::5,2001:db8:7::/64", &rules), 0);
	return 0;
}

static void only(unsigned int want)
{
	rules.want = want;
}

#define expect(verdict)                                                                            \
	assert_string_equal(filter_verdict_name(filter_check(&rules, frame, len)),                 \
			    filter_verdict_name(verdict))

/* --- building frames --- */

static uint8_t *add(const void *bytes, uint32_t nr)
{
	memcpy(frame + len, bytes, nr);
	len += nr;
	return frame + len - nr;
}

static void add16(uint16_t value)
{
	frame_put16(frame + len, value);
	len += 2;
}

static void ethernet(uint16_t type)
{
	static const uint8_t macs[12] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, OWN_BYTES };

	memset(frame, 0, sizeof(frame));
	len = 0;
	add(macs, sizeof(macs));
	add16(type);
}

static void tag(uint16_t outer)
{
	memmove(frame + 16, frame + 12, len - 12);
	frame_put16(frame + 12, outer);
	frame_put16(frame + 14, 7);
	len += 4;
}

/* Sender hardware address, sender and target. */
static void arp(uint16_t op, const char *sha, const char *spa, const char *tpa)
{
	static const uint8_t start[6] = { 0, 1, 8, 0, 6, 4 };
	struct message_filter parsed;
	uint8_t mac[6];

	ethernet(0x0806);
	add(start, sizeof(start));
	add16(op);
	assert_int_equal(filter_parse_mac(sha, mac), 0);
	add(mac, 6);
	assert_int_equal(filter_parse_addrs(spa, &parsed), 0);
	add(parsed.addrs[0].addr, 4);
	add("\0\0\0\0\0\0", 6);
	assert_int_equal(filter_parse_addrs(tpa, &parsed), 0);
	add(parsed.addrs[0].addr, 4);
}

static void ipv4(const char *src, uint8_t proto, uint16_t fragment, uint32_t payload)
{
	struct message_filter parsed;
	uint8_t *ip;

	ethernet(0x0800);
	ip = add(frame + 1000, 20);
	ip[0] = 0x45;
	frame_put16(ip + 2, (uint16_t)(20 + payload));
	frame_put16(ip + 6, fragment);
	ip[9] = proto;
	assert_int_equal(filter_parse_addrs(src, &parsed), 0);
	memcpy(ip + 12, parsed.addrs[0].addr, 4);
}

static void ports(uint16_t from, uint16_t to)
{
	add16(from);
	add16(to);
	add16(8);
	add16(0);
}

static void ipv6(const char *src, uint8_t next, uint32_t payload)
{
	struct message_filter parsed;
	uint8_t *ip;

	ethernet(0x86dd);
	ip = add(frame + 1000, 40);
	ip[0] = 0x60;
	frame_put16(ip + 4, (uint16_t)payload);
	ip[6] = next;
	assert_int_equal(filter_parse_addrs(src, &parsed), 0);
	memcpy(ip + 8, parsed.addrs[0].addr, 16);
}

/* An extension header of `units` * 8 bytes. */
static void extension(uint8_t next, uint32_t units)
{
	uint8_t *ext = add(frame + 1000, units * 8);

	ext[0] = next;
	ext[1] = (uint8_t)(units - 1);
}

static void fragment_header(uint8_t next, uint16_t offset_and_more)
{
	uint8_t *ext = add(frame + 1000, 8);

	ext[0] = next;
	frame_put16(ext + 2, offset_and_more);
}

/* An ICMPv6 message of this type with a target ("" without) and one option (0: none). */
static void nd(uint8_t type, const char *target, uint8_t option, const char *option_mac)
{
	uint8_t start[8] = { type };
	struct message_filter parsed;
	uint8_t mac[6];

	add(start, sizeof(start));
	if (*target) {
		assert_int_equal(filter_parse_addrs(target, &parsed), 0);
		add(parsed.addrs[0].addr, 16);
	}
	if (!option)
		return;
	assert_int_equal(filter_parse_mac(option_mac, mac), 0);
	frame[len++] = option;
	frame[len++] = 1;
	add(mac, 6);
}

static void finish_ipv6(void)
{
	frame_put16(frame + 18, (uint16_t)(len - 54));
}

/* --- what an admin writes --- */

static void lists_are_read(void **state)
{
	unsigned int want;

	(void)state;
	assert_int_equal(filter_parse_want("on", &want), 0);
	assert_int_equal(want, FILTER_WANT_ALL);
	assert_int_equal(filter_parse_want("mac, ra", &want), 0);
	assert_int_equal(want, FILTER_WANT_MAC | FILTER_WANT_RA);
	assert_int_equal(filter_parse_want("off", &want), 0);
	assert_int_equal(want, 0);
	assert_int_equal(filter_parse_want("", &want), 0);
	assert_int_equal(want, 0);
	assert_int_equal(filter_parse_want("mac,ipp", &want), -EINVAL);
	assert_int_equal(filter_parse_want("macaroni-and-cheese", &want), -EINVAL);
}

static void hardware_addresses_are_read(void **state)
{
	uint8_t mac[6] = { 9 };

	(void)state;
	assert_int_equal(filter_parse_mac("00:16:3E:aB:02:03", mac), 0);
	assert_int_equal(mac[3], 0xab);
	assert_int_equal(filter_parse_mac("", mac), -EINVAL);
	assert_int_equal(filter_parse_mac("00:16:3e:01:02", mac), -EINVAL);
	assert_int_equal(filter_parse_mac("00:16:3e:01:02:03:04", mac), -EINVAL);
	assert_int_equal(filter_parse_mac("00:16:3e:01:02:0", mac), -EINVAL);
	assert_int_equal(filter_parse_mac("01:16:3e:01:02:03", mac), -EINVAL);
	assert_int_equal(mac[3], 0xab);
}

static void addresses_are_read(void **state)
{
	static const char *const wrong[] = { "10.0.0",      "10.0.0.5/33", "::/129",
					     "::/",         "x",           "10.0.0.5/",
					     "10.0.0.5/-1", "10.0.0.5 y",  "fe80::1%0" };
	char many[33 * 9] = "";

	(void)state;
	assert_int_equal(rules.nr_addrs, 3);
	assert_int_equal(rules.addrs[2].bits, 64);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(filter_parse_addrs(wrong[i], &rules), -EINVAL);
	for (int i = 0; i < 32; i++)
		strcat(many, "1.2.3.4 ");
	assert_int_equal(filter_parse_addrs(many, &rules), 0);
	assert_int_equal(rules.nr_addrs, 32);
	strcat(many, "1.2.3.4");
	assert_int_equal(filter_parse_addrs(many, &rules), -E2BIG);
	assert_int_equal(filter_parse_addrs(" , ", &rules), 0);
	assert_int_equal(rules.nr_addrs, 0);
}

static void prefixes_end_at_a_bit(void **state)
{
	(void)state;
	assert_int_equal(filter_parse_addrs("10.0.0.4/30", &rules), 0);
	ipv4("10.0.0.7", 6, 0, 0);
	expect(FILTER_PASS);
	ipv4("10.0.0.8", 6, 0, 0);
	expect(FILTER_IPV4);
	assert_int_equal(filter_parse_addrs("0.0.0.0/0", &rules), 0);
	expect(FILTER_PASS);
}

/* --- Ethernet --- */

static void nothing_is_checked_when_off(void **state)
{
	(void)state;
	only(0);
	ethernet(0x1234);
	frame[6] = 0x66;
	expect(FILTER_PASS);
}

static void a_foreign_hardware_address_is_refused(void **state)
{
	(void)state;
	ipv4("10.0.0.5", 6, 0, 0);
	expect(FILTER_PASS);
	frame[11]++;
	expect(FILTER_MAC);
	only(FILTER_WANT_IP);
	expect(FILTER_PASS);
}

static void other_protocols_need_no_ip_rule(void **state)
{
	(void)state;
	ethernet(0x8863);
	len += 46;
	expect(FILTER_TYPE);
	only(FILTER_WANT_ALL & ~FILTER_WANT_IP);
	expect(FILTER_PASS);
}

static void snap_is_refused_with_any_rule(void **state)
{
	(void)state;
	only(FILTER_WANT_RA);
	ethernet(46);
	add("\xaa\xaa\x03\0\0\0\x86\xdd", 8);
	expect(FILTER_TYPE);
	frame[14] = 0xab; /* the group bit makes no difference */
	frame[15] = 0x42;
	expect(FILTER_TYPE);
	frame[14] = frame[15] = 0x42; /* spanning tree */
	expect(FILTER_PASS);
	len = 15;
	expect(FILTER_TYPE);
}

static void rules_hold_behind_two_tags_and_no_more(void **state)
{
	static const uint16_t types[] = { 0x8100, 0x88a8, 0x9100 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		ipv4("10.0.0.6", 6, 0, 0);
		tag(types[i]);
		expect(FILTER_IPV4);
		tag(0x8100);
		expect(FILTER_IPV4);
		ipv4("10.0.0.5", 6, 0, 0);
		tag(types[i]);
		tag(0x8100);
		expect(FILTER_PASS);
		tag(0x8100);
		expect(FILTER_TYPE);
	}
	ethernet(0x8100);
	len += 3;
	expect(FILTER_TYPE);
}

/* --- ARP --- */

static void arp_must_speak_for_itself(void **state)
{
	(void)state;
	arp(1, OWN_MAC, "10.0.0.5", "10.0.0.1");
	expect(FILTER_PASS);
	arp(2, OWN_MAC, "10.0.0.5", "10.0.0.1");
	expect(FILTER_PASS);
	arp(2, OWN_MAC, "10.0.0.1", "10.0.0.9");
	expect(FILTER_ARP);
	arp(1, "00:16:3e:01:02:04", "10.0.0.5", "10.0.0.1");
	expect(FILTER_ARP);
	only(FILTER_WANT_IP);
	expect(FILTER_PASS);
	only(FILTER_WANT_MAC);
	arp(2, OWN_MAC, "10.0.0.1", "10.0.0.9");
	expect(FILTER_PASS);
}

static void a_probe_may_ask_for_its_own_address_only(void **state)
{
	(void)state;
	arp(1, OWN_MAC, "0.0.0.0", "10.0.0.5");
	expect(FILTER_PASS);
	arp(1, OWN_MAC, "0.0.0.0", "10.0.0.1");
	expect(FILTER_ARP);
	arp(2, OWN_MAC, "0.0.0.0", "10.0.0.5");
	expect(FILTER_ARP);
}

static void strange_arp_is_refused(void **state)
{
	(void)state;
	arp(1, OWN_MAC, "10.0.0.5", "10.0.0.1");
	len--;
	expect(FILTER_ARP);
	len++;
	frame[14 + 4] = 8; /* another length of hardware addresses moves the sender */
	expect(FILTER_ARP);
}

/* --- IPv4 --- */

static void a_foreign_ipv4_address_is_refused(void **state)
{
	(void)state;
	ipv4("10.0.0.5", 17, 0, 8);
	ports(1000, 2000);
	expect(FILTER_PASS);
	ipv4("10.0.0.6", 17, 0, 8);
	ports(1000, 2000);
	expect(FILTER_IPV4);
	ipv4("10.0.0.6", 17, 100, 8); /* a later fragment */
	expect(FILTER_IPV4);
	only(FILTER_WANT_MAC);
	expect(FILTER_PASS);
}

static void without_an_address_a_guest_may_ask_dhcp(void **state)
{
	(void)state;
	ipv4("0.0.0.0", 17, 0, 8);
	ports(68, 67);
	expect(FILTER_PASS);
	ipv4("0.0.0.0", 17, 0, 8);
	ports(68, 53);
	expect(FILTER_IPV4);
	ipv4("0.0.0.0", 17, 1, 8);
	ports(68, 67);
	expect(FILTER_IPV4);
	ipv4("0.0.0.0", 6, 0, 8);
	ports(68, 67);
	expect(FILTER_IPV4);
	ipv4("0.0.0.0", 17, 0, 8);
	expect(FILTER_IPV4);
}

/* Not even from an all-zero address, or to ask for an address. */
static void a_guest_whose_rules_cannot_be_read_sends_nothing(void **state)
{
	(void)state;
	rules = (struct message_filter){ .want = FILTER_WANT_SILENCE };
	ipv4("0.0.0.0", 17, 0, 8);
	ports(68, 67);
	memset(frame + 6, 0, 6);
	expect(FILTER_RULES);
	ethernet(0x88b5);
	memset(frame + 6, 0, 6);
	expect(FILTER_RULES);
}

static void broken_ipv4_is_refused(void **state)
{
	(void)state;
	ipv4("10.0.0.5", 6, 0, 0);
	len--;
	expect(FILTER_HEADER);
	len++;
	frame[14] = 0x44;
	expect(FILTER_HEADER);
	frame[14] = 0x65;
	expect(FILTER_HEADER);
	frame[14] = 0x46; /* options behind the frame's end */
	expect(FILTER_HEADER);
}

static void a_guest_is_no_dhcp_server(void **state)
{
	(void)state;
	ipv4("10.0.0.5", 17, 0, 8);
	ports(67, 68);
	expect(FILTER_DHCP);
	ipv4("10.0.0.5", 17, 0, 8);
	ports(9999, 68); /* clients take it from any port */
	expect(FILTER_DHCP);
	ipv4("10.0.0.5", 17, 0, 8);
	ports(67, 67); /* a relay */
	expect(FILTER_DHCP);
	ipv4("10.0.0.5", 17, 0, 8);
	ports(68, 67); /* a client renews */
	expect(FILTER_PASS);
	ipv4("10.0.0.5", 17, 0x2000, 8); /* a first fragment has the ports */
	ports(67, 68);
	expect(FILTER_DHCP);
	only(FILTER_WANT_ALL & ~FILTER_WANT_DHCP);
	expect(FILTER_PASS);
}

/* The ports after the packet's end are padding; the real ones would come in the next fragment. */
static void ports_are_not_read_from_the_padding(void **state)
{
	(void)state;
	ipv4("10.0.0.5", 17, 0x2000, 0);
	ports(1000, 2000);
	expect(FILTER_HEADER);
	ipv4("10.0.0.5", 17, 0x2000, 7);
	ports(1000, 2000);
	expect(FILTER_HEADER);
}

static void options_do_not_hide_ports(void **state)
{
	(void)state;
	ipv4("10.0.0.5", 17, 0, 48);
	frame[14] = 0x4f;
	len += 40;
	ports(67, 68);
	expect(FILTER_DHCP);
}

/* --- IPv6 --- */

static void a_foreign_ipv6_address_is_refused(void **state)
{
	(void)state;
	ipv6("2001:db8::5", 6, 0);
	expect(FILTER_PASS);
	ipv6("2001:db8:7::abcd", 6, 0);
	expect(FILTER_PASS);
	ipv6("2001:db8:8::1", 6, 0);
	expect(FILTER_IPV6);
	only(FILTER_WANT_MAC);
	expect(FILTER_PASS);
}

static void the_link_local_address_of_its_mac_is_its_own(void **state)
{
	(void)state;
	ipv6("fe80::216:3eff:fe01:203", 6, 0);
	expect(FILTER_PASS);
	ipv6("fe80::216:3eff:fe01:204", 6, 0);
	expect(FILTER_IPV6);
	assert_int_equal(filter_parse_addrs("fe80::/10", &rules), 0);
	expect(FILTER_PASS);
}

static void without_an_address_only_discovery_is_sent(void **state)
{
	static const uint8_t types[] = { 131, 132, 133, 143 };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		ipv6("::", 0, 0); /* multicast listener reports have a hop-by-hop header */
		extension(58, 1);
		nd(types[i], "", 0, "");
		finish_ipv6();
		expect(FILTER_PASS);
	}
	ipv6("::", 58, 0);
	nd(128, "", 0, "");
	finish_ipv6();
	expect(FILTER_IPV6);
	ipv6("::", 17, 8);
	ports(1, 2);
	expect(FILTER_IPV6);
	ipv6("::", 44, 16);
	fragment_header(58, 8);
	nd(135, "", 0, "");
	expect(FILTER_IPV6);
}

static void discovery_must_speak_for_itself(void **state)
{
	(void)state;
	ipv6("2001:db8::5", 58, 0);
	nd(135, "2001:db8::1", 1, OWN_MAC); /* asks for anybody */
	finish_ipv6();
	expect(FILTER_PASS);
	ipv6("2001:db8::5", 58, 0);
	nd(136, "2001:db8:7::9", 2, OWN_MAC);
	finish_ipv6();
	expect(FILTER_PASS);
	ipv6("2001:db8::5", 58, 0);
	nd(136, "2001:db8::1", 2, OWN_MAC);
	finish_ipv6();
	expect(FILTER_ND);
	ipv6("::", 58, 0); /* duplicate address detection */
	nd(135, "2001:db8::1", 0, "");
	finish_ipv6();
	expect(FILTER_ND);
	ipv6("::", 58, 0);
	nd(135, "2001:db8::5", 0, "");
	finish_ipv6();
	expect(FILTER_PASS);
}

static void link_layer_options_must_be_its_own(void **state)
{
	(void)state;
	for (uint8_t type = 133; type <= 136; type++) {
		if (type == 134)
			continue;
		ipv6("2001:db8::5", 58, 0);
		nd(type, type == 133 ? "" : "2001:db8::5", 14, "00:00:00:00:00:00"); /* a nonce */
		add("\x01\x01\x00\x16\x3e\x01\x02\x04", 8);
		finish_ipv6();
		expect(FILTER_ND);
		frame[len - 1] = 3;
		expect(FILTER_PASS);
		frame[len - 7] = 0; /* length 0: receivers drop this, or loop */
		expect(FILTER_ND);
		frame[len - 7] = 2; /* leaves the packet */
		expect(FILTER_ND);
		frame[len - 7] = 1;
		frame[len - 15] = 2; /* its own address, in an option of another size */
		frame[len - 16] = 1;
		memcpy(frame + len - 14, rules.mac, 6);
		expect(FILTER_ND);
		frame[len - 16] = 14;
		expect(FILTER_PASS);
		frame[len - 15] = 1;
		len--;
		finish_ipv6();
		expect(FILTER_ND);
	}
}

static void discovery_in_fragments_is_refused(void **state)
{
	(void)state;
	ipv6("2001:db8::5", 44, 0);
	fragment_header(58, 0); /* a fragment header on a packet that is whole */
	nd(136, "2001:db8::5", 2, OWN_MAC);
	finish_ipv6();
	expect(FILTER_ND);
}

static void cut_off_or_overlong_discovery_is_refused(void **state)
{
	(void)state;
	ipv6("2001:db8::5", 58, 0);
	nd(136, "2001:db8::5", 0, "");
	finish_ipv6();
	expect(FILTER_PASS);
	frame_put16(frame + 18, 23);
	expect(FILTER_ND);
	frame_put16(frame + 18, 300); /* more than the filter can read */
	len = 54 + 300;
	expect(FILTER_ND);
}

static void a_guest_is_no_router(void **state)
{
	(void)state;
	for (uint8_t type = 134; type <= 137; type = (uint8_t)(type + 3)) {
		ipv6("fe80::216:3eff:fe01:203", 58, 0);
		nd(type, "", 0, "");
		finish_ipv6();
		expect(FILTER_RA);
		only(FILTER_WANT_RA);
		expect(FILTER_RA);
		only(FILTER_WANT_ALL & ~FILTER_WANT_RA);
		expect(FILTER_PASS);
		only(FILTER_WANT_ALL);
	}
}

static void extension_headers_hide_nothing(void **state)
{
	static const uint8_t kinds[] = { 0, 43, 44, 60, 135, 139, 140 };

	(void)state;
	only(FILTER_WANT_RA | FILTER_WANT_DHCP);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		ipv6("2001:db8:9::1", kinds[i], 0);
		extension(58, 1);
		nd(134, "", 0, "");
		finish_ipv6();
		expect(FILTER_RA);
		ipv6("2001:db8:9::1", kinds[i], 0);
		extension(17, 1);
		ports(547, 1);
		finish_ipv6();
		expect(FILTER_DHCP);
		ipv6("2001:db8:9::1", kinds[i], 0);
		extension(17, 1);
		ports(1, 546);
		finish_ipv6();
		expect(FILTER_DHCP);
	}
	ipv6("2001:db8:9::1", 51, 0); /* its length has other units */
	extension(58, 3);
	frame[55] = 4;
	nd(134, "", 0, "");
	finish_ipv6();
	expect(FILTER_RA);
}

static void a_chain_must_end_in_the_first_fragment(void **state)
{
	(void)state;
	only(FILTER_WANT_RA);
	ipv6("2001:db8:9::1", 44, 0);
	fragment_header(60, 1);
	extension(58, 1);
	finish_ipv6();
	expect(FILTER_HEADER);
	nd(128, "", 0, ""); /* padding that looks harmless */
	expect(FILTER_HEADER);
	ipv6("2001:db8:9::1", 44, 0);
	fragment_header(60, 1);
	extension(58, 1);
	frame[63] = 200; /* the header continues in the second fragment */
	finish_ipv6();
	expect(FILTER_HEADER);
	ipv6("2001:db8:9::1", 44, 0); /* which is useless without the first one */
	fragment_header(58, 8);
	nd(134, "", 0, "");
	finish_ipv6();
	expect(FILTER_PASS);
}

static void an_endless_chain_is_refused(void **state)
{
	(void)state;
	only(FILTER_WANT_MAC);
	ipv6("2001:db8::5", 60, 0);
	for (int i = 0; i < 8; i++)
		extension(60, 1);
	frame[len - 8] = 6;
	finish_ipv6();
	expect(FILTER_PASS);
	frame[len - 8] = 60;
	extension(6, 1);
	finish_ipv6();
	expect(FILTER_HEADER);
	ipv6("2001:db8::5", 60, 0); /* longer than what is looked at */
	extension(6, 32);
	finish_ipv6();
	expect(FILTER_HEADER);
}

static void large_tcp_frames_pass(void **state)
{
	(void)state;
	ipv4("10.0.0.5", 6, 0, 0);
	frame_put16(frame + 16, 0);
	len = 65000;
	expect(FILTER_PASS);
	ipv6("2001:db8::5", 6, 0);
	len = 65000;
	expect(FILTER_PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lists_are_read, setup),
		cmocka_unit_test_setup(hardware_addresses_are_read, setup),
		cmocka_unit_test_setup(addresses_are_read, setup),
		cmocka_unit_test_setup(prefixes_end_at_a_bit, setup),
		cmocka_unit_test_setup(nothing_is_checked_when_off, setup),
		cmocka_unit_test_setup(a_foreign_hardware_address_is_refused, setup),
		cmocka_unit_test_setup(other_protocols_need_no_ip_rule, setup),
		cmocka_unit_test_setup(snap_is_refused_with_any_rule, setup),
		cmocka_unit_test_setup(rules_hold_behind_two_tags_and_no_more, setup),
		cmocka_unit_test_setup(arp_must_speak_for_itself, setup),
		cmocka_unit_test_setup(a_probe_may_ask_for_its_own_address_only, setup),
		cmocka_unit_test_setup(strange_arp_is_refused, setup),
		cmocka_unit_test_setup(a_foreign_ipv4_address_is_refused, setup),
		cmocka_unit_test_setup(without_an_address_a_guest_may_ask_dhcp, setup),
		cmocka_unit_test_setup(a_guest_whose_rules_cannot_be_read_sends_nothing, setup),
		cmocka_unit_test_setup(broken_ipv4_is_refused, setup),
		cmocka_unit_test_setup(a_guest_is_no_dhcp_server, setup),
		cmocka_unit_test_setup(ports_are_not_read_from_the_padding, setup),
		cmocka_unit_test_setup(options_do_not_hide_ports, setup),
		cmocka_unit_test_setup(a_foreign_ipv6_address_is_refused, setup),
		cmocka_unit_test_setup(the_link_local_address_of_its_mac_is_its_own, setup),
		cmocka_unit_test_setup(without_an_address_only_discovery_is_sent, setup),
		cmocka_unit_test_setup(discovery_must_speak_for_itself, setup),
		cmocka_unit_test_setup(link_layer_options_must_be_its_own, setup),
		cmocka_unit_test_setup(discovery_in_fragments_is_refused, setup),
		cmocka_unit_test_setup(cut_off_or_overlong_discovery_is_refused, setup),
		cmocka_unit_test_setup(a_guest_is_no_router, setup),
		cmocka_unit_test_setup(extension_headers_hide_nothing, setup),
		cmocka_unit_test_setup(a_chain_must_end_in_the_first_fragment, setup),
		cmocka_unit_test_setup(an_endless_chain_is_refused, setup),
		cmocka_unit_test_setup(large_tcp_frames_pass, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
