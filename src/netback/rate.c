/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netback/rate.h"

void rate_set(struct rate *rate, uint32_t bytes, uint32_t usecs)
{
	uint64_t limit = bytes && usecs ? (uint64_t)bytes << 32 | usecs : 0;

	atomic_store(&rate->limit, limit);
}

static int parse_number(const char *text, char end, uint64_t *ret, const char **ret_end)
{
	char *stop;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &stop, 10);
	if (errno || *stop != end)
		return -EINVAL;
	*ret_end = stop;
	return 0;
}

int rate_parse(const char *text, uint32_t *ret_bytes, uint32_t *ret_usecs)
{
	uint64_t bytes, usecs;
	const char *at;

	if (parse_number(text, ',', &bytes, &at) || parse_number(at + 1, '\0', &usecs, &at))
		return -EINVAL;
	if (bytes > UINT32_MAX || usecs > UINT32_MAX)
		bytes = usecs = 0;
	*ret_bytes = (uint32_t)bytes;
	*ret_usecs = (uint32_t)usecs;
	return 0;
}

/* What `bytes` cost in nanoseconds; saturates far beyond any sensible wait. */
static uint64_t cost_ns(uint64_t limit, uint64_t bytes)
{
	uint64_t usecs = limit & UINT32_MAX;
	unsigned __int128 cost = (unsigned __int128)bytes * usecs * 1000u / (limit >> 32);

	return cost > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)cost;
}

/* From when on new bytes are paid: debts of a slower limit, set earlier, are forgiven. */
static uint64_t start_ns(uint64_t paid, uint64_t now_ns, uint64_t burst_ns)
{
	if (paid < now_ns)
		return now_ns;
	return paid - now_ns > burst_ns ? now_ns + burst_ns : paid;
}

uint64_t rate_take(struct rate *rate, uint32_t bytes, uint64_t now_ns)
{
	uint64_t limit = atomic_load_explicit(&rate->limit, memory_order_relaxed);
	uint64_t paid, burst_ns, after;

	if (!limit)
		return 0;
	burst_ns = cost_ns(limit, limit >> 32 > RATE_MIN_BURST ? limit >> 32 : RATE_MIN_BURST);
	paid = atomic_load(&rate->paid_ns);
	do {
		after = start_ns(paid, now_ns, burst_ns) + cost_ns(limit, bytes);
		if (after - now_ns > burst_ns)
			return after - now_ns - burst_ns;
	} while (!atomic_compare_exchange_weak(&rate->paid_ns, &paid, after));
	return 0;
}
