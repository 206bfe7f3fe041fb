/* SPDX-License-Identifier: MIT */
/*
 * A token bucket that several threads may use without a lock. A device has one for all its queues. It keeps one number:
 * the time at which all that was sent is paid for. More may be sent while that time is no more than a burst ahead. The
 * caller counts bytes, packets or requests.
 */
#ifndef PVB_RATE_H
#define PVB_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The least burst of a NIC's bytes: one packet of the largest size must always fit (as in netback). */
#define RATE_MIN_BURST_BYTES (128u * 1024u)

/* Zero-initialised, but for the constants: no limit. */
struct rate {
	_Atomic uint64_t limit; /* amount << 32 | usecs; 0: no limit */
	_Atomic uint64_t paid_ns;
	uint32_t min_burst; /* the burst is the limit's amount, or this if it is more; constant */
	uint32_t max_debt;  /* what one rate_charge() may take beyond the burst; constant */
};

/* Set "so much in so many microseconds", at any time; a zero in either means no limit. */
void rate_set(struct rate *rate, uint32_t amount, uint32_t usecs);

/*
 * Parse "AMOUNT,USECS", as xl writes a NIC's `rate` key. 0 with both set, or -EINVAL. What does not fit in
 * 32 bits becomes the same limit in smaller numbers.
 */
int rate_parse(const char *text, uint32_t *ret_amount, uint32_t *ret_usecs);

/*
 * May `amount` go now? Returns 0 and takes it, or the nanoseconds to wait until it may (nothing is
 * taken).
 */
uint64_t rate_take(struct rate *rate, uint32_t amount, uint64_t now_ns);

/* The same without taking anything. An amount of 0 may go unless the bucket is in debt. */
uint64_t rate_wait(struct rate *rate, uint32_t amount, uint64_t now_ns);

/* Count what was sent already; the bucket may go into debt, by max_debt at most. */
void rate_charge(struct rate *rate, uint32_t amount, uint64_t now_ns);

/* Bytes and packets in one direction of a NIC. */
struct rate_pair {
	struct rate bytes;
	struct rate packets;
};

static inline bool rate_pair_is_set(const struct rate_pair *pair)
{
	return atomic_load_explicit(&pair->bytes.limit, memory_order_relaxed) ||
	       atomic_load_explicit(&pair->packets.limit, memory_order_relaxed);
}

/* As rate_take(), for packets that are sent together, with so many bytes in all. All may go when the first of them may. */
uint64_t rate_pair_take(struct rate_pair *pair, uint32_t packets, uint32_t bytes, uint64_t now_ns);

/*
 * For packets whose size is known only after they were fetched: whether the next one may be fetched, and to count it
 * afterwards.
 */
uint64_t rate_pair_wait(struct rate_pair *pair, uint64_t now_ns);
void rate_pair_charge(struct rate_pair *pair, uint32_t packets, uint32_t bytes, uint64_t now_ns);

#endif
