/* SPDX-License-Identifier: MIT */
/* Cut a large TCP frame into frames of ordinary size, for a guest that does not accept the large one. Pure. */
#ifndef PVB_NETBACK_SEGMENT_H
#define PVB_NETBACK_SEGMENT_H

#include <stdint.h>

#include "netback/frame.h"

struct segment_plan {
	struct frame frame;   /* parsed with gso = true; TCP over IPv4 or IPv6 */
	uint32_t len;         /* of the large frame */
	uint32_t payload_max; /* payload bytes of each segment but the last; above 0 */
	uint32_t nr_segments; /* at least 1 */
};

/* Prepare. 0, or -EINVAL when it is not TCP or has no segment size. */
int segment_plan(const struct frame *frame, uint32_t len, uint32_t payload_max,
		 struct segment_plan *ret);

/* The length of segment `index` (below nr_segments), with its headers. */
uint32_t segment_len(const struct segment_plan *plan, uint32_t index);

/* Write segment `index`, complete with all checksums, into `out` of segment_len() bytes. */
void segment_build(const struct segment_plan *plan, const uint8_t *large, uint32_t index,
		   uint8_t *out);

#endif
