/* SPDX-License-Identifier: MIT */
/* What a disk's ring counts: the list of guest/stats.h. */
#ifndef PVB_VBD_STATS_H
#define PVB_VBD_STATS_H

#include "blkback/kept.h"
#include "guest/stats.h"
#include "ring/blkif.h"

#define VBD_STATS(COUNTER, GAUGE)                                                                  \
	COUNTER(read, "requests", "Requests to read.")                                             \
	COUNTER(write, "requests", "Requests to write.")                                           \
	COUNTER(barrier, "requests", "Barriers.")                                                  \
	COUNTER(flush, "requests", "Requests to flush.")                                           \
	COUNTER(discard, "requests", "Discards.")                                                  \
	COUNTER(indirect, "requests",                                                              \
		"Of all these, those that list their pages in another page.")                      \
	COUNTER(bytes_read, "bytes", "Given to the guest.")                                        \
	COUNTER(bytes_written, "bytes", "Taken from the guest, and on the medium.")                \
	COUNTER(in_place, "requests", "Reads and writes whose data was not copied.")               \
	COUNTER(io_errors, "requests", "What the medium could not do.")                            \
	COUNTER(copy_errors, "requests", "Memory that the guest has not granted.")                 \
	COUNTER(bad_operation, "requests", "Refused: no operation that was offered.")              \
	COUNTER(bad_segment_count, "requests", "Refused: no pieces, or too many.")                 \
	COUNTER(bad_segment_range, "requests", "Refused: a piece that is not within a page.")      \
	COUNTER(beyond_end, "requests", "Refused: not within the disk.")                           \
	COUNTER(read_only, "requests", "Refused: to change a disk that is read-only.")             \
	COUNTER(notify_sent, "times", "Answers made public, and the guest was woken.")             \
	COUNTER(notify_suppressed, "times",                                                        \
		"Answers made public, and the guest had not asked to be woken.")                   \
	COUNTER(buffer_waits, "times", "No buffer was free for the next request.")                 \
	COUNTER(submit_waits, "requests",                                                          \
		"Reads and writes that the medium did not take at once.")                          \
	COUNTER(throttled, "times", "The disk's limits made the next request wait.")               \
	COUNTER(stalls, "requests", "Held for an admin, because the medium failed.")               \
	COUNTER(replayed, "requests", "Taken by an earlier daemon, and carried out again.")        \
	GAUGE(kept, "pages", "Of the guest, that stay mapped (persistent grants).")                \
	COUNTER(kept_uses, "times", "A page was needed, and was mapped.")                          \
	COUNTER(kept_maps, "times", "A page was mapped, to stay so.")                              \
	COUNTER(kept_drops, "times", "Such a page was let go of.")

struct vbd_stats {
	VBD_STATS(STAT_WORD, STAT_WORD)
};

extern const struct stat_list vbd_stat_list;

/* A request that is fine; one that was refused. */
void vbd_stats_take(struct vbd_stats *stats, const struct blk_request *req);
void vbd_stats_refuse(struct vbd_stats *stats, enum blkif_fault fault);
/* How it is with persistent grants. */
void vbd_stats_kept(struct vbd_stats *stats, const struct kept *kept);

#endif
