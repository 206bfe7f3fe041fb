/* SPDX-License-Identifier: MIT */
/* Print the counters of the queues, in the format of pvbackd-counters(7), for man.sh. */
#include <stdio.h>

#include "blkback/vbd_stats.h"
#include "netback/vif_stats.h"

static void list(const char *title, const struct stat_list *stats)
{
	printf(".SS %s\n", title);
	for (uint32_t i = 0; i < stats->nr; i++)
		printf(".TP\n.BR %s \" (%s)\"\n%s\n", stats->entries[i].row.name,
		       stats->entries[i].row.unit, stats->entries[i].help);
}

int main(void)
{
	list("Of each ring of a disk", &vbd_stat_list);
	list("Of each queue of a network card", &vif_stat_list);
	return 0;
}
