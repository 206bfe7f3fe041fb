/* SPDX-License-Identifier: MIT */
/* What `top` shows: a row for each device. */
#ifndef PVB_CTL_TOP_H
#define PVB_CTL_TOP_H

#include "ctl/look.h"
#include "ctl/text.h"

/* Fill a table, which the caller frees, with what was done between two looks: what is stuck comes first, then who moves most. */
void top_table(const struct look *before, const struct look *now, struct table *ret);

/* Until somebody presses q. enum cli_status. */
int top_screen(struct cli *cli);

#endif
