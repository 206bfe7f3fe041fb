/* SPDX-License-Identifier: MIT */
/*
 * The multicast addresses that a guest wants to get (netif.h, request-multicast-control).
 *
 * All queues of a vif, on whatever threads, look into one list and may change it, without a lock:
 * an entry is one word. It is in the vif's kept file, so it has no pointers.
 */
#ifndef PVB_NETBACK_MCAST_H
#define PVB_NETBACK_MCAST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MCAST_MAX 64u /* as xen-netback has it */

struct mcast {
	_Atomic uint64_t addresses[MCAST_MAX]; /* 0: free; no group address is */
};

/*
 * Add: 0, also when it is there already; -EINVAL when it is no group address; -ENOSPC. Two
 * threads that add the same at once may take two entries for it.
 */
int mcast_add(struct mcast *mcast, const uint8_t address[6]);
/* Remove: 0, also when it was not there. */
int mcast_remove(struct mcast *mcast, const uint8_t address[6]);
bool mcast_has(const struct mcast *mcast, const uint8_t address[6]);

/* A group's address, and not everybody's: the kind that a list decides on. */
bool mcast_is_group(const uint8_t address[6]);

#endif
