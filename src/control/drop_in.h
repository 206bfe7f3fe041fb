/* SPDX-License-Identifier: MIT */
/*
 * The part of the configuration that pvbackctl writes: CONFIG.d/90-pvbackctl.conf. An admin may edit it, too: other lines
 * stay as they are.
 */
#ifndef PVB_DROP_IN_H
#define PVB_DROP_IN_H

#include <stdbool.h>
#include <stddef.h>

/* "CONFIG.d/90-pvbackctl.conf" */
void drop_in_path(const char *config, char *buf, size_t size);

/* Whether KEY is set in [SECTION] of the file. */
bool drop_in_has(const char *path, const char *section, const char *key);

/*
 * Set KEY in [SECTION] of the file, or remove it (VALUE is NULL). A heading is removed with its last line. The file is
 * replaced as a whole. 0; -ENOENT when there was nothing to remove; or -errno with the file unchanged.
 */
int drop_in_set(const char *path, const char *section, const char *key, const char *value);

#endif
