/* SPDX-License-Identifier: MIT */
/* Reads argv and the configuration into struct options. */
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

/* In a range that systemd's list of uids leaves unused (1879048192 to 2147483647). */
#define GUEST_UID_BASE 1900000000u
/* The sum with a domid must fit into 32 bits. */
#define GUEST_UID_MAX (UINT32_MAX - 0x7fff)

/* Bits of `serve`: the kinds of devices, in the order of main.c's table. */
enum { SERVE_VBD = 1, SERVE_VBD3 = 2, SERVE_VIF = 4, SERVE_ALL = 7 };

struct config_faults;

struct options {
	uint32_t nr_workers; /* 0: one per CPU, at most four */
	enum log_level log_level;
	struct trace_filter trace;
	unsigned int serve; /* kinds of devices; other programs have the rest */
	enum isolation isolation;
	uint32_t guest_uid; /* of guests' processes: this + domid; 0: our own */
	bool confine;       /* these processes give up their rights */
	char runtime_dir[PATH_MAX];
	const char *config;       /* borrowed: the file; CONFIG.d is read, too */
	struct disk_options disk; /* for disks and NICs without a setting of their own */
	struct vif_options vif;
	struct settings settings; /* for single guests and devices; owned */
};

/* All tables, each with the offset of its struct in struct options. */
enum options_part_nr { OPTIONS_DAEMON, OPTIONS_DISK, OPTIONS_VIF, OPTIONS_NR_PARTS };
#define OPTIONS_ALL_PARTS ((1u << OPTIONS_NR_PARTS) - 1)

struct options_part {
	const struct key *keys;
	size_t at;
};

extern const struct options_part options_parts[OPTIONS_NR_PARTS];

enum options_result {
	OPTIONS_RUN,   /* continue */
	OPTIONS_DONE,  /* --help, --version or --check-config was answered on stdout */
	OPTIONS_WRONG, /* the log has said what is wrong */
};

/*
 * Take the defaults, then the configuration (config_file.h), then argv; the later one wins. A wrong line in the configuration
 * is reported and left out, so that guests have their devices. OPTIONS_WRONG when that is not safe, with --check-config, or
 * when argv is wrong.
 */
enum options_result options_parse(int argc, char *const *argv, struct options *ret_options);

/*
 * Read the configuration again, with the same argv, and take over what needs no restart. The log names the rest. -EINVAL,
 * with nothing changed, when anything in it is wrong; `ret_faults` (config_file.h), the caller's, says what.
 */
int options_reload(int argc, char *const *argv, struct options *options,
		   struct config_faults *ret_faults);
/* Check in the same way, and take nothing over. */
int options_check(int argc, char *const *argv, struct config_faults *ret_faults);

void options_free(struct options *options); /* idempotent */

#endif
