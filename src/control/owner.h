/* SPDX-License-Identifier: MIT */
/*
 * Which pvbackd a device belongs to: the key `pvbackd-owner` of its backend directory is the runtime directory of
 * the one that serves it, where its journals lie, and whose lock it holds as long as it lives.
 */
#ifndef PVB_OWNER_H
#define PVB_OWNER_H

#include <stdbool.h>

#include "control/store.h"
#include "control/xenbus.h"

enum owner {
	OWNER_US,
	OWNER_NOBODY,  /* as far as the key goes */
	OWNER_ALIVE,   /* another pvbackd, which runs */
	OWNER_STOPPED, /* another one, which does not */
};

/* Whether a pvbackd runs with that runtime directory. Only looks, and so disturbs none that starts. */
bool owner_lives(const char *runtime_dir);

/*
 * Whose the device is; `other` gets the directory of another one. 0 or -errno. `runtime_dir` is our own, absolute
 * and without symbolic links.
 */
int owner_read(struct store *store, xs_transaction_t t, const char *be_path,
	       const char *runtime_dir, enum owner *ret, char other[STORE_VALUE_MAX]);
int owner_write(struct store *store, xs_transaction_t t, const char *be_path,
		const char *runtime_dir);

/*
 * Whether we may take it. `own` is the backend's state; `known`: we have files of an earlier life about it, `offered`:
 * somebody who works as we do has written what it offers. Where rings may be in use only who has their
 * journal may. Pure.
 */
bool owner_may_take(enum owner owner, enum xenbus_state own, bool known, bool offered);

#endif
