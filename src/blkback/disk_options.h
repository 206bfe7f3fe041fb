/* SPDX-License-Identifier: MIT */
/*
 * What an admin may choose for a disk: once for all in pvbackd.conf, and for one disk as keys of
 * the same names in its backend directory.
 */
#ifndef PVB_DISK_OPTIONS_H
#define PVB_DISK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define PERSISTENT_GRANTS_MAX 65536u

struct disk_options {
	bool persistent_grants;         /* offered */
	uint32_t max_persistent_grants; /* kept mapped for a ring */
};

extern const struct disk_options disk_options_default;

/* Set one by its name. 0; -ENOENT when there is none of that name; -EINVAL with nothing changed. */
int disk_options_set(struct disk_options *options, const char *name, const char *value);

/* The names, from 0 on; NULL after the last. */
const char *disk_options_name(unsigned int index);

#endif
