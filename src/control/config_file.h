/* SPDX-License-Identifier: MIT */
/* pvbackd.conf, and what packages and admins put beside it -> struct options. */
#ifndef PVB_CONFIG_FILE_H
#define PVB_CONFIG_FILE_H

#include <stdbool.h>

#include "control/options.h"

/* What is wrong with it. The log has each fault in a line: file, line, key, value, what is allowed. */
struct config_faults {
	unsigned int nr;
	bool vital; /* one of them leaves nothing that would be safe to go on with */
};

/*
 * Read FILE, and then those of FILE.d/ that end in ".conf", by their names; what comes later wins. FILE may be missing
 * unless it `must_exist`; none may be anything but a plain file. What is wrong is left out, or counts as its key's
 * `if_wrong`; the rest is set in `options`.
 */
struct config_faults config_read(struct options *options, const char *file, bool must_exist);

#endif
