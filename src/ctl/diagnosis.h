/* SPDX-License-Identifier: MIT */
/* What slows a device down, judged by what it has done (load.h); and that in words. Pure. */
#ifndef PVB_CTL_DIAGNOSIS_H
#define PVB_CTL_DIAGNOSIS_H

#include <stdio.h>

#include "ctl/load.h"

enum verdict {
	VERDICT_NOT_ATTACHED,
	VERDICT_HALTED, /* its guest has shut down */
	VERDICT_IDLE,
	VERDICT_FINE, /* it works, and nothing is slow */
	/* disks */
	VERDICT_HELD,   /* waits for an admin */
	VERDICT_SILENT, /* the medium does not answer */
	VERDICT_MEDIUM,
	VERDICT_LIMIT, /* network cards, too */
	VERDICT_BUFFER,
	VERDICT_COPY,
	VERDICT_ORDER,
	VERDICT_ANSWER,
	/* network cards */
	VERDICT_CARRIER, /* the carrier is off */
	VERDICT_SLOTS,   /* the guest takes no frames */
	VERDICT_DROPS,
	NR_VERDICTS
};

struct diagnosis {
	enum verdict verdict;
	unsigned int percent;      /* of the time, if a share is known; else 0 */
	const char *limit, *value; /* the limit that is reached; borrowed; NULL: none, or unknown */
};

struct diagnosis diagnose(const struct load *load);

/* For scripts: "medium". */
const char *diagnosis_word(const struct diagnosis *diagnosis);
/* For a column: "medium 93 %", "limit iops=500"; "" when nothing slows it down. */
void diagnosis_brief(const struct diagnosis *diagnosis, char *buf, size_t size);
/*
 * A paragraph for an admin, without line breaks: what it is, how it shows, and what can be done. `ever`: the load since
 * it was attached, for a device that does nothing at the moment.
 */
void diagnosis_explain(const struct load *load, const struct load *ever, FILE *out);

/* Per second. */
double load_rate(const struct load *load, uint64_t amount);
/* How many requests are under way on average. If none was completed: how many are now. */
double disk_depth(const struct load *load);
uint64_t disk_requests(const struct disk_load *disk);

#endif
