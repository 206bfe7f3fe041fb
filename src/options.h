/* SPDX-License-Identifier: MIT */
/* argv and the configuration file -> struct options. */
#ifndef PVB_OPTIONS_H
#define PVB_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkback/disk_options.h"
#include "log.h"

#define OPTIONS_MAX_WORKERS   64u
#define OPTIONS_MAX_TIMEOUT_S 86400u

struct options {
	unsigned int nr_workers; /* 0: one per CPU, at most four */
	unsigned int nbd_timeout_s;
	enum log_level log_level;
	unsigned int antispoof; /* enum filter_want */
	bool trace;
	char trace_filter[128];
	uint32_t rx_drain_ms; /* frames that a guest has not taken for so long are given up */
	uint32_t rx_stall_ms; /* after so long its carrier goes off; 0: never */
	char vif_quirks[128]; /* empty: none are configured */
	char runtime_dir[PATH_MAX];
	char pcap_dir[PATH_MAX]; /* "": runtime_dir */
	char config_file[PATH_MAX];
	struct disk_options disk;
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

/* Exposed for its test: apply one line of the file. 0, or -EINVAL with nothing changed. */
int options_set(struct options *options, const char *name, const char *value);

#endif
