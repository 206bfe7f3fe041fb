/* SPDX-License-Identifier: MIT */
/*
 * A token bucket that several threads may draw from without a lock: one per vif, however
 * many queues it has. It keeps one number, the time at which all that was sent would
 * have been paid for; a packet may go while that lies no more than a burst ahead.
 */
#ifndef PVB_NETBACK_RATE_H
#define PVB_NETBACK_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The least burst in bytes: one packet of the largest size must always fit (as in netback). */
#define RATE_MIN_BURST (128u * 1024u)

struct rate {
	_Atomic uint64_t limit; /* bytes << 32 | usecs; 0: no limit */
	_Atomic uint64_t paid_ns;
};

/* Set "so many bytes in so many microseconds"; a zero in either means no limit. */
void rate_set(struct rate *rate, uint32_t bytes, uint32_t usecs);

/*
 * Parse the backend's `rate` key, "BYTES,USECS". 0 with both set, or -EINVAL. More bytes than
 * fit in 32 bits are no limit that a NIC could reach: both become 0.
 */
int rate_parse(const char *text, uint32_t *ret_bytes, uint32_t *ret_usecs);

/*
 * May `bytes` go now? Returns 0 and takes them, or the nanoseconds to wait until they may (nothing
 * is taken).
 */
uint64_t rate_take(struct rate *rate, uint32_t bytes, uint64_t now_ns);

#endif
