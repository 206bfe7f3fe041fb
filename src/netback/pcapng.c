/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "netback/pcapng.h"

enum { BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
#define BLOCK_SECTION    0x0a0d0d0au
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
enum { LINKTYPE_ETHERNET = 1 };
enum { OPTION_END = 0, OPTION_COMMENT = 1 };
enum { INTERFACE_NAME = 2, INTERFACE_RESOLUTION = 9 };
enum { PACKET_FLAGS = 2, FLAGS_INBOUND = 1, FLAGS_OUTBOUND = 2 };
enum { STATISTICS_RECEIVED = 4, STATISTICS_LOST = 5 };

struct out {
	uint8_t *start;
	uint32_t len;
};

static void put(struct out *out, const void *bytes, uint32_t nr)
{
	if (nr) /* without data the pointer may be NULL */
		memcpy(out->start + out->len, bytes, nr);
	out->len += nr;
}

static void put16(struct out *out, uint16_t value)
{
	put(out, &value, sizeof(value));
}

static void put32(struct out *out, uint32_t value)
{
	put(out, &value, sizeof(value));
}

/* The upper half of a time comes first in either byte order. */
static void put_time(struct out *out, uint64_t time_ns)
{
	put32(out, (uint32_t)(time_ns >> 32));
	put32(out, (uint32_t)time_ns);
}

static void pad(struct out *out)
{
	static const uint8_t zeros[4];

	put(out, zeros, -out->len & 3u);
}

static void put_option(struct out *out, uint16_t code, const void *value, uint32_t size)
{
	put16(out, code);
	put16(out, (uint16_t)size);
	put(out, value, size);
	pad(out);
}

static void begin(struct out *out, uint32_t type)
{
	put32(out, type);
	put32(out, 0);
}

/* The length is at both ends, so that a file can be read backwards. */
static uint32_t end(struct out *out)
{
	put_option(out, OPTION_END, NULL, 0);
	put32(out, out->len + 4);
	memcpy(out->start + 4, &out->len, sizeof(out->len));
	return out->len;
}

static uint32_t put_section(uint8_t *at)
{
	struct out out = { at, 0 };

	begin(&out, BLOCK_SECTION);
	put32(&out, BYTE_ORDER_MAGIC);
	put16(&out, 1); /* version 1.0 */
	put16(&out, 0);
	put32(&out, UINT32_MAX); /* the section's length is unknown */
	put32(&out, UINT32_MAX);
	return end(&out);
}

static uint32_t put_interface(uint8_t *at, const char *ifname, uint32_t snaplen)
{
	const uint8_t nanoseconds = 9;
	struct out out = { at, 0 };

	begin(&out, BLOCK_INTERFACE);
	put16(&out, LINKTYPE_ETHERNET);
	put16(&out, 0);
	put32(&out, snaplen);
	put_option(&out, INTERFACE_NAME, ifname, (uint32_t)strnlen(ifname, 64));
	put_option(&out, INTERFACE_RESOLUTION, &nanoseconds, 1);
	return end(&out);
}

uint32_t pcapng_put_start(uint8_t *at, const char *ifname, uint32_t snaplen)
{
	uint32_t len = put_section(at);

	return len + put_interface(at + len, ifname, snaplen);
}

uint32_t pcapng_put_packet(uint8_t *at, const struct pcapng_packet *packet)
{
	uint32_t flags = packet->inbound ? FLAGS_INBOUND : FLAGS_OUTBOUND;
	struct out out = { at, 0 };

	begin(&out, BLOCK_PACKET);
	put32(&out, 0); /* the only interface */
	put_time(&out, packet->time_ns);
	put32(&out, packet->seen);
	put32(&out, packet->len);
	out.len += packet->seen;
	pad(&out);
	put_option(&out, PACKET_FLAGS, &flags, sizeof(flags));
	if (packet->comment)
		put_option(&out, OPTION_COMMENT, packet->comment,
			   (uint32_t)strnlen(packet->comment, PCAPNG_COMMENT_MAX));
	return end(&out);
}

uint32_t pcapng_put_statistics(uint8_t *at, uint64_t time_ns, uint64_t received, uint64_t lost)
{
	struct out out = { at, 0 };

	begin(&out, BLOCK_STATISTICS);
	put32(&out, 0);
	put_time(&out, time_ns);
	put_option(&out, STATISTICS_RECEIVED, &received, sizeof(received));
	put_option(&out, STATISTICS_LOST, &lost, sizeof(lost));
	return end(&out);
}
