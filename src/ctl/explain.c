/* SPDX-License-Identifier: MIT */
/* A diagnosis in words: what it is, how it shows, what the limits are, what an admin can do. */
#include <inttypes.h>
#include <string.h>

#include "ctl/diagnosis.h"
#include "ctl/text.h"

#define NS         1000000000ull
#define BUSY_CPU   0.9
#define REST_SHARE 5.0 /* percent: a smaller stage is not mentioned */
#define LONE_DEPTH 1.3 /* requests under way on average: in effect one at a time */

struct explain {
	const struct load *load, *ever;
	struct diagnosis is;
	FILE *out;
};

#define SAY(e_, ...) fprintf((e_)->out, __VA_ARGS__)

/* "the last second", "the last 10 s" */
static struct text while_of(const struct load *load)
{
	struct text ret = { "the last second" };
	double seconds = (double)load->interval_ns / (double)NS;

	if (seconds < 0.95 || seconds > 1.05)
		snprintf(ret.text, sizeof(ret.text), "the last %.12s",
			 text_ns(load->interval_ns).text);
	return ret;
}

static const char *medium_of(const struct load *load)
{
	return *load->target ? load->target : "its image";
}

/* --- disks: how it shows --- */

static const char *const stage_words[NR_STAGES] = {
	[STAGE_ORDER] = "for other requests of this disk",
	[STAGE_LIMIT] = "for its limits",
	[STAGE_BUFFER] = "for a buffer",
	[STAGE_COPY] = "for their data to be copied",
	[STAGE_MEDIUM] = "for the medium",
	[STAGE_HELD] = "for an admin",
	[STAGE_ANSWER] = "to be answered",
};

static void say_latency(const struct explain *e, const struct load_times *times)
{
	SAY(e, "half of them in %s, 99 of 100 in %s", text_ns(times->p50_ns).text,
	    text_ns(times->p99_ns).text);
}

static void say_cpu(const struct explain *e)
{
	if (e->load->cpu >= 0)
		SAY(e, " The process that serves it has used %.0f %% of a processor.",
		    e->load->cpu * 100);
}

static void say_under_way(const struct explain *e)
{
	const struct disk_load *disk = &e->load->disk;

	if (!disk->in_flight)
		return;
	SAY(e, " Now %" PRIu64 " %s under way, ", disk->in_flight,
	    disk->in_flight == 1 ? "is" : "are");
	if (disk->submitted && disk->submitted < disk->in_flight)
		SAY(e, "%" PRIu64 " of them with the medium", disk->submitted);
	else
		SAY(e, "%s with the medium",
		    !disk->submitted       ? "none"
		    : disk->in_flight == 1 ? "and"
					   : "all");
	if (disk->oldest_ns)
		SAY(e, "; the oldest for %s", text_ns(disk->oldest_ns).text);
	SAY(e, ".");
}

static void say_done(const struct explain *e, const struct load *load)
{
	const struct disk_load *disk = &load->disk;

	SAY(e, "%s requests, ", text_amount((double)disk->total.count).text);
	say_latency(e, &disk->total);
	SAY(e, " (%s read, %s written)", text_bytes((double)disk->bytes_read).text,
	    text_bytes((double)disk->bytes_written).text);
}

static void say_disk_figures(const struct explain *e)
{
	const struct disk_load *disk = &e->load->disk;

	SAY(e, " In %s it did ", while_of(e->load).text);
	if (disk->total.count) {
		say_done(e, e->load);
		SAY(e, ", with %s under way on average.", text_amount(disk_depth(e->load)).text);
	} else {
		SAY(e, "no request.");
	}
	say_under_way(e);
	say_cpu(e);
}

static double share_of(const struct disk_load *disk, unsigned int stage)
{
	return 100 * (double)disk->stages[stage].sum_ns / (double)disk->total.sum_ns;
}

