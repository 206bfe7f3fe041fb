/* SPDX-License-Identifier: MIT */
/*
 * What an admin may choose for a disk: once for all in pvbackd.conf, and for one disk as keys of
 * the same names in its backend directory.
 */
#ifndef PVB_DISK_OPTIONS_H
#define PVB_DISK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "control/keys.h"

#define PERSISTENT_GRANTS_MAX 65536u

/* What becomes of a request that the medium fails. */
enum disk_errors {
	DISK_ERRORS_REPORT, /* the guest gets the error */
	DISK_ERRORS_STALL, /* it is held until an admin says go, when there is no space or no medium */
};

enum disk_cache {
	DISK_CACHE_NONE,         /* past the page cache where that can be */
	DISK_CACHE_WRITEBACK,    /* through it; a flush writes it out */
	DISK_CACHE_WRITETHROUGH, /* through it; every write is on the medium before it is answered */
};

enum disk_persistent {
	DISK_PERSISTENT_AUTO, /* where they are cheaper than grant copy */
	DISK_PERSISTENT_YES,
	DISK_PERSISTENT_NO,
};

#define POLL_US_MAX       100000u
#define NBD_TIMEOUT_S_MAX 86400u

struct disk_options {
	enum disk_persistent persistent_grants; /* offered? */
	uint32_t max_persistent_grants;         /* kept mapped for a ring */
	enum disk_errors errors;                /* at any time */
	uint64_t iops;                          /* requests a second; 0: no limit */
	uint64_t iops_burst; /* of them at once; 0: as many as in a tenth of a second */
	uint64_t bps;        /* bytes, likewise */
	uint64_t bps_burst;
	enum disk_cache cache;  /* from the next connect on */
	uint32_t poll_us;       /* to look for more before going to sleep */
	uint32_t nbd_timeout_s; /* how long requests wait for a lost NBD server */
};

extern const struct disk_options disk_options_default;

extern const struct key disk_keys[]; /* of struct disk_options */

/* Whether a frontend is offered persistent grants. `dear`: this kernel pins granted pages dearly, as a PV domain's does. */
bool disk_offers_persistent(const struct disk_options *options, bool dear);

/*
 * A limit as rate_set() takes it: `burst` (0: what a tenth of a second allows) in the time that it
 * takes at `per_second`; it allows at least what fits in the timer's millisecond. No limit: both 0.
 */
void disk_rate(uint64_t per_second, uint64_t burst, uint32_t *ret_amount, uint32_t *ret_usecs);

#endif
