/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "netback/mcast.h"

static uint64_t to_word(const uint8_t address[6])
{
	uint64_t word = 0;

	memcpy(&word, address, 6);
	return word;
}

bool mcast_has(const struct mcast *mcast, const uint8_t address[6])
{
	uint64_t word = to_word(address);

	for (unsigned int i = 0; i < MCAST_MAX; i++)
		if (atomic_load_explicit(&mcast->addresses[i], memory_order_relaxed) == word)
			return true;
	return false;
}

int mcast_add(struct mcast *mcast, const uint8_t address[6])
{
	if (!(address[0] & 1))
		return -EINVAL;
	if (mcast_has(mcast, address))
		return 0;
	for (unsigned int i = 0; i < MCAST_MAX; i++) {
		uint64_t free_entry = 0;

		if (atomic_compare_exchange_strong(&mcast->addresses[i], &free_entry,
						   to_word(address)))
			return 0;
	}
	return -ENOSPC;
}

int mcast_remove(struct mcast *mcast, const uint8_t address[6])
{
	if (!(address[0] & 1))
		return -EINVAL;
	for (unsigned int i = 0; i < MCAST_MAX; i++) {
		uint64_t word = to_word(address);

		atomic_compare_exchange_strong(&mcast->addresses[i], &word, 0);
	}
	return 0;
}

bool mcast_is_group(const uint8_t address[6])
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return (address[0] & 1) && memcmp(address, everybody, 6) != 0;
}
