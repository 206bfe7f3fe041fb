/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/parse.h"
#include "ctl/diagnosis.h"

#define NS          1000000000ull
#define SILENT_NS   (10 * NS) /* the daemon warns after this time, too */
#define NO_SLOTS_NS (1 * NS)
#define QUICK_NS    2000000u /* 99 of 100 requests of a fast disk take at most this long */
#define WAITS       50u      /* percent of the time: such a wait slows it down */
#define WAITS_SOME  10u

uint64_t disk_requests(const struct disk_load *disk)
{
	return disk->reads + disk->writes + disk->others;
}

double load_rate(const struct load *load, uint64_t amount)
{
	return load->interval_ns ? (double)amount * (double)NS / (double)load->interval_ns : 0;
}

double disk_depth(const struct load *load)
{
	const struct disk_load *disk = &load->disk;

	return disk->total.count ? load_rate(load, disk->total.sum_ns) / (double)NS
				 : (double)disk->in_flight;
}

/* A clock may be read a little late, so the part may be more than the whole. */
static unsigned int percent(uint64_t part, uint64_t whole)
{
	uint64_t ret = whole ? (part * 100 + whole / 2) / whole : 0;

	return ret < 100 ? (unsigned int)ret : 100;
}

static struct diagnosis is(enum verdict verdict, unsigned int share)
{
	return (struct diagnosis){ .verdict = verdict, .percent = share };
}

/* --- disks --- */

/* Name the limit that the disk came nearest to. */
static void name_limit(const struct load *load, struct diagnosis *ret)
{
	const struct disk_load *disk = &load->disk;
	double requests = load_rate(load, disk_requests(disk));
	double bytes = load_rate(load, disk->bytes_read + disk->bytes_written);
	double nearest = load->nr_limits == 1 ? -1 : 0;

	for (uint32_t i = 0; i < load->nr_limits; i++) {
		const struct load_limit *limit = &load->limits[i];
		bool iops = !strcmp(limit->key, "iops");
		double share;
		uint64_t most;

		if ((!iops && strcmp(limit->key, "bps")) ||
		    parse_amount(limit->value, 1, UINT64_MAX, &most))
			continue;
		share = (iops ? requests : bytes) / (double)most;
		if (share <= nearest)
			continue;
		nearest = share;
		ret->limit = limit->key;
		ret->value = limit->value;
	}
}

/*
 * Only one request of a ring waits for a limit or a buffer. Those behind it are still in the ring, and nobody knows how
 * long. So the share of the interval counts, if it is more than the share of the requests' time.
 */
static unsigned int share_of(const struct load *load, enum load_stage stage)
{
	uint64_t sum = load->disk.stages[stage].sum_ns;
	unsigned int of_requests = percent(sum, load->disk.total.sum_ns);
	unsigned int of_time = percent(sum, load->interval_ns);

	if (stage != STAGE_LIMIT && stage != STAGE_BUFFER)
		return of_requests;
	return of_time > of_requests ? of_time : of_requests;
}

static struct diagnosis slowest_stage(const struct load *load)
{
	static const enum verdict verdicts[NR_STAGES] = {
		[STAGE_ORDER] = VERDICT_ORDER,   [STAGE_LIMIT] = VERDICT_LIMIT,
		[STAGE_BUFFER] = VERDICT_BUFFER, [STAGE_COPY] = VERDICT_COPY,
		[STAGE_MEDIUM] = VERDICT_MEDIUM, [STAGE_HELD] = VERDICT_HELD,
		[STAGE_ANSWER] = VERDICT_ANSWER,
	};
	struct diagnosis ret = { .verdict = VERDICT_MEDIUM };

	for (unsigned int i = 0; i < NR_STAGES; i++) {
		unsigned int share = share_of(load, i);

		if (share > ret.percent)
			ret = is(verdicts[i], share);
	}
	for (unsigned int i = STAGE_LIMIT; i <= STAGE_BUFFER; i++)
		if (share_of(load, i) >= WAITS)
			return is(verdicts[i], share_of(load, i));
	return ret;
}

/* No request was completed in the interval, and some are under way. */
static struct diagnosis nothing_done(const struct load *load)
{
	const struct disk_load *disk = &load->disk;

	if (disk->submitted)
		return is(VERDICT_MEDIUM, 100);
	return is(disk->throttled || load->nr_limits ? VERDICT_LIMIT : VERDICT_ORDER, 100);
}

static bool is_silent(const struct load *load)
{
	return load->late || (load->disk.submitted && load->disk.oldest_submitted_ns >= SILENT_NS);
}

static struct diagnosis diagnose_disk(const struct load *load)
{
	const struct disk_load *disk = &load->disk;
	struct diagnosis ret;

