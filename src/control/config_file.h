/* SPDX-License-Identifier: MIT */
/* Reads pvbackd.conf and the files in pvbackd.conf.d into struct options. */
#ifndef PVB_CONFIG_FILE_H
#define PVB_CONFIG_FILE_H

#include <stdbool.h>

#include "control/options.h"

/* Texts are owned. */
struct config_fault {
	char *file;
	int line;          /* 0: it is about the whole file */
	char *key, *value; /* NULL: it is not about a key */
	char *text;        /* for the admin: what is wrong, and what is allowed */
};

/* All faults of a configuration. Zero-initialised: none. */
struct config_faults {
	unsigned int nr; /* the number of all; the list may have fewer, for lack of memory */
	bool vital;      /* one of them makes it unsafe to continue */
	struct config_fault *list; /* owned */
	unsigned int nr_listed;
};

/* Write each fault into the log, one line each. */
void config_faults_log(const struct config_faults *faults);
/* Show `what` and the first fault in `systemctl status`. Without faults: nothing. */
void config_faults_show(const struct config_faults *faults, const char *what);
void config_faults_free(struct config_faults *faults); /* idempotent */

/*
 * Read FILE, and then the files in FILE.d/ whose names end in ".conf", in the order of their names. A later line wins.
 * FILE may be missing unless it `must_exist`. All must be plain files. A wrong line is left out, or its key gets the value
 * `if_wrong`. The other lines are set in `options`.
 */
void config_read(struct options *options, const char *file, bool must_exist,
		 struct config_faults *ret);

#endif