/* The largest stage of less than `below` percent, except `but`. NR_STAGES: none is worth mentioning. */
static unsigned int next_stage(const struct disk_load *disk, unsigned int but, double below)
{
	unsigned int ret = NR_STAGES;

	for (unsigned int i = 0; i < NR_STAGES; i++) {
		double share = share_of(disk, i);

		if (i != but && share >= REST_SHARE && share < below &&
		    (ret == NR_STAGES || share > share_of(disk, ret)))
			ret = i;
	}
	return ret;
}

/* Say where the requests' time goes. `but`: a stage that was mentioned already, or NR_STAGES. */
static void say_stages(const struct explain *e, const struct load *load, unsigned int but)
{
	const struct disk_load *disk = &load->disk;
	const char *lead = but < NR_STAGES ? " The rest of the time they waited: "
					   : " Of that time they waited ";
	unsigned int stage = next_stage(disk, but, 101);

	if (!disk->total.sum_ns || stage == NR_STAGES)
		return;
	for (; stage != NR_STAGES; stage = next_stage(disk, but, share_of(disk, stage))) {
		SAY(e, "%s%.0f %% %s", lead, share_of(disk, stage), stage_words[stage]);
		lead = ", ";
	}
	SAY(e, ".");
}

static bool is_reached(const struct explain *e, uint32_t limit)
{
	return e->is.limit && !strcmp(e->load->limits[limit].key, e->is.limit);
}

static void say_limits(const struct explain *e)
{
	uint32_t nr = e->load->nr_limits, said = 0;

	if (!nr)
		SAY(e, " It has no limits.");
	for (uint32_t i = 0; i < e->load->nr_limits; i++)
		nr -= is_reached(e, i);
	for (uint32_t i = 0; i < e->load->nr_limits; i++)
		if (!is_reached(e, i))
			SAY(e, "%s%s=%s",
			    said++   ? ", "
			    : nr > 1 ? " Its limits "
				     : " Its limit ",
			    e->load->limits[i].key, e->load->limits[i].value);
	if (nr)
		SAY(e, nr > 1 ? " are not reached." : " is not reached.");
}

static void say_errors(const struct explain *e)
{
	const struct disk_load *disk = &e->load->disk;

	if (disk->io_errors)
		SAY(e,
		    " The medium failed %" PRIu64 " requests, %" PRIu64
		    " of them for want of space: look at `dmesg` and `df`.",
		    disk->io_errors, disk->no_space);
	if (disk->refused || disk->copy_errors)
		SAY(e,
		    " %" PRIu64 " requests were refused or had memory that the guest had not "
		    "granted: its driver is at fault.",
		    disk->refused + disk->copy_errors);
}

/* --- disks: what it is --- */

static void say_lone(const struct explain *e)
{
	double depth = disk_depth(e->load);

	if (e->load->disk.total.count && depth < LONE_DEPTH && depth > 0.5)
		SAY(e, " The guest has one request under way at a time; with more at once it would "
		       "get more done.");
}

static void explain_idle_disk(const struct explain *e)
{
	const struct load *load = e->load;

	SAY(e, "%s is idle: in %s the guest has asked for nothing.", load->name,
	    while_of(load).text);
	if (e->ever->disk.total.count) {
		SAY(e, " Since it was attached, %s ago, it did ",
		    text_seconds(load->attached_s).text);
		say_done(e, e->ever);
		SAY(e, ".");
		say_stages(e, e->ever, NR_STAGES);
	}
	say_limits(e);
	SAY(e, " Ask again while it is slow, or for longer: `pvbackctl why %s --interval=10`.",
	    load->name);
}

static void explain_fine_disk(const struct explain *e)
{
	SAY(e, "%s is not slow.", e->load->name);
	say_disk_figures(e);
	say_stages(e, e->load, NR_STAGES);
	say_limits(e);
	say_lone(e);
	say_errors(e);
	SAY(e, " If the guest is slow all the same, look at its processors (`xentop`) and inside "
	       "of it.");
}

static void explain_held(const struct explain *e)
{
	SAY(e,
	    "%s waits for an admin: its medium, %s, has failed, and %" PRIu64
	    " requests are held, so that the guest sees no error.",
	    e->load->name, medium_of(e->load), e->load->disk.in_flight);
	if (*e->load->reason)
		SAY(e, " The daemon says: %s.", e->load->reason);
	SAY(e,
	    " Put the storage right (`df`, `dmesg`), then `pvbackctl retry %s`. To give the guest "
	    "the errors instead: `pvbackctl set %s error-policy report`.",
	    e->load->name, e->load->name);
}

