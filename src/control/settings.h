/* SPDX-License-Identifier: MIT */
/*
 * What the sections of the configuration say of single guests and devices: [guest web], [disk web/xvda],
 * [vif web/0]. A guest has the name that the toolstack gave it, so that this holds when it reboots.
 */
#ifndef PVB_SETTINGS_H
#define PVB_SETTINGS_H

#include "control/keys.h"

struct setting;

/* In the order of the file. Zero-initialised: none. May be copied, and then belongs to the copy. */
struct settings {
	struct setting *first, *last;
};

/* Whom a device is asked for. */
struct settings_of {
	const char *guest;
	const char *device[2]; /* the names that it goes by, in capitals or not */
};

/*
 * Add one: a value of `key`, that the key's table takes. `device` NULL: for all of that guest's. Texts are copied, the
 * table is borrowed. 0 or -ENOMEM.
 */
int settings_add(struct settings *settings, const char *guest, const char *device,
		 const struct key *table, const struct key *key, const char *value);

/* Set in `values`, a struct that `table` is for, what is said of the guest, and then of the device. */
void settings_apply(const struct settings *settings, const struct settings_of *of,
		    const struct key *table, void *values);

void settings_free(struct settings *settings); /* idempotent */

#endif
