/* SPDX-License-Identifier: MIT */
/* Frames for tests, and a simple checksum to compare the daemon's with. */
#ifndef TEST_NETFRAMES_H
#define TEST_NETFRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What a test wants built. Zero: untagged IPv4 UDP without payload. */
struct spec {
	unsigned int nr_tags;
	bool v6;
	bool tcp;
	unsigned int nr_ip_options;  /* v4: 4 byte words; v6: 8 byte destination options headers */
	unsigned int nr_tcp_options; /* 4 byte words */
	uint32_t payload;
	uint32_t seed;
};

struct built {
	uint32_t len;
	uint32_t l3;
	uint32_t l4;
	uint32_t data; /* payload offset */
};

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

/* The checksum of RFC 1071, pair by pair, big-endian, without optimisation. */
static inline uint32_t plain_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? (uint32_t)p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline uint32_t plain_pseudo(const uint8_t *f, const struct spec *s, const struct built *b)
{
	uint8_t tail[8] = { 0 };
	uint32_t sum = s->v6 ? plain_sum(0, f + b->l3 + 8, 32) : plain_sum(0, f + b->l3 + 12, 8);

	put16(tail + 2, b->len - b->l4);
	tail[7] = s->tcp ? 6 : 17;
	return plain_sum(sum, tail, 8);
}

static inline uint32_t csum_at(const struct spec *s, const struct built *b)
{
	return b->l4 + (s->tcp ? 16 : 6);
}

/* Whether the transport checksum in the frame is right. */
static inline bool csum_is_right(const uint8_t *f, const struct spec *s, const struct built *b)
{
	return plain_sum(plain_pseudo(f, s, b), f + b->l4, b->len - b->l4) == 0xffff;
}

static inline void build_ipv4(uint8_t *ip, const struct spec *s, uint32_t header_len,
			      uint32_t l4_len)
{
	ip[0] = (uint8_t)(0x40 | header_len / 4);
	put16(ip + 2, header_len + l4_len);
	put16(ip + 4, 0xfff0 + s->seed);
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = s->tcp ? 6 : 17;
	memcpy(ip + 12, "\x0a\x00\x00\x01\xc0\xa8\x01\xfe", 8);
	memset(ip + 20, 1, header_len - 20); /* no-operation options */
	put16(ip + 10, (uint16_t)~plain_sum(0, ip, header_len));
}

static inline void build_ipv6(uint8_t *ip, const struct spec *s, uint32_t header_len,
			      uint32_t l4_len)
{
	uint8_t proto = s->tcp ? 6 : 17;

	ip[0] = 0x60;
	put16(ip + 4, header_len - 40 + l4_len);
	ip[6] = s->nr_ip_options ? 60 : proto;
	ip[7] = 64;
	for (unsigned int i = 0; i < 32; i++)
		ip[8 + i] = (uint8_t)(0x20 + i * 7);
	for (unsigned int i = 0; i < s->nr_ip_options; i++) {
		uint8_t *ext = ip + 40 + i * 8;

		ext[0] = i + 1 < s->nr_ip_options ? 60 : proto;
		ext[2] = 1; /* PadN */
		ext[3] = 4;
	}
}

static inline void build_l4(uint8_t *l4, const struct spec *s, uint32_t header_len)
{
	put16(l4, 40000);
	put16(l4 + 2, 443);
	if (!s->tcp) {
		put16(l4 + 4, 8 + s->payload);
		return;
	}
	memcpy(l4 + 4, "\xff\xff\xfa\x00\x12\x34\x56\x78", 8); /* the sequence number wraps soon */
	l4[12] = (uint8_t)(header_len / 4 << 4);
	l4[13] = 0x99; /* CWR, ACK, PSH, FIN */
	put16(l4 + 14, 501);
	memset(l4 + 20, 1, header_len - 20);
}

/* A complete frame with a blank (zero) transport checksum. */
static inline struct built build_blank(uint8_t *f, const struct spec *s)
{
	uint32_t ip_len = s->v6 ? 40 + s->nr_ip_options * 8 : 20 + s->nr_ip_options * 4;
	uint32_t l4_len = s->tcp ? 20 + s->nr_tcp_options * 4 : 8;
	uint32_t x = s->seed * 2654435761u + 1;
	struct built b = { .l3 = 14 + 4 * s->nr_tags };

	b.l4 = b.l3 + ip_len;
	b.data = b.l4 + l4_len;
	b.len = b.data + s->payload;
	memset(f, 0, b.data);
	memcpy(f, "\x00\x16\x3e\x11\x22\x33\xfe\xff\xff\xff\xff\xff", 12);
	for (unsigned int i = 0; i < s->nr_tags; i++)
		memcpy(f + 12 + i * 4, i + 1 < s->nr_tags ? "\x88\xa8\x00\x64" : "\x81\x00\x00\x0a",
		       4);
	put16(f + b.l3 - 2, s->v6 ? 0x86dd : 0x0800);
	if (s->v6)
		build_ipv6(f + b.l3, s, ip_len, l4_len + s->payload);
	else
		build_ipv4(f + b.l3, s, ip_len, l4_len + s->payload);
	build_l4(f + b.l4, s, l4_len);
	for (uint32_t i = b.data; i < b.len; i++) {
		x = x * 1664525u + 1013904223u;
		f[i] = (uint8_t)(x >> 24);
	}
	return b;
}

/* As the kernel gives a frame for offload: the pseudo-header sum stands in the checksum field. */
static inline struct built build_offloaded(uint8_t *f, const struct spec *s)
{
	struct built b = build_blank(f, s);

	put16(f + csum_at(s, &b), plain_pseudo(f, s, &b));
	return b;
}

#endif
