/* SPDX-License-Identifier: MIT */
/*
 * The blocks of a pcapng file (draft-ietf-opsawg-pcapng), in the machine's byte order. Pure.
 *
 * Why pcapng and not libpcap's own format: a packet can carry a comment, which says why it was
 * dropped, and its direction; tcpdump, tshark and Wireshark read both formats.
 */
#ifndef PVB_NETBACK_PCAPNG_H
#define PVB_NETBACK_PCAPNG_H

#include <stdbool.h>
#include <stdint.h>

#define PCAPNG_COMMENT_MAX 64u
/* The most that a block adds to its data. */
#define PCAPNG_START_MAX  192u
#define PCAPNG_PACKET_MAX (64u + PCAPNG_COMMENT_MAX)

struct pcapng_packet {
	uint64_t time_ns;    /* since 1970 */
	uint32_t len;        /* of the frame */
	uint32_t seen;       /* bytes of it in the file */
	bool inbound;        /* from the guest: into the host */
	const char *comment; /* borrowed; NULL: none */
};

/* Write section and interface, the start of a file. Returns their length, at most PCAPNG_START_MAX. */
uint32_t pcapng_put_start(uint8_t *out, const char *ifname, uint32_t snaplen);

/* Where a packet's data begins in its block. */
#define PCAPNG_DATA_OFFSET 28u

/*
 * Complete a packet's block around its data, which is already at out + PCAPNG_DATA_OFFSET. Returns its length, at most
 * packet->seen + PCAPNG_PACKET_MAX.
 */
uint32_t pcapng_put_packet(uint8_t *out, const struct pcapng_packet *packet);

/* Write how many packets there were, and how many of them are missing. Returns the block's length, at most 64. */
uint32_t pcapng_put_statistics(uint8_t *out, uint64_t time_ns, uint64_t received, uint64_t lost);

#endif
