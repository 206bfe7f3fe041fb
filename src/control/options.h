/* SPDX-License-Identifier: MIT */
/* argv and the configuration file -> struct options. */
#ifndef PVB_OPTIONS_H
#define PVB_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkback/disk_options.h"
#include "control/guests.h"
#include "core/log.h"
#include "netback/vif_options.h"

#define OPTIONS_MAX_WORKERS 64u

struct trace_choice {
	bool on;
	char filter[128];
};

/* Bits of `serve`: the kinds of devices, in the order of main.c's table. */
enum { SERVE_VBD = 1, SERVE_VBD3 = 2, SERVE_VIF = 4, SERVE_ALL = 7 };

struct options {
	uint32_t nr_workers; /* 0: one per CPU, at most four */
	enum log_level log_level;
	struct trace_choice trace;
	unsigned int serve; /* which kinds of devices; the others are left to somebody else */
	enum isolation isolation;
	char runtime_dir[PATH_MAX];
	struct disk_options disk; /* for disks and NICs that say nothing else */
	struct vif_options vif;
};

enum options_result {
	OPTIONS_RUN,   /* go on */
	OPTIONS_DONE,  /* --help or --version was answered on stdout */
	OPTIONS_WRONG, /* the log has said what is wrong */
};

/*
 * Defaults, then the configuration file, then argv, each over the one before. The default
 * file may be missing; one named by --config may not, and neither may be anything but a plain file.
 */
enum options_result options_parse(int argc, char *const *argv, struct options *ret_options);

/* Exposed for its test: apply one line of the file. 0, or -errno with nothing changed. */
int options_set(struct options *options, const char *name, const char *value);

#endif
