/* SPDX-License-Identifier: MIT */
/*
 * What a device has done between two looks, from the daemon's answers to `stats`. Plain data, so that its diagnosis
 * (diagnosis.h) can be tested without a daemon.
 */
#ifndef PVB_CTL_LOAD_H
#define PVB_CTL_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

struct load_times {
	uint64_t count, sum_ns;
	uint64_t p50_ns, p99_ns; /* 0 if `count` is */
};

/* Where a disk's requests spend their time: time_order, time_limit, ... of vbd_stats.h. */
enum load_stage {
	STAGE_ORDER,
	STAGE_LIMIT,
	STAGE_BUFFER,
	STAGE_COPY,
	STAGE_MEDIUM,
	STAGE_HELD,
	STAGE_ANSWER,
	NR_STAGES
};

struct disk_load {
	uint64_t reads, writes, others; /* others: flushes, barriers, discards */
	uint64_t bytes_read, bytes_written;
	uint64_t io_errors, no_space, copy_errors, refused;
	uint64_t throttled;
	/* as it is now */
	uint64_t in_flight, submitted;
	uint64_t oldest_ns, oldest_submitted_ns;
	struct load_times total, stages[NR_STAGES];
};

/* Why frames are lost: the counters of vif_stats.h, grouped by what can be done. */
enum load_drop {
	DROP_SECURITY, /* port security forbids them */
	DROP_RULES,    /* the rules of port security cannot be read */
	DROP_INVALID,  /* the guest's driver sends invalid frames */
	DROP_TAP_DOWN,
	DROP_TAP_BUSY,
	DROP_TAP_ERROR,
	DROP_NOT_TAKEN, /* the guest takes no frames */
	DROP_TOO_BIG,
	DROP_HOST,      /* the host's own offload is inconsistent */
	DROP_NO_MEMORY, /* the guest offers memory that it has not granted */
	NR_DROPS
};

struct nic_load {
	uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes;
	uint64_t drops[NR_DROPS];
	/* of the queue that waited longest */
	uint64_t tx_limit_ns, rx_limit_ns, slots_ns;
	uint64_t no_slots_for_ns; /* since when there are no slots; 0: there are some */
	struct load_times tx, rx;
};

#define LOAD_LIMITS 8u

struct load {
	const char *name, *guest, *target, *state, *frontend, *reason, *waits, *tap, *bridge,
		*master, *script; /* borrowed; never NULL */
	bool is_disk;
	bool attached, stalled, halted, late, carrier;
	uint64_t attached_s;
	uint32_t nr_limits;
	struct load_limit {
		const char *key, *value; /* borrowed */
	} limits[LOAD_LIMITS];
	uint64_t interval_ns;
	double cpu; /* CPU use of its process, in processors; negative: not known */
	union {
		struct disk_load disk;
		struct nic_load nic;
	};
};

/*
 * The difference of two DEVICEs in answers to `stats`, `interval_ns` apart. `before` may be NULL: since it was
 * attached. `now` owns the texts. If the device started anew in between, only what it has done since then counts.
 */
void load_read(struct json_object *before, struct json_object *now, uint64_t interval_ns,
	       struct load *ret);

#endif
