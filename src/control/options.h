/* SPDX-License-Identifier: MIT */
/* argv and the configuration file -> struct options. */
#ifndef PVB_OPTIONS_H
#define PVB_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkback/disk_options.h"
#include "control/guests.h"
#include "control/settings.h"
#include "core/log.h"
#include "core/trace.h"
#include "netback/vif_options.h"

#define OPTIONS_MAX_WORKERS 64u

/* In a range that systemd's list of uids leaves to nobody (uid 1879048192 to 2147483647). */
#define GUEST_UID_BASE 1900000000u
/* What is left of 32 bits, when a domid is added. */
#define GUEST_UID_MAX (UINT32_MAX - 0x7fff)

/* Bits of `serve`: the kinds of devices, in the order of main.c's table. */
enum { SERVE_VBD = 1, SERVE_VBD3 = 2, SERVE_VIF = 4, SERVE_ALL = 7 };

struct config_faults;

struct options {
	uint32_t nr_workers; /* 0: one per CPU, at most four */
	enum log_level log_level;
	struct trace_filter trace;
	unsigned int serve; /* which kinds of devices; the others are left to somebody else */
	enum isolation isolation;
	uint32_t guest_uid; /* of guests' processes: this + domid; 0: our own */
	bool confine;       /* these */
	char runtime_dir[PATH_MAX];
	const char *config;       /* borrowed: the file; what is in CONFIG.d counts, too */
	struct disk_options disk; /* for disks and NICs that say nothing else */
	struct vif_options vif;
	struct settings settings; /* of single guests and devices; owned */
};

/* Every table, with the struct in struct options that it is for. */
enum options_part_nr { OPTIONS_DAEMON, OPTIONS_DISK, OPTIONS_VIF, OPTIONS_NR_PARTS };
#define OPTIONS_ALL_PARTS ((1u << OPTIONS_NR_PARTS) - 1)

struct options_part {
	const struct key *keys;
	size_t at;
};

extern const struct options_part options_parts[OPTIONS_NR_PARTS];

enum options_result {
	OPTIONS_RUN,   /* go on */
	OPTIONS_DONE,  /* --help, --version or --check-config was answered on stdout */
	OPTIONS_WRONG, /* the log has said what is wrong */
};

/*
 * Defaults, then the configuration (config_file.h), then argv, each over the one before. What is wrong in the configuration
 * is said and left out, so that the guests have their devices; it is OPTIONS_WRONG when that is not safe, or with
 * --check-config. What is wrong in argv always is.
 */
enum options_result options_parse(int argc, char *const *argv, struct options *ret_options);

/*
 * Read the configuration again, under the same argv, and take over what needs no restart; the rest is named in the log.
 * -EINVAL, with nothing changed, when anything in it is wrong: `ret_faults` (config_file.h), the caller's, has what.
 */
int options_reload(int argc, char *const *argv, struct options *options,
		   struct config_faults *ret_faults);
/* The same, and nothing is taken over. */
int options_check(int argc, char *const *argv, struct config_faults *ret_faults);

void options_free(struct options *options); /* idempotent */

#endif
