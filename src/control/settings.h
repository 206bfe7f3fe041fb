/* SPDX-License-Identifier: MIT */
/*
 * What the sections of the configuration set for single guests and devices: [guest web], [disk web/xvda], [vif web/0].
 * A guest is named as by the toolstack, so that the section still holds after a reboot of the guest.
 */
#ifndef PVB_SETTINGS_H
#define PVB_SETTINGS_H

#include "control/keys.h"

struct setting;

/* In the order of the file. Zero-initialised: none. It may be copied; the copy then owns it. */
struct settings {
	struct setting *first, *last;
};

/* The device whose settings are wanted. */
struct settings_of {
	const char *guest;
	const char *device[2]; /* the device's names, in upper or lower case */
};

/*
 * Add a setting: a value of `key` that is valid. `device` NULL: for all devices of the guest. Texts are copied, the
 * table is borrowed. 0 or -ENOMEM.
 */
int settings_add(struct settings *settings, const char *guest, const char *device,
		 const struct key *table, const struct key *key, const char *value);

/* Set in `values`, a struct that `table` describes, what the sections say of the guest, and then of the device. */
void settings_apply(const struct settings *settings, const struct settings_of *of,
		    const struct key *table, void *values);

void settings_free(struct settings *settings); /* idempotent */

#endif
