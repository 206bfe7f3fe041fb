/* SPDX-License-Identifier: MIT */
/*
 * Port security: whether this guest may send this frame. Pure. The frame is hostile, but a private copy, so we send what we
 * have checked. PORT SECURITY in pvbackd-network(7) says what is promised.
 *
 * A frame is refused if a receiver may look at headers that we do not see: SNAP and more than two VLAN tags (CVE-2021-27853
 * and the three like it), chains of headers that do not end in the first fragment (RFC 7112, RFC 7113), neighbour
 * discovery in fragments (RFC 6980).
 */
#ifndef PVB_NETBACK_FILTER_H
#define PVB_NETBACK_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/messages.h"

enum filter_want {
	FILTER_WANT_MAC = 1,  /* its own hardware address only: Ethernet, ARP, ND */
	FILTER_WANT_IP = 2,   /* its own addresses only: ARP, IPv4, IPv6, ND */
	FILTER_WANT_DHCP = 4, /* it is no DHCP server */
	FILTER_WANT_RA = 8,   /* it is no IPv6 router */
	FILTER_WANT_ALL = 15,
	FILTER_WANT_SILENCE = 16, /* it sends nothing at all */
};

/* Why a frame is refused, in the order of the counters in vif_stats.h. */
enum filter_verdict {
	FILTER_PASS,
	FILTER_MAC,    /* not its hardware address */
	FILTER_TYPE,   /* neither ARP, IPv4 nor IPv6; SNAP; too many tags */
	FILTER_ARP,    /* the sender, or the target of a probe, is not its address */
	FILTER_IPV4,   /* not its address */
	FILTER_IPV6,   /* likewise */
	FILTER_ND,     /* a target or a link-layer address that is not its own; in fragments */
	FILTER_DHCP,   /* only a DHCP server or relay sends it */
	FILTER_RA,     /* only a router sends it */
	FILTER_HEADER, /* headers that cannot be followed to their end */
	FILTER_RULES,  /* the rules cannot be read */
	FILTER_NR,
};

/* Whether the frame may pass. `head` holds the first min(len, FRAME_HEAD_MAX) bytes or more; len >= 14. */
enum filter_verdict filter_check(const struct message_filter *filter, const uint8_t *head,
				 uint32_t len);

/* "mac", "type", …: the name of a verdict, for traces. */
const char *filter_verdict_name(enum filter_verdict verdict);

/*
 * A list of mac, ip, dhcp, ra, separated by commas or spaces; "on" is all of them, "off" or nothing
 * none. 0 with a combination of enum filter_want, or -EINVAL.
 */
int filter_parse_want(const char *text, unsigned int *ret_want);
/* Write such a list; "nothing passes" for FILTER_WANT_SILENCE. */
void filter_print_want(unsigned int want, char *buf, size_t size);

/* "00:16:3e:01:02:03". 0, or -EINVAL, also for a group's address. */
int filter_parse_mac(const char *text, uint8_t ret_mac[6]);

/*
 * Addresses and prefixes, separated by spaces or commas ("10.0.0.5 2001:db8:7::/64"), into
 * filter->addrs. 0, -EINVAL, or -E2BIG for more than MESSAGE_ADDRS; then nothing is changed.
 */
int filter_parse_addrs(const char *text, struct message_filter *filter);

#endif
