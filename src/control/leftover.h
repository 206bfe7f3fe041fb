/* SPDX-License-Identifier: MIT */
/*
 * What an earlier life left in the runtime directory for devices that went while nobody looked. One
 * pass through the directory; what belongs to a device that xenstore has stays. Control thread only.
 */
#ifndef PVB_LEFTOVER_H
#define PVB_LEFTOVER_H

#include <stdint.h>

#include "control/store.h"

struct leftover {
	/* Of the name, for sscanf: domid, devid, and "%n" at the end. Covers STATEFILE_NEW behind it as well. */
	const char *pattern;
	const char
		*backends[3]; /* the folders under backend/ that may have the device, then NULL */
	/* What goes with the file, before it does. May be NULL. */
	void (*remove)(const char *dir, uint32_t domid, uint32_t devid);
};

/* Lists of the modules end with a NULL pattern; the list of them with NULL. */
void leftover_sweep(struct store *store, const char *dir, const struct leftover *const *lists);

#endif
