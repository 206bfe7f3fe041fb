/* SPDX-License-Identifier: MIT */
#include "netback/vif_stats.h"

static const struct stat_entry rows[] = { STAT_ENTRIES(VIF_STATS) };

const struct stat_list vif_stat_list = { "vif", rows, sizeof(rows) / sizeof(rows[0]),
					 sizeof(struct vif_stats) };
