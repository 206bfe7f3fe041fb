/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <string.h>

#include "netback/checksum.h"

/* Sum 32-bit words in 64 bits: no frame is large enough to lose a carry. */
uint64_t checksum_add(uint64_t sum, const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint32_t word;

	for (; len >= sizeof(word); len -= (uint32_t)sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		sum += word;
	}
	return sum;
}

/* At an odd offset the high and low bytes are swapped (RFC 1071, "byte order independence"). */
uint64_t checksum_add_piece(uint64_t sum, const void *data, uint32_t len, uint32_t at)
{
	uint16_t piece = checksum_fold(checksum_add(0, data, len));

	if (at & 1)
		piece = (uint16_t)(piece << 8 | piece >> 8);
	return sum + piece;
}

uint16_t checksum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t checksum_pseudo(const uint8_t *head, const struct frame *frame)
{
	const uint8_t *ip = head + frame->l3_offset;
	uint64_t sum = (uint64_t)htonl(frame->l4_len) + htons(frame->ip_proto);

	if (frame->l3 == FRAME_IPV4)
		return checksum_add(sum, ip + 12, 8);
	return checksum_add(sum, ip + 8, 32);
}

static uint32_t csum_offset(const struct frame *frame)
{
	return frame->l4 == FRAME_TCP ? FRAME_TCP_CSUM_OFFSET : FRAME_UDP_CSUM_OFFSET;
}

void checksum_write_pseudo(uint8_t *head, const struct frame *frame)
{
	uint16_t sum = checksum_fold(checksum_pseudo(head, frame));

	memcpy(head + frame->l4_offset + csum_offset(frame), &sum, sizeof(sum));
}

void checksum_finish(uint8_t *frame, uint32_t len, uint32_t start, uint32_t offset)
{
	uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, frame + start, len - start));

	if (sum == 0)
		sum = 0xffff;
	memcpy(frame + start + offset, &sum, sizeof(sum));
}

void checksum_write_ipv4(uint8_t *ip, uint32_t header_len)
{
	uint16_t sum;

	memset(ip + 10, 0, sizeof(sum));
	sum = (uint16_t)~checksum_fold(checksum_add(0, ip, header_len));
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* The sum that is in place is right except for the length. */
static void change_pseudo(uint8_t *head, const struct frame *frame, uint32_t len)
{
	uint8_t *at = head + frame->l4_offset + csum_offset(frame);
	uint16_t sum;

	memcpy(&sum, at, sizeof(sum));
	sum = checksum_fold((uint64_t)sum + htonl(len) + (uint32_t)~htonl(frame->l4_len));
	memcpy(at, &sum, sizeof(sum));
}

void checksum_write_len(uint8_t *head, struct frame *frame, uint32_t len)
{
	uint8_t *ip = head + frame->l3_offset;
	uint32_t ip_len = len - frame->l3_offset, l4_len = len - frame->l4_offset;

	if (frame->l3 == FRAME_IPV6) {
		frame_put16(ip + 4, (uint16_t)(ip_len - 40));
	} else {
		frame_put16(ip + 2, (uint16_t)ip_len);
		checksum_write_ipv4(ip, (ip[0] & 15u) * 4u);
	}
	if (frame->other_addrs)
		change_pseudo(head, frame, l4_len);
	frame->l4_len = l4_len;
	if (!frame->other_addrs)
		checksum_write_pseudo(head, frame);
}
