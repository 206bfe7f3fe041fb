/* SPDX-License-Identifier: MIT */
/* A look at what devices and their processes have done so far; of two of them, what they did in between. */
#ifndef PVB_CTL_LOOK_H
#define PVB_CTL_LOOK_H

#include "ctl/cli.h"
#include "ctl/load.h"

struct look {
	struct json_object *answer; /* owned: of `stats` */
	uint64_t now_ns;
	size_t nr; /* devices */
};

/* At the device that the command line names, or at all. enum cli_status; what is wrong has been said. */
int look_take(struct cli *cli, struct look *ret);
/* Idempotent. */
void look_forget(struct look *look);

/* What this device of `now` has done since; it is found by its name. The load's texts belong to `now`. */
void look_compare(const struct look *before, const struct look *now, size_t index,
		  struct load *ret);
/* What it has done since it was attached. */
void look_ever(const struct look *now, size_t index, struct load *ret);

/* Wait, also when a signal comes in between. */
void look_wait(double seconds);

#endif
