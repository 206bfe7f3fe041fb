/* SPDX-License-Identifier: MIT */
#include "blkback/vbd_stats.h"

static const struct stat_entry rows[] = { VBD_STATS(STAT_AS_COUNTER, STAT_AS_GAUGE) };

const struct stat_list vbd_stat_list = { "vbd", rows, sizeof(rows) / sizeof(rows[0]) };

void vbd_stats_take(struct vbd_stats *stats, const struct blk_request *req)
{
	uint64_t *const counters[] = {
		[BLKIF_READ] = &stats->read,       [BLKIF_WRITE] = &stats->write,
		[BLKIF_BARRIER] = &stats->barrier, [BLKIF_FLUSH] = &stats->flush,
		[BLKIF_DISCARD] = &stats->discard,
	};

	stat_add(counters[req->op], 1);
	if (req->indirect)
		stat_add(&stats->indirect, 1);
}

void vbd_stats_refuse(struct vbd_stats *stats, enum blkif_fault fault)
{
	uint64_t *const counters[BLKIF_NR_FAULTS] = {
		[BLKIF_FAULT_OPERATION] = &stats->bad_operation,
		[BLKIF_FAULT_SEGMENT_COUNT] = &stats->bad_segment_count,
		[BLKIF_FAULT_SEGMENT_RANGE] = &stats->bad_segment_range,
		[BLKIF_FAULT_BEYOND_END] = &stats->beyond_end,
		[BLKIF_FAULT_READ_ONLY] = &stats->read_only,
	};

	stat_add(counters[fault], 1);
}

void vbd_stats_kept(struct vbd_stats *stats, const struct kept *kept)
{
	stat_set(&stats->kept, kept->nr);
	stat_set(&stats->kept_uses, kept->uses);
	stat_set(&stats->kept_maps, kept->maps);
	stat_set(&stats->kept_drops, kept->drops);
}
