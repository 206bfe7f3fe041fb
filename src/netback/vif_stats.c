/* SPDX-License-Identifier: MIT */
#include "netback/vif_stats.h"

static const struct stat_entry rows[] = { VIF_STATS(STAT_AS_COUNTER) };

const struct stat_list vif_stat_list = { "vif", rows, sizeof(rows) / sizeof(rows[0]) };
