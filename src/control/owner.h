/* SPDX-License-Identifier: MIT */
/*
 * Which pvbackd a device belongs to. The key `pvbackd-owner` in its backend directory names the runtime directory of the
 * pvbackd that serves it. Its journals lie there, and the daemon holds a lock there as long as it runs.
 */
#ifndef PVB_OWNER_H
#define PVB_OWNER_H

#include <stdbool.h>

#include "control/store.h"
#include "control/xenbus.h"

enum owner {
	OWNER_US,
	OWNER_NOBODY,  /* there is no key */
	OWNER_ALIVE,   /* another pvbackd, which runs */
	OWNER_STOPPED, /* another pvbackd, which does not run */
};

/* Whether a pvbackd runs with that runtime directory. Takes no lock, so it does not disturb one that starts. */
bool owner_lives(const char *runtime_dir);

/*
 * Find the device's owner; `other` gets that one's directory if it is not us. 0 or -errno. `runtime_dir` is our own, absolute
 * and without symbolic links.
 */
int owner_read(struct store *store, xs_transaction_t t, const char *be_path,
	       const char *runtime_dir, enum owner *ret, char other[STORE_VALUE_MAX]);
int owner_write(struct store *store, xs_transaction_t t, const char *be_path,
		const char *runtime_dir);

/*
 * Whether we may take the device. `own` is the backend's state. `known`: an earlier daemon of this directory left files
 * about it. `offered`: the keys that a pvbackd offers are there. While its rings may be in use, only the daemon that
 * has their journal may take it. Pure.
 */
bool owner_may_take(enum owner owner, enum xenbus_state own, bool known, bool offered);

#endif
