/* SPDX-License-Identifier: MIT */
/* pvbackd.conf, and what packages and admins put beside it -> struct options. */
#ifndef PVB_CONFIG_FILE_H
#define PVB_CONFIG_FILE_H

#include <stdbool.h>

#include "control/options.h"

/* Texts are owned. */
struct config_fault {
	char *file;
	int line;          /* 0: it is about all of it */
	char *key, *value; /* NULL: it is about none */
	char *text;        /* for the admin: what is wrong, and what is allowed */
};

/* What is wrong with it. Zero-initialised: nothing. */
struct config_faults {
	unsigned int nr;           /* of which those that there was memory for are in the list */
	bool vital;                /* one of them leaves nothing that would be safe to go on with */
	struct config_fault *list; /* owned */
	unsigned int nr_listed;
};

/* Each fault into the log, in a line. */
void config_faults_log(const struct config_faults *faults);
void config_faults_free(struct config_faults *faults); /* idempotent */

/*
 * Read FILE, and then those of FILE.d/ that end in ".conf", by their names; what comes later wins. FILE may be missing
 * unless it `must_exist`; none may be anything but a plain file. What is wrong is left out, or counts as its key's
 * `if_wrong`; the rest is set in `options`.
 */
void config_read(struct options *options, const char *file, bool must_exist,
		 struct config_faults *ret);

#endif
