/* SPDX-License-Identifier: MIT */
/* A look at what devices and their processes have done so far. Two of them show what was done in between. */
#ifndef PVB_CTL_LOOK_H
#define PVB_CTL_LOOK_H

#include "ctl/cli.h"
#include "ctl/load.h"

struct look {
	struct json_object *answer; /* owned: the answer to `stats` */
	uint64_t now_ns;
	size_t nr; /* number of devices */
};

/* Look at the device that the command line names, or at all devices. enum cli_status; errors have been printed. */
int look_take(struct cli *cli, struct look *ret);
/* Idempotent. */
void look_forget(struct look *look);

/* What this device of `now` has done since `before`; it is found by its name. `now` owns the load's texts. */
void look_compare(const struct look *before, const struct look *now, size_t index,
		  struct load *ret);
/* What it has done since it was attached. */
void look_ever(const struct look *now, size_t index, struct load *ret);

/* Wait, even if a signal comes in between. */
void look_wait(double seconds);

#endif
