/* SPDX-License-Identifier: MIT */
/*
 * What some frontends need although their keys do not say so. Quirks are set by name, for a vif (its `quirks` key) or
 * for all (the configuration). Pure.
 */
#ifndef PVB_NETBACK_QUIRKS_H
#define PVB_NETBACK_QUIRKS_H

#include <stddef.h>

enum quirk {
	QUIRK_NO_CSUM = 1 << 0,     /* every frame has its checksum, in both directions */
	QUIRK_NO_GSO = 1 << 1,      /* large frames are cut for the guest */
	QUIRK_SINGLE_SLOT = 1 << 2, /* no frame for the guest takes more than a page */
	QUIRK_POLL = 1 << 3,        /* it sends no event when it posts receive slots */
};

#define QUIRKS_NAMES "no-csum, no-gso, single-slot, poll, freebsd, ipxe, legacy, none"

/*
 * Parse names separated by commas: the four above, the families "freebsd" (no-csum), "ipxe" (no-csum, no-gso,
 * single-slot) and "legacy" (all), or "none". 0 with the bits, or -EINVAL.
 */
int quirks_parse(const char *text, unsigned int *ret);
/* Write such a list of names. */
void quirks_print(unsigned int bits, char *buf, size_t size);

#endif
