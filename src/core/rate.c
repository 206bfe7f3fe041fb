/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/rate.h"

void rate_set(struct rate *rate, uint32_t amount, uint32_t usecs)
{
	uint64_t limit = amount && usecs ? (uint64_t)amount << 32 | usecs : 0;

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

/* The same limit in numbers of 32 bits. Neither becomes 0, which would mean no limit. */
static void scale(uint64_t *amount, uint64_t *usecs)
{
	if (*amount == 0 || *usecs == 0)
		*amount = *usecs = 0;
	while (*amount > UINT32_MAX || *usecs > UINT32_MAX) {
		*amount = *amount > 1 ? *amount / 2 : 1;
		*usecs = *usecs > 1 ? *usecs / 2 : 1;
	}
}

int rate_parse(const char *text, uint32_t *ret_amount, uint32_t *ret_usecs)
{
	uint64_t amount, usecs;
	const char *at;

	if (parse_number(text, ',', &amount, &at) || parse_number(at + 1, '\0', &usecs, &at))
		return -EINVAL;
	scale(&amount, &usecs);
	*ret_amount = (uint32_t)amount;
	*ret_usecs = (uint32_t)usecs;
	return 0;
}

/* What `amount` costs in nanoseconds; saturates far beyond any sensible wait. */
static uint64_t cost_ns(uint64_t limit, uint64_t amount)
{
	uint64_t usecs = limit & UINT32_MAX;
	unsigned __int128 cost = (unsigned __int128)amount * usecs * 1000u / (limit >> 32);

	return cost > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)cost;
}

static uint64_t burst_ns(const struct rate *rate, uint64_t limit)
{
	uint64_t amount = limit >> 32;

	return cost_ns(limit, amount > rate->min_burst ? amount : rate->min_burst);
}

static uint64_t get_limit(const struct rate *rate)
{
	return atomic_load_explicit(&rate->limit, memory_order_relaxed);
}

/*
 * The time until which all is paid, at least now. Debts from an earlier, slower limit are dropped. The debt of one charge
 * beyond the burst is kept.
 */
static uint64_t load_paid(struct rate *rate, uint64_t limit, uint64_t now_ns)
{
	uint64_t most = now_ns + burst_ns(rate, limit) + cost_ns(limit, rate->max_debt);
	uint64_t paid = atomic_load(&rate->paid_ns);

	while (paid > most && !atomic_compare_exchange_weak(&rate->paid_ns, &paid, most))
		;
	return paid > most ? most : paid;
}

static uint64_t pay(uint64_t paid, uint64_t now_ns, uint64_t cost)
{
	return (paid < now_ns ? now_ns : paid) + cost;
}

/* How long to wait when all is paid `after` from now. */
static uint64_t excess_ns(const struct rate *rate, uint64_t limit, uint64_t after, uint64_t now_ns)
{
	uint64_t burst = burst_ns(rate, limit);

	return after - now_ns > burst ? after - now_ns - burst : 0;
}

uint64_t rate_wait(struct rate *rate, uint32_t amount, uint64_t now_ns)
{
	uint64_t limit = get_limit(rate), after;

	if (!limit)
		return 0;
	after = pay(load_paid(rate, limit, now_ns), now_ns, cost_ns(limit, amount));
	return excess_ns(rate, limit, after, now_ns);
}

uint64_t rate_take(struct rate *rate, uint32_t amount, uint64_t now_ns)
{
	uint64_t limit = get_limit(rate), paid, after, wait;

	if (!limit)
		return 0;
	paid = load_paid(rate, limit, now_ns);
	do {
		after = pay(paid, now_ns, cost_ns(limit, amount));
		wait = excess_ns(rate, limit, after, now_ns);
		if (wait)
			return wait;
	} while (!atomic_compare_exchange_weak(&rate->paid_ns, &paid, after));
	return 0;
}

void rate_charge(struct rate *rate, uint32_t amount, uint64_t now_ns)
{
	uint64_t limit = get_limit(rate), paid;

	if (!limit)
		return;
	paid = load_paid(rate, limit, now_ns);
	while (!atomic_compare_exchange_weak(&rate->paid_ns, &paid,
					     pay(paid, now_ns, cost_ns(limit, amount))))
		;
}

uint64_t rate_pair_take(struct rate_pair *pair, uint32_t packets, uint32_t bytes, uint64_t now_ns)
{
	uint64_t wait = rate_wait(&pair->packets, 1, now_ns);

	if (!wait)
		wait = rate_take(&pair->bytes, bytes, now_ns);
	if (!wait)
		rate_charge(&pair->packets, packets, now_ns);
	return wait;
}

uint64_t rate_pair_wait(struct rate_pair *pair, uint64_t now_ns)
{
	uint64_t packets = rate_wait(&pair->packets, 1, now_ns);
	uint64_t bytes = rate_wait(&pair->bytes, 0, now_ns);

	return packets > bytes ? packets : bytes;
}

void rate_pair_charge(struct rate_pair *pair, uint32_t packets, uint32_t bytes, uint64_t now_ns)
{
	rate_charge(&pair->packets, packets, now_ns);
	rate_charge(&pair->bytes, bytes, now_ns);
}