static void explain_silent(const struct explain *e)
{
	const struct disk_load *disk = &e->load->disk;

	SAY(e,
	    "%s waits for its medium, %s, which does not answer: it has %" PRIu64
	    " requests, one of them for %s.",
	    e->load->name, medium_of(e->load), disk->submitted,
	    text_ns(disk->oldest_submitted_ns).text);
	if (*e->load->reason)
		SAY(e, " The daemon says: %s.", e->load->reason);
	SAY(e, " Look at the storage: `dmesg`, `iostat -x 1`, a network file system's server, "
	       "`multipath -ll`. The guest waits and loses nothing; other disks are not "
	       "concerned.");
}

static void explain_medium(const struct explain *e)
{
	SAY(e, "%s waits for its medium, %s: %u %% of the time of its requests.", e->load->name,
	    medium_of(e->load), e->is.percent);
	say_disk_figures(e);
	say_stages(e, e->load, STAGE_MEDIUM);
	say_limits(e);
	say_lone(e);
	say_errors(e);
	SAY(e, " The storage below is slow or has much to do: `iostat -x 1` shows it, `pvbackctl "
	       "top` who "
	       "else uses it.");
}

static void explain_limit(const struct explain *e)
{
	const struct load *load = e->load;

	if (e->is.limit)
		SAY(e, "%s is held back by its limit %s=%s", load->name, e->is.limit, e->is.value);
	else
		SAY(e, "%s is held back by its limits", load->name);
	SAY(e, ", for which something waited %u %% of the time.", e->is.percent);
	if (load->is_disk)
		say_disk_figures(e);
}

static void advise_limit(const struct explain *e)
{
	const char *name = e->load->name, *key = e->is.limit ? e->is.limit : "KEY";

	say_limits(e);
	SAY(e,
	    " To let it have more: `pvbackctl set %s %s VALUE`, or `pvbackctl unset %s %s`; with "
	    "--config it lasts.",
	    name, key, name, key);
}

static void explain_stage(const struct explain *e, unsigned int stage, const char *what,
			  const char *cure)
{
	SAY(e, "%s %s: %u %% of the time of its requests.", e->load->name, what, e->is.percent);
	say_disk_figures(e);
	say_stages(e, e->load, stage);
	say_limits(e);
	say_errors(e);
	SAY(e, " %s", cure);
}

static void explain_disk(const struct explain *e)
{
	switch (e->is.verdict) {
	case VERDICT_IDLE:
		explain_idle_disk(e);
		return;
	case VERDICT_HELD:
		explain_held(e);
		return;
	case VERDICT_SILENT:
		explain_silent(e);
		return;
	case VERDICT_MEDIUM:
		explain_medium(e);
		return;
	case VERDICT_LIMIT:
		explain_limit(e);
		say_errors(e);
		advise_limit(e);
		return;
	case VERDICT_BUFFER:
		explain_stage(e, STAGE_BUFFER, "waits for buffers",
			      "The disks of this guest have more under way than the worker has "
			      "memory for; "
			      "more workers have more of it (`workers` in pvbackd.conf(5)).");
		return;
	case VERDICT_COPY:
		explain_stage(
			e, STAGE_COPY, "waits for data to be copied from and to the guest",
			"That takes processors: is Dom0 short of them (`xentop`, `top`)? More "
			"workers "
			"(`workers`) or persistent grants (`persistent-grants`) may help; see "
			"pvbackd.conf(5).");
		return;
	case VERDICT_ORDER:
		explain_stage(
			e, STAGE_ORDER, "has requests that wait for each other",
			"The guest asks for that: flushes and barriers, or writes to the same "
			"blocks; on media with blocks of 4096 bytes, writes of parts of one.");
		return;
	case VERDICT_ANSWER:
		explain_stage(
			e, STAGE_ANSWER, "has requests that are done and wait to be answered",
			"The worker has too much to do, or no processor: is Dom0 short of them "
			"(`xentop`, `top`)? More workers (`workers`) may help; see "
			"pvbackd.conf(5).");
		return;
	default:
		explain_fine_disk(e);
	}
}

