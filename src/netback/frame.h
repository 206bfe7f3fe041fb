/* SPDX-License-Identifier: MIT */
/*
 * Where the headers of an Ethernet frame are. Pure; the frame is hostile, but a
 * private copy, so what was checked stays as it was.
 */
#ifndef PVB_NETBACK_FRAME_H
#define PVB_NETBACK_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* All headers that matter must lie within this many bytes from the frame's start. */
#define FRAME_HEAD_MAX 256u
/* The longest frame: 65535 bytes of IP, Ethernet and two tags. */
#define FRAME_MAX (65535u + 14u + 8u)

#define FRAME_TCP_LEN          20u /* without options */
#define FRAME_TCP_SEQ_OFFSET   4u
#define FRAME_TCP_FLAGS_OFFSET 13u
#define FRAME_TCP_CSUM_OFFSET  16u
#define FRAME_UDP_CSUM_OFFSET  6u
/* Of TCP's flags. */
#define FRAME_TCP_FIN 0x01u
#define FRAME_TCP_PSH 0x08u
#define FRAME_TCP_ACK 0x10u
#define FRAME_TCP_CWR 0x80u

enum frame_l3 { FRAME_L3_OTHER, FRAME_IPV4, FRAME_IPV6 };
enum frame_l4 { FRAME_L4_OTHER, FRAME_TCP, FRAME_UDP };

struct frame {
	enum frame_l3 l3;
	enum frame_l4 l4;        /* OTHER for a fragment, too */
	uint8_t ip_proto;        /* the transport protocol's number */
	uint16_t l3_offset;      /* behind up to two VLAN tags */
	uint16_t l4_offset;      /* valid when l4 is not OTHER */
	uint16_t payload_offset; /* likewise: behind the TCP or UDP header */
	uint32_t l4_len;         /* likewise: transport header and payload, without padding */
	bool tagged;
	bool fragment;
	/* The pseudo-header has an address that is not in the IP header: a final destination, a home address. */
	bool other_addrs;
};

/*
 * Find the headers of a frame of `len` bytes. `head` holds the first min(len, FRAME_HEAD_MAX) bytes or more. `gso`:
 * ignore the IP length; the transport reaches to the end of the frame.
 *
 * Returns 0 with *ret filled in (L3 OTHER when it is neither IPv4 nor IPv6), or -EINVAL when a header leaves the frame
 * or contradicts itself.
 */
int frame_parse(const uint8_t *head, uint32_t len, bool gso, struct frame *ret);

/* Unaligned big-endian access. */
static inline uint16_t frame_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t frame_get32(const uint8_t *p)
{
	return (uint32_t)frame_get16(p) << 16 | frame_get16(p + 2);
}

static inline void frame_put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void frame_put32(uint8_t *p, uint32_t value)
{
	frame_put16(p, (uint16_t)(value >> 16));
	frame_put16(p + 2, (uint16_t)value);
}

#endif