	if (load->stalled)
		return is(VERDICT_HELD, 0);
	if (is_silent(load))
		return is(VERDICT_SILENT, 0);
	if (!disk->total.count && !disk->in_flight)
		return is(VERDICT_IDLE, 0);
	ret = disk->total.count ? slowest_stage(load) : nothing_done(load);
	if (ret.verdict == VERDICT_LIMIT)
		name_limit(load, &ret);
	else if (disk->total.count && disk->total.p99_ns <= QUICK_NS)
		return is(VERDICT_FINE, 0);
	return ret;
}

/* --- network cards --- */

static uint64_t dropped(const struct nic_load *nic)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < NR_DROPS; i++)
		sum += nic->drops[i];
	return sum;
}

/* Only limits of this direction can have slowed it down. */
static struct diagnosis limited(const struct load *load, bool to_guest, unsigned int share)
{
	struct diagnosis ret = is(VERDICT_LIMIT, share);

	for (uint32_t i = 0; i < load->nr_limits; i++) {
		const char *key = load->limits[i].key;
		size_t len = strlen(key);

		if ((len > 3 && !strcmp(key + len - 3, "-rx")) != to_guest)
			continue;
		ret.limit = key;
		ret.value = load->limits[i].value;
	}
	return ret;
}

static struct diagnosis slowest_wait(const struct load *load)
{
	const struct nic_load *nic = &load->nic;
	unsigned int slots = percent(nic->slots_ns, load->interval_ns);
	unsigned int tx = percent(nic->tx_limit_ns, load->interval_ns);
	unsigned int rx = percent(nic->rx_limit_ns, load->interval_ns);

	if (nic->no_slots_for_ns >= NO_SLOTS_NS)
		return is(VERDICT_SLOTS, 100);
	if (slots >= tx && slots >= rx)
		return is(VERDICT_SLOTS, slots);
	return limited(load, rx > tx, rx > tx ? rx : tx);
}

static struct diagnosis lossy(const struct nic_load *nic)
{
	uint64_t lost = dropped(nic);

	return is(VERDICT_DROPS, percent(lost, nic->tx_frames + nic->rx_frames + lost));
}

static struct diagnosis diagnose_nic(const struct load *load)
{
	const struct nic_load *nic = &load->nic;
	struct diagnosis ret;

	if (!load->carrier)
		return is(VERDICT_CARRIER, 0);
	if (nic->drops[DROP_TAP_DOWN])
		return lossy(nic);
	ret = slowest_wait(load);
	if (ret.percent >= WAITS)
		return ret;
	if (dropped(nic))
		return lossy(nic);
	if (ret.percent >= WAITS_SOME)
		return ret;
	return is(nic->tx_frames || nic->rx_frames ? VERDICT_FINE : VERDICT_IDLE, 0);
}

struct diagnosis diagnose(const struct load *load)
{
	if (!load->attached)
		return is(VERDICT_NOT_ATTACHED, 0);
	if (load->halted)
		return is(VERDICT_HALTED, 0);
	return load->is_disk ? diagnose_disk(load) : diagnose_nic(load);
}

/* --- words --- */

static const struct {
	const char *word, *brief;
} words[NR_VERDICTS] = {
	[VERDICT_NOT_ATTACHED] = { "not-attached", "not attached" },
	[VERDICT_HALTED] = { "guest-shut-down", "guest shut down" },
	[VERDICT_IDLE] = { "idle", "" },
	[VERDICT_FINE] = { "fine", "" },
	[VERDICT_HELD] = { "held", "held for admin" },
	[VERDICT_SILENT] = { "medium-silent", "medium silent" },
	[VERDICT_MEDIUM] = { "medium", "medium" },
	[VERDICT_LIMIT] = { "limit", "limit" },
	[VERDICT_BUFFER] = { "buffer", "buffers" },
	[VERDICT_COPY] = { "copy", "copying" },
	[VERDICT_ORDER] = { "order", "other requests" },
	[VERDICT_ANSWER] = { "answer", "worker" },
	[VERDICT_CARRIER] = { "no-carrier", "no carrier" },
	[VERDICT_SLOTS] = { "slots", "guest's slots" },
	[VERDICT_DROPS] = { "drops", "drops" },
};

const char *diagnosis_word(const struct diagnosis *diagnosis)
{
	return words[diagnosis->verdict].word;
}

void diagnosis_brief(const struct diagnosis *diagnosis, char *buf, size_t size)
{
	if (diagnosis->limit)
		snprintf(buf, size, "limit %s=%s", diagnosis->limit, diagnosis->value);
	else if (diagnosis->percent)
		snprintf(buf, size, "%s %u %%", words[diagnosis->verdict].brief,
			 diagnosis->percent);
	else
		snprintf(buf, size, "%s", words[diagnosis->verdict].brief);
}
