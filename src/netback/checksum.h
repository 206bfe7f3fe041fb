/* SPDX-License-Identifier: MIT */
/* The Internet checksum (RFC 1071) over frames. Pure. */
#ifndef PVB_NETBACK_CHECKSUM_H
#define PVB_NETBACK_CHECKSUM_H

#include <stdint.h>

#include "netback/frame.h"

/*
 * Add `len` bytes to a running sum. Only the last piece of a sum may have an odd length. The value is in memory byte
 * order: the ones' complement sum works in either.
 */
uint64_t checksum_add(uint64_t sum, const void *data, uint32_t len);

/* As checksum_add(), for a piece of any length that begins at offset `at` of the summed bytes. */
uint64_t checksum_add_piece(uint64_t sum, const void *data, uint32_t len, uint32_t at);

/* Fold a running sum to 16 bits, in memory byte order, not inverted. */
uint16_t checksum_fold(uint64_t sum);

/* The running sum of the TCP or UDP pseudo-header of a parsed frame, with its l4_len. */
uint64_t checksum_pseudo(const uint8_t *head, const struct frame *frame);

/* Write the pseudo-header sum (not inverted) to the checksum field, as offload requires it. */
void checksum_write_pseudo(uint8_t *head, const struct frame *frame);

/*
 * Finish a checksum as virtio_net_hdr describes it: sum from `start` to the end of the frame, with the pseudo-header
 * sum already at `start + offset`. The caller has checked start + offset + 2 <= len. A result of 0 is written as
 * 0xffff: it is the same number, and does not mean "no checksum" in UDP.
 */
void checksum_finish(uint8_t *frame, uint32_t len, uint32_t start, uint32_t offset);

/*
 * Set the length of a frame to `len` bytes: IP's length with IPv4's checksum, frame->l4_len, and the pseudo-header sum
 * as checksum_write_pseudo() does. With frame->other_addrs, only the length is changed in the existing sum (RFC 8200,
 * 8.1; RFC 9293, 3.1).
 */
void checksum_write_len(uint8_t *head, struct frame *frame, uint32_t len);

/* Write the checksum of an IPv4 header of `header_len` bytes. */
void checksum_write_ipv4(uint8_t *ip, uint32_t header_len);

#endif
