/* SPDX-License-Identifier: MIT */
/*
 * What earlier daemons left in the runtime directory for devices that went while no daemon ran. One pass through the
 * directory; files of devices that xenstore has stay. Control thread only.
 */
#ifndef PVB_LEFTOVER_H
#define PVB_LEFTOVER_H

#include <stdint.h>

#include "control/store.h"

struct leftover {
	/*
	 * Of the name, for sscanf: domid, devid, and "%n" at the end. It also matches the name with STATEFILE_NEW
	 * added.
	 */
	const char *pattern;
	const char
		*backends[3]; /* the folders under backend/ that may have the device, then NULL */
	/* Removes what belongs to the file, before the file itself. May be NULL. */
	void (*remove)(const char *dir, uint32_t domid, uint32_t devid);
};

/* A list of a module ends with a NULL pattern. The list of lists ends with NULL. */
void leftover_sweep(struct store *store, const char *dir, const struct leftover *const *lists);

#endif
