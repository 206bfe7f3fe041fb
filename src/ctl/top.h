/* SPDX-License-Identifier: MIT */
/* The display of `top`: a row for each device. */
#ifndef PVB_CTL_TOP_H
#define PVB_CTL_TOP_H

#include "ctl/look.h"
#include "ctl/text.h"

/*
 * Fill a table, which the caller frees, with what was done between two looks. Devices that are stuck come first, then
 * those that move most.
 */
void top_table(const struct look *before, const struct look *now, struct table *ret);

/* Run until somebody presses q. enum cli_status. */
int top_screen(struct cli *cli);

#endif