/* --- network cards --- */

static const struct {
	const char *what, *cure;
} drops[NR_DROPS] = {
	[DROP_SECURITY] = { "from the guest were refused by port security (tx_refused_*)",
			    "The guest sends as somebody else: is its `mac` or `ip` in the "
			    "configuration right? `antispoof` says what it is held to" },
	[DROP_RULES] = { "from the guest were refused because its rules of port security cannot be "
			 "read "
			 "(tx_refused_rules)",
			 "Put its `antispoof`, `mac` or `ip` right" },
	[DROP_INVALID] = { "from the guest made no sense (tx_drop_*)",
			   "The guest's driver is at fault: update it, or try `quirks`" },
	[DROP_TAP_DOWN] = { "from the guest were lost because the interface is down "
			    "(tx_drop_tap_down)",
			    "Set it up: `ip link set " },
	[DROP_TAP_BUSY] = { "from the guest were lost because the host had no room for them "
			    "(tx_drop_tap_busy)",
			    "Whoever receives them in this host is too slow" },
	[DROP_TAP_ERROR] = { "from the guest were lost by an error of the interface "
			     "(tx_drop_tap_error)",
			     "`dmesg` and `ip -s link` may know more" },
	[DROP_NOT_TAKEN] = { "to the guest were given up because it took none for ten seconds "
			     "(rx_drop_stalled)",
			     "Does the guest hang? `xl list`, `xl console`" },
	[DROP_TOO_BIG] = { "to the guest were larger than it can take (rx_drop_big)",
			   "The MTU of the bridge is larger than the guest's" },
	[DROP_HOST] = { "to the guest made no sense (rx_drop_header)",
			"A program of this host sends frames with wrong offloads" },
	[DROP_NO_MEMORY] = { "had memory that the guest had not granted (tx_drop_copy, "
			     "rx_drop_copy)",
			     "The guest's driver is at fault" },
};

static void say_drops(const struct explain *e)
{
	const struct nic_load *nic = &e->load->nic;

	for (unsigned int i = 0; i < NR_DROPS; i++)
		if (nic->drops[i])
			SAY(e, " %" PRIu64 " frames %s. %s%s%s.", nic->drops[i], drops[i].what,
			    drops[i].cure, i == DROP_TAP_DOWN ? e->load->tap : "",
			    i == DROP_TAP_DOWN ? " up`" : "");
}

/* Say so if the interface should be in a bridge and is in none. A routed interface needs no bridge. */
static void say_bridge(const struct explain *e)
{
	const struct load *load = e->load;

	if (*load->tap && *load->bridge && !*load->master && !strstr(load->script, "route") &&
	    !strstr(load->script, "nat"))
		SAY(e, " The interface %s is in no bridge: `ip link set %s master %s`.", load->tap,
		    load->tap, load->bridge);
}

static void say_way(const struct explain *e, const char *way, uint64_t frames, uint64_t bytes,
		    const struct load_times *times)
{
	SAY(e, "%s frames (%s) %s", text_amount((double)frames).text,
	    text_bytes((double)bytes).text, way);
	if (!times->count)
		return;
	SAY(e, ", ");
	say_latency(e, times);
}

static void say_nic_figures(const struct explain *e)
{
	const struct nic_load *nic = &e->load->nic;

	SAY(e, " In %s there were ", while_of(e->load).text);
	say_way(e, "from the guest", nic->tx_frames, nic->tx_bytes, &nic->tx);
	SAY(e, "; and ");
	say_way(e, "to it", nic->rx_frames, nic->rx_bytes, &nic->rx);
	SAY(e, ".");
	say_cpu(e);
}

