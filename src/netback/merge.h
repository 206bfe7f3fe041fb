/* SPDX-License-Identifier: MIT */
/*
 * Merges large TCP frames of one flow that follow each other in the tap, so that the guest gets one larger frame. Only if
 * cutting the large frame gives the same frames again, except for two things that mean nothing to a receiver: IPv4's
 * identification where fragments are forbidden; and PSH, which the last segment gets when any had it (RFC 9293, 3.9.1). Pure.
 */
#ifndef PVB_NETBACK_MERGE_H
#define PVB_NETBACK_MERGE_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "netback/frame.h"

struct merge {
	struct frame frame; /* where the headers are */
	uint8_t *at;        /* borrowed: the frame so far */
	uint32_t len;       /* its length; 0: there is none */
	uint32_t gso_size;
	uint32_t part; /* payload bytes of the last frame */
	bool ended;    /* by a short segment: nothing can follow */
};

/*
 * Begin with a frame of `len` bytes that offload_to_guest() passes as a large one. It stays where it is, with room
 * behind it. Returns whether others can follow it. If not, there is no merge.
 */
bool merge_begin(struct merge *merge, const struct virtio_net_hdr *hdr, uint8_t *frame,
		 uint32_t len);

/* Bytes of headers, in this frame and in all that can follow. */
static inline uint32_t merge_head_len(const struct merge *merge)
{
	return merge->frame.payload_offset;
}

/* Whether another frame like the last one would fit. If not, do not read one. */
bool merge_is_open(const struct merge *merge, uint32_t len_max);

/*
 * A frame of `len` bytes has been read: its first merge_head_len() bytes to `head`, the rest directly behind the merge.
 * If it belongs there, and the merge stays within `len_max` bytes: take it and return true. Else change nothing.
 */
bool merge_add(struct merge *merge, const struct virtio_net_hdr *hdr, const uint8_t *head,
	       uint32_t len, uint32_t len_max);

#endif
