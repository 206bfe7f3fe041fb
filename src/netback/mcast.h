/* SPDX-License-Identifier: MIT */
/*
 * The multicast addresses that a guest wants to receive (netif.h, request-multicast-control).
 *
 * All queues of a vif, on their threads, read one list and may change it without a lock: an entry is one word. The list
 * is in the vif's kept file, so it has no pointers.
 */
#ifndef PVB_NETBACK_MCAST_H
#define PVB_NETBACK_MCAST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MCAST_MAX 64u /* as in xen-netback */

struct mcast {
	_Atomic uint64_t addresses[MCAST_MAX]; /* 0: free; 0 is no multicast address */
};

/*
 * Add an address. 0, also when it is in the list already; -EINVAL when it is not a multicast address; -ENOSPC. If two
 * threads add one address at the same time, it may take two entries.
 */
int mcast_add(struct mcast *mcast, const uint8_t address[6]);
/* Remove an address. 0, also when it was not in the list. */
int mcast_remove(struct mcast *mcast, const uint8_t address[6]);
bool mcast_has(const struct mcast *mcast, const uint8_t address[6]);

/* Whether a list decides on the address: it is multicast, but not broadcast. */
bool mcast_is_group(const uint8_t address[6]);

#endif
