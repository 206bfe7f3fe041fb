/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "netback/vif_stats.h"

void vif_stats_print(const struct vif_stats *stats, FILE *out)
{
#define X(name) fprintf(out, " " #name "=%" PRIu64, stats->name);
	VIF_STATS(X)
#undef X
}
