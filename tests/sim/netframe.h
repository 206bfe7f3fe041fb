/* SPDX-License-Identifier: MIT */
/*
 * netframe.h - test frames that say what they are, for both ends of a vif.
 *
 * UDP and raw frames carry their number in the payload. TCP payload follows
 * from the connection's sequence number alone, so a large frame can be checked
 * whole or in the segments that somebody cut it into.
 */
#ifndef SIM_NETFRAME_H
#define SIM_NETFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_FRAME_MAX 65535u
#define NET_MSS4      1460u
#define NET_MSS6      1440u

enum net_kind {
	NET_UDP4,
	NET_UDP6,
	NET_TCP4,
	NET_TCP6,
	NET_GSO4, /* TCP, larger than a segment */
	NET_GSO6,
	NET_RAW,  /* an ethertype that no stack knows */
	NET_VLAN, /* 802.1Q around IPv4 UDP */
	NET_NR_KINDS,
};

struct net_frame {
	enum net_kind kind;
	uint16_t number;      /* of the frame */
	uint32_t start;       /* TCP: of the payload in this number's bytes; above 0 in segments */
	uint8_t flow;         /* chooses the ports; 0 in frames that have none */
	size_t len;           /* with the Ethernet header */
	uint32_t l4_offset;   /* 0 when there is no checksum to fill in */
	uint32_t csum_offset; /* of the field within the L4 header */
	size_t payload;       /* bytes that count towards the frame's total */
};

/* The smallest length that a frame of this kind can have. */
size_t net_frame_min(enum net_kind kind);
/*
 * Build into @buf (NET_FRAME_MAX bytes) from f->kind, number, start and len; fills in
 * the rest of @f. @blank: leave the L4 checksum at its pseudo-header sum.
 */
void net_frame_build(uint8_t *buf, struct net_frame *f, const uint8_t *src_mac,
		     const uint8_t *dst_mac, bool blank);
/*
 * What is this frame? Returns NULL with *f filled when it is one of ours and
 * right in every byte, "" when it is not ours, else what is wrong with it.
 * @blank: the L4 checksum is still to be filled in.
 */
const char *net_frame_check(const uint8_t *buf, size_t len, bool blank, struct net_frame *f);

#endif
