/* SPDX-License-Identifier: MIT */
/* What a disk's ring counts: the list of core/stats.h. */
#ifndef PVB_VBD_STATS_H
#define PVB_VBD_STATS_H

#include "blkback/kept.h"
#include "core/stats.h"
#include "ring/blkif.h"

#define VBD_STATS(COUNTER, GAUGE, SINCE, TIMES)                                                    \
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
	COUNTER(registered, "requests",                                                            \
		"Reads and writes by an io_uring, with buffers that stay registered.")             \
	COUNTER(io_errors, "requests", "What the medium could not do.")                            \
	COUNTER(no_space, "requests", "Of these, those for which it had no space left.")           \
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
	COUNTER(kept_drops, "times", "Such a page was let go of.")                                 \
	GAUGE(in_flight, "requests", "Taken, and not answered yet.")                               \
	GAUGE(submitted, "requests", "Of these, those that the medium has.")                       \
	SINCE(oldest, "ns", "How long ago the oldest of these was taken.")                         \
	SINCE(oldest_submitted, "ns",                                                              \
	      "How long the medium has had the one that it has had longest.")                      \
	TIMES(time_total, "ns",                                                                    \
	      "From the taking to the answer. How long a request lay in the ring before is not "   \
	      "known.")                                                                            \
	TIMES(time_order, "ns",                                                                    \
	      "Of this: waits for another request: a barrier, the same blocks, or the one "        \
	      "before.")                                                                           \
	TIMES(time_limit, "ns",                                                                    \
	      "Of this: waits for the disk's limits. Meanwhile nothing is taken from the ring.")   \
	TIMES(time_buffer, "ns",                                                                   \
	      "Of this: waits for a buffer. Meanwhile nothing is taken from the ring.")            \
	TIMES(time_copy, "ns", "Of this: copies from the guest and to it.")                        \
	TIMES(time_medium, "ns", "Of this: the medium.")                                           \
	TIMES(time_held, "ns", "Of this: waits for an admin, because the medium failed.")          \
	TIMES(time_answer, "ns", "Of this: done, and not answered yet.")

struct vbd_stats {
	STAT_MEMBERS(VBD_STATS)
};

extern const struct stat_list vbd_stat_list;

/* Where a request's time goes. The order is that of the times in the list, from time_order on. */
enum vbd_stage {
	VBD_STAGE_ORDER,
	VBD_STAGE_LIMIT,
	VBD_STAGE_BUFFER,
	VBD_STAGE_COPY,
	VBD_STAGE_MEDIUM,
	VBD_STAGE_HELD,
	VBD_STAGE_ANSWER,
	VBD_NR_STAGES
};

struct vbd_times {
	uint64_t taken_ns; /* 0: not counted */
	uint64_t since_ns; /* when this stage began */
	enum vbd_stage stage;
	unsigned int seen;                /* bits: stages in which it was for any time */
	uint64_t spent_ns[VBD_NR_STAGES]; /* valid for the stages in `seen` */
};

static inline void vbd_times_begin(struct vbd_times *times, uint64_t now_ns)
{
	times->taken_ns = times->since_ns = now_ns;
	times->stage = VBD_STAGE_ORDER;
	times->seen = 0;
}

/* Leave the stage before, and enter this one. A clock that goes back a little counts as no time. */
static inline void vbd_times_enter(struct vbd_times *times, enum vbd_stage stage, uint64_t now_ns)
{
	unsigned int bit = 1u << times->stage;

	if (now_ns > times->since_ns) {
		uint64_t before_ns = times->seen & bit ? times->spent_ns[times->stage] : 0;

		times->spent_ns[times->stage] = before_ns + now_ns - times->since_ns;
		times->seen |= bit;
	}
	times->since_ns = now_ns;
	times->stage = stage;
}

/* Count a valid request; a refused one. */
void vbd_stats_take(struct vbd_stats *stats, const struct blk_request *req);
void vbd_stats_refuse(struct vbd_stats *stats, enum blkif_fault fault);
/* Count a request that is answered now. Only stages count in which it was for any time. */
void vbd_stats_answer(struct vbd_stats *stats, struct vbd_times *times, uint64_t now_ns);
/* Show the figures of persistent grants. */
void vbd_stats_kept(struct vbd_stats *stats, const struct kept *kept);

#endif
