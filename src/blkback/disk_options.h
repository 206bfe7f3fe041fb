/* SPDX-License-Identifier: MIT */
/*
 * What an admin may choose for a disk: for all disks in pvbackd.conf, and for one disk as keys of the same names in its
 * backend directory.
 */
#ifndef PVB_DISK_OPTIONS_H
#define PVB_DISK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "control/keys.h"

#define PERSISTENT_GRANTS_MAX 65536u

/* What happens to a request that the medium fails. */
enum disk_errors {
	DISK_ERRORS_REPORT, /* the guest gets the error */
	DISK_ERRORS_STALL,  /* without space or medium, it is held until an admin says `retry` */
};

enum disk_cache {
	DISK_CACHE_NONE,         /* past the page cache, if possible */
	DISK_CACHE_WRITEBACK,    /* through the page cache; a flush writes it out */
	DISK_CACHE_WRITETHROUGH, /* through it; a write is answered when it is on the medium */
};

enum disk_persistent {
	DISK_PERSISTENT_AUTO, /* offered, and the data is copied: a medium that hangs keeps no page of the guest */
	DISK_PERSISTENT_YES, /* offered; the medium uses the guest's pages, if pinning them is cheap */
	DISK_PERSISTENT_NO,
};

#define POLL_US_MAX       100000u
#define NBD_TIMEOUT_S_MAX 86400u

struct disk_options {
	enum disk_persistent persistent_grants; /* whether they are offered */
	uint32_t max_persistent_grants;         /* how many a ring keeps mapped */
	enum disk_errors errors;                /* may change at any time */
	uint64_t iops;                          /* requests a second; 0: no limit */
	uint64_t iops_burst; /* of them at once; 0: as many as in a tenth of a second */
	uint64_t bps;        /* bytes a second; 0: no limit */
	uint64_t bps_burst;
	enum disk_cache cache;  /* from the next connect on */
	uint32_t poll_us;       /* how long to poll before sleeping */
	uint32_t nbd_timeout_s; /* how long requests wait for a lost NBD server */
};

extern const struct disk_options disk_options_default;

extern const struct key disk_keys[]; /* of struct disk_options */

bool disk_offers_persistent(const struct disk_options *options);

/*
 * Whether the data of pages that are kept mapped is copied, so that the medium does not use them. `dear`: this kernel pins
 * granted pages at a high cost, as that of a PV domain does.
 */
bool disk_copies_kept(const struct disk_options *options, bool dear);

/*
 * A limit in the form of rate_set(): `burst` (0: a tenth of a second's worth) in the time that it takes at
 * `per_second`. It is at least what one millisecond allows, the timer's unit. No limit: both 0.
 */
void disk_rate(uint64_t per_second, uint64_t burst, uint32_t *ret_amount, uint32_t *ret_usecs);

#endif