static void explain_slots(const struct explain *e)
{
	const struct nic_load *nic = &e->load->nic;

	SAY(e, "%s waits for its guest, which takes frames too slowly: ", e->load->name);
	if (nic->no_slots_for_ns >= NS)
		SAY(e, "it has posted no room for one for %s.", text_ns(nic->no_slots_for_ns).text);
	else
		SAY(e, "frames waited for room in its ring %u %% of the time.", e->is.percent);
	say_nic_figures(e);
	say_limits(e);
	say_drops(e);
	SAY(e, " Has the guest a processor to spare (`xentop`), does it run (`xl list`)? Inside of "
	       "it, "
	       "look for a hung driver or a full receive queue.");
}

static void explain_nic(const struct explain *e)
{
	const struct load *load = e->load;

	switch (e->is.verdict) {
	case VERDICT_CARRIER:
		SAY(e,
		    "The carrier of %s is off: its guest takes no frames. It comes back by itself "
		    "when "
		    "the guest does.",
		    load->name);
		if (*load->reason)
			SAY(e, " The daemon says: %s.", load->reason);
		SAY(e, " Does the guest hang? `xl list`, `xl console`.");
		return;
	case VERDICT_SLOTS:
		explain_slots(e);
		return;
	case VERDICT_LIMIT:
		explain_limit(e);
		say_nic_figures(e);
		say_drops(e);
		advise_limit(e);
		return;
	case VERDICT_DROPS:
		SAY(e, "%s loses frames: %u %% of them in %s.", load->name, e->is.percent,
		    while_of(load).text);
		say_drops(e);
		say_bridge(e);
		say_nic_figures(e);
		say_limits(e);
		return;
	default:
		SAY(e, e->is.verdict == VERDICT_IDLE ? "%s is idle." : "%s is not held up.",
		    load->name);
		say_bridge(e);
		say_nic_figures(e);
		say_limits(e);
		SAY(e,
		    " How long frames lie in the guest's ring, or in the interface before they are "
		    "read, is not known: `ip -s link` has what the interface has lost.");
	}
}

/* --- disks and network cards --- */

#define ATTACH_AGAIN                                                                               \
	"detach it and attach it again (`xl block-detach` and `xl block-attach`, or `xl "          \
	"network-detach` and `xl network-attach`)"

static void explain_not_attached(const struct explain *e)
{
	const struct load *load = e->load;
	bool waits = !strcmp(load->state, "init-wait") || !strcmp(load->state, "initialising");
	bool over = !strcmp(load->state, "closing") || !strcmp(load->state, "closed");

	if (*load->waits) {
		SAY(e, "%s waits: %s. See `journalctl -u pvbackd`.", load->name, load->waits);
		return;
	}
	SAY(e, "%s is not served (backend: %s, frontend: %s).", load->name,
	    *load->state ? load->state : "none", *load->frontend ? load->frontend : "none");
	if (*load->reason)
		SAY(e,
		    " The daemon says: %s. Put that right; where the guest does not connect again "
		    "by itself then, " ATTACH_AGAIN ".",
		    load->reason);
	else if (waits)
		SAY(e,
		    " It waits for the guest: its driver has not connected so far. Has it booted, "
		    "and has "
		    "it the driver (%s)?",
		    load->is_disk ? "xen-blkfront" : "xen-netfront");
	else if (over)
		SAY(e, " The guest, or the toolstack, has closed it. If the guest did not close "
		       "it, " ATTACH_AGAIN ".");
	SAY(e, " `journalctl -u pvbackd` and `pvbackctl events` have what happened.");
}

void diagnosis_explain(const struct load *load, const struct load *ever, FILE *out)
{
	struct explain e = { .load = load, .ever = ever, .is = diagnose(load), .out = out };

	if (e.is.verdict == VERDICT_NOT_ATTACHED)
		explain_not_attached(&e);
	else if (e.is.verdict == VERDICT_HALTED)
		SAY(&e,
		    "The guest of %s has shut down (a suspend, a migration, a crash): nothing more "
		    "is done "
		    "for it. If the guest is resumed it goes on by itself.",
		    load->name);
	else if (load->is_disk)
		explain_disk(&e);
	else
		explain_nic(&e);
}
