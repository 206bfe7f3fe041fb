/* SPDX-License-Identifier: MIT */
#include "blkback/vbd_stats.h"

_Static_assert(offsetof(struct vbd_stats, time_answer) - offsetof(struct vbd_stats, time_order) ==
		       VBD_STAGE_ANSWER * sizeof(struct stat_times),
	       "the stages are in the order of the list");

static const struct stat_entry rows[] = { STAT_ENTRIES(VBD_STATS) };

const struct stat_list vbd_stat_list = { "vbd", rows, sizeof(rows) / sizeof(rows[0]),
					 sizeof(struct vbd_stats) };

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

void vbd_stats_answer(struct vbd_stats *stats, struct vbd_times *times, uint64_t now_ns)
{
	struct stat_times *const stages = &stats->time_order;

	vbd_times_enter(times, VBD_STAGE_ANSWER, now_ns);
	for (unsigned int seen = times->seen; seen; seen &= seen - 1) {
		int stage = __builtin_ctz(seen);

		stat_took(&stages[stage], 0, times->spent_ns[stage], 1);
	}
	stat_took(&stats->time_total, times->taken_ns, now_ns, 1);
}

void vbd_stats_kept(struct vbd_stats *stats, const struct kept *kept)
{
	stat_set(&stats->kept, kept->nr);
	stat_set(&stats->kept_uses, kept->uses);
	stat_set(&stats->kept_maps, kept->maps);
	stat_set(&stats->kept_drops, kept->drops);
}
