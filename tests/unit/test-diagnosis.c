/* SPDX-License-Identifier: MIT */
/* The diagnosis from a device's counters: a table of cases, each with what the admin must read. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/diagnosis.h"

#define MS  1000000ull
#define SEC 1000000000ull

struct diagnosis_case {
	const char *name;
	struct load load;
	const char *word, *brief;
	const char *says[5]; /* the text must have all of these */
	const char *never;   /* and must not have this */
};

#define TAP(name_, bridge_, master_)                                                               \
	.tap = (name_), .bridge = (bridge_), .master = (master_), .script = "vif-bridge"
#define DISK                                                                                       \
	.name = "web/xvda", .guest = "web", .target = "/dev/vg/web", .state = "connected",         \
	.frontend = "connected", .reason = "", .waits = "", TAP("", "", ""), .is_disk = true,      \
	.attached = true, .attached_s = 7200, .interval_ns = SEC, .cpu = 0.12
#define NIC                                                                                        \
	.name = "web/vif0", .guest = "web", .target = "vif7.0", .state = "connected",              \
	.frontend = "connected", .reason = "", .waits = "", TAP("vif7.0", "xenbr0", "xenbr0"),     \
	.attached = true, .attached_s = 60, .interval_ns = SEC, .cpu = -1
#define IOPS(n_) .nr_limits = 1, .limits = { { "iops", n_ } }
#define TIMES(count_, mean_, p50_, p99_)                                                           \
	{                                                                                          \
		.count = (count_), .sum_ns = (count_) * (uint64_t)(mean_), .p50_ns = (p50_),       \
		.p99_ns = (p99_)                                                                   \
	}

static const struct diagnosis_case cases[] = {
	{ "the medium is slow, and the limit is not reached",
	  { DISK, IOPS("500"),
	    .disk = { .reads = 80,
		      .writes = 20,
		      .bytes_read = 8 << 20,
		      .bytes_written = 100000,
		      .in_flight = 4,
		      .submitted = 3,
		      .oldest_ns = 12 * MS,
		      .total = TIMES(100, 40 * MS, 38 * MS, 81 * MS),
		      .stages = { [STAGE_MEDIUM] = TIMES(100, 36 * MS, 35 * MS, 80 * MS),
				  [STAGE_COPY] = TIMES(100, 3 * MS, 3 * MS, 4 * MS) } } },
	  "medium",
	  "medium 90 %",
	  { "web/xvda waits for its medium, /dev/vg/web: 90 % of the time of its requests.",
	    "In the last second it did 100 requests, half of them in 38 ms, 99 of 100 in 81 ms "
	    "(8.4 MB read, "
	    "100 kB written), with 4 under way on average. Now 4 are under way, 3 of them with the "
	    "medium; "
	    "the oldest for 12 ms. The process that serves it has used 12 % of a processor.",
	    "The rest of the time they waited: 8 % for their data to be copied.",
	    "Its limit iops=500 is not reached.", "`iostat -x 1`" },
	  "one request under way" },
	{ "one request at a time",
	  { DISK, .disk = { .reads = 25,
			    .total = TIMES(25, 40 * MS, 40 * MS, 41 * MS),
			    .stages = { [STAGE_MEDIUM] = TIMES(25, 40 * MS, 40 * MS, 41 * MS) } } },
	  "medium",
	  "medium 100 %",
	  { "The guest has one request under way at a time", "It has no limits." },
	  NULL },
	{ "the limit is reached, though the request in front waits for it only a little",
	  { DISK, IOPS("500"),
	    .disk = { .reads = 500,
		      .throttled = 490,
		      .total = TIMES(500, 12 * MS, 12 * MS, 14 * MS),
		      .stages = { [STAGE_MEDIUM] = TIMES(500, 10 * MS, 10 * MS, 11 * MS),
				  [STAGE_LIMIT] = TIMES(490, 2 * MS, 2 * MS, 3 * MS) } } },
	  "limit",
	  "limit iops=500",
	  { "web/xvda is held back by its limit iops=500, for which something waited 98 % of the "
	    "time.",
	    "`pvbackctl set web/xvda iops VALUE`, or `pvbackctl unset web/xvda iops`" },
	  "not reached" },
	{ "of two limits one is reached",
	  { DISK, .nr_limits = 2, .limits = { { "iops", "5k" }, { "bps", "20M" } },
	    .disk = { .writes = 20,
		      .bytes_written = 20000000,
		      .total = TIMES(20, 48 * MS, 50 * MS, 55 * MS),
		      .stages = { [STAGE_LIMIT] = TIMES(20, 45 * MS, 50 * MS, 50 * MS) } } },
	  "limit",
	  "limit bps=20M",
	  { "its limit bps=20M,", "Its limit iops=5k is not reached." },
	  NULL },
	{ "nothing is done for want of a limit",
	  { DISK, IOPS("1"), .disk = { .in_flight = 1, .throttled = 1, .oldest_ns = 900 * MS } },
	  "limit",
	  "limit iops=1",
	  { "it did no request", "Now 1 is under way, none with the medium" },
	  NULL },
	{ "a quick disk is not slow",
	  { DISK, .disk = { .reads = 5000,
			    .total = TIMES(5000, 100000, 90000, 400000),
			    .stages = { [STAGE_MEDIUM] = TIMES(5000, 80000, 80000, 300000),
					[STAGE_COPY] = TIMES(5000, 20000, 20000, 20000) } } },
	  "fine",
	  "",
	  { "web/xvda is not slow.", "5k requests, half of them in 90 us, 99 of 100 in 400 us",
	    "Of that time they waited 80 % for the medium, 20 % for their data to be copied." },
	  NULL },
	{ "a medium that has given nothing back yet",
	  { DISK, .disk = { .in_flight = 8, .submitted = 8, .oldest_submitted_ns = 900 * MS } },
	  "medium",
	  "medium 100 %",
	  { "it did no request." },
	  NULL },
	{ "a medium that does not answer",
	  { DISK, .disk = { .in_flight = 8, .submitted = 7, .oldest_submitted_ns = 35 * SEC } },
	  "medium-silent",
	  "medium silent",
	  { "which does not answer: it has 7 requests, one of them for 35 s.", "`dmesg`" },
	  NULL },
	{ "requests that are held",
	  { DISK, .stalled = true, .disk = { .in_flight = 3, .oldest_ns = 60 * SEC } },
	  "held",
	  "held for admin",
	  { "3 requests are held", "`pvbackctl retry web/xvda`" },
	  NULL },
	{ "no buffer is free",
	  { DISK, .disk = { .writes = 100,
			    .total = TIMES(100, 20 * MS, 20 * MS, 30 * MS),
			    .stages = { [STAGE_MEDIUM] = TIMES(100, 14 * MS, 14 * MS, 20 * MS),
					[STAGE_BUFFER] = TIMES(100, 6 * MS, 6 * MS, 9 * MS) } } },
	  "buffer",
	  "buffers 60 %",
	  { "waits for buffers: 60 %", "The rest of the time they waited: 70 % for the medium.",
	    "`workers`" },
	  NULL },
	{ "copies take the time",
	  { DISK, .disk = { .writes = 100,
			    .total = TIMES(100, 20 * MS, 20 * MS, 30 * MS),
			    .stages = { [STAGE_COPY] = TIMES(100, 15 * MS, 15 * MS, 20 * MS) } } },
	  "copy",
	  "copying 75 %",
	  { "`persistent-grants`" },
	  NULL },
	{ "requests wait for each other",
	  { DISK, .disk = { .others = 100,
			    .total = TIMES(100, 20 * MS, 20 * MS, 30 * MS),
			    .stages = { [STAGE_ORDER] = TIMES(100, 15 * MS, 15 * MS, 20 * MS) } } },
	  "order",
	  "other requests 75 %",
	  { "flushes and barriers" },
	  NULL },
	{ "requests are done and not answered",
	  { DISK,
	    .disk = { .reads = 100,
		      .total = TIMES(100, 20 * MS, 20 * MS, 30 * MS),
		      .stages = { [STAGE_ANSWER] = TIMES(100, 15 * MS, 15 * MS, 20 * MS) } } },
	  "answer",
	  "worker 75 %",
	  { "The worker has too much to do" },
	  NULL },
	{ "errors are said beside all else",
	  { DISK, .disk = { .writes = 10,
			    .io_errors = 10,
			    .no_space = 9,
			    .refused = 2,
			    .total = TIMES(10, 1 * MS, 1 * MS, 1 * MS) } },
	  "fine",
	  "",
	  { "The medium failed 10 requests, 9 of them for want of space",
	    "2 requests were refused" },
	  NULL },
	{ "an idle disk",
	  { DISK },
	  "idle",
	  "",
	  { "web/xvda is idle: in the last second the guest has asked for nothing.",
	    "Since it was attached, 2 h ago, it did 1k requests, half of them in 2 ms, 99 of 100 "
	    "in 9 ms",
	    "Of that time they waited 90 % for the medium",
	    "`pvbackctl why web/xvda --interval=10`" },
	  NULL },
	{ "a disk whose guest has shut down",
	  { DISK, .halted = true, .disk = { .in_flight = 3, .oldest_ns = 60 * SEC } },
	  "guest-shut-down",
	  "guest shut down",
	  { "The guest of web/xvda has shut down", "goes on by itself" },
	  NULL },
	{ "a disk that is not attached, with a reason",
	  { .name = "db/xvdb",
	    .guest = "db",
	    .target = "/srv/db.img",
	    .state = "closing",
	    .frontend = "initialised",
	    .reason = "/srv/db.img: No such file or directory",
	    .waits = "",
	    .is_disk = true,
	    .interval_ns = SEC },
	  "not-attached",
	  "not attached",
	  { "db/xvdb is not served (backend: closing, frontend: initialised).",
	    "The daemon says: /srv/db.img: No such file or directory. Put that right" },
	  NULL },
	{ "a card that waits for its guest",
	  { .name = "db/vif0",
	    .guest = "db",
	    .target = "",
	    .state = "init-wait",
	    .frontend = "initialising",
	    .reason = "",
	    .waits = "",
	    TAP("", "", ""),
	    .interval_ns = SEC },
	  "not-attached",
	  "not attached",
	  { "It waits for the guest", "xen-netfront" },
	  NULL },
	{ "a disk that nobody serves for the moment",
	  { .name = "db/xvda",
	    .guest = "db",
	    .target = "/srv/db.img",
	    .state = "connected",
	    .frontend = "connected",
	    .reason = "",
	    .waits = "the process that serves guest db has died 5 times in a row; the next one "
		     "starts in 2.5 s",
	    .is_disk = true,
	    .interval_ns = SEC },
	  "not-attached",
	  "not attached",
	  { "db/xvda waits: the process that serves guest db has died 5 times in a row; the next "
	    "one "
	    "starts in 2.5 s. See `journalctl -u pvbackd`." },
	  "is not served" },
	{ "a card that works",
	  { NIC, .carrier = true,
	    .nic = { .tx_frames = 1000,
		     .tx_bytes = 1500000,
		     .rx_frames = 2000,
		     .rx_bytes = 3000000,
		     .tx = TIMES(1000, 20000, 20000, 90000),
		     .rx = TIMES(2000, 30000, 30000, 95000) } },
	  "fine",
	  "",
	  { "web/vif0 is not held up. In the last second there were 1k frames (1.5 MB) from the "
	    "guest, half of "
	    "them in 20 us, 99 of 100 in 90 us; and 2k frames (3 MB) to it, half of them in 30 "
	    "us" },
	  NULL },
	{ "an idle card",
	  { NIC, .carrier = true },
	  "idle",
	  "",
	  { "web/vif0 is idle.", "0 frames (0 B) from the guest" },
	  "half of them" },
	{ "a guest that takes frames too slowly",
	  { NIC, .carrier = true, .nic = { .rx_frames = 100, .slots_ns = 730 * MS } },
	  "slots",
	  "guest's slots 73 %",
	  { "frames waited for room in its ring 73 % of the time", "`xl list`" },
	  NULL },
	{ "a guest that has posted no slots for long",
	  { NIC, .carrier = true, .nic = { .no_slots_for_ns = 7 * SEC } },
	  "slots",
	  "guest's slots 100 %",
	  { "it has posted no room for one for 7 s" },
	  NULL },
	{ "a card's limit for what it sends",
	  { NIC, .carrier = true, .nr_limits = 2,
	    .limits = { { "rate", "625000,50000" }, { "rate-rx", "1250000,50000" } },
	    .nic = { .tx_frames = 100, .tx_limit_ns = 960 * MS } },
	  "limit",
	  "limit rate=625000,50000",
	  { "held back by its limit rate=625000,50000, for which something waited 96 %",
	    "Its limit rate-rx=1250000,50000 is not reached." },
	  NULL },
	{ "a card's limit for what it gets",
	  { NIC, .carrier = true, .nr_limits = 2,
	    .limits = { { "rate", "625000,50000" }, { "rate-rx", "1250000,50000" } },
	    .nic = { .rx_frames = 100, .rx_limit_ns = 960 * MS } },
	  "limit",
	  "limit rate-rx=1250000,50000",
	  { "limit rate-rx=1250000,50000" },
	  NULL },
	{ "frames that are dropped",
	  { NIC, .carrier = true,
	    .nic = { .tx_frames = 70, .drops = { [DROP_SECURITY] = 20, [DROP_TAP_DOWN] = 10 } } },
	  "drops",
	  "drops 30 %",
	  { "web/vif0 loses frames: 30 % of them in the last second.",
	    "20 frames from the guest were refused by port security (tx_refused_*).",
	    "10 frames from the guest were lost because the interface is down",
	    "`ip link set vif7.0 up`" },
	  "no bridge" },
	{ "what an interface that is down loses comes before the limit",
	  { NIC, .carrier = true, .nr_limits = 1, .limits = { { "rate", "625000,50000" } },
	    .nic = { .tx_limit_ns = 960 * MS, .drops = { [DROP_TAP_DOWN] = 10 } } },
	  "drops",
	  "drops 100 %",
	  { "web/vif0 loses frames: 100 % of them" },
	  NULL },
	{ "a card that is in no bridge",
	  { .name = "web/vif0",
	    .guest = "web",
	    .target = "vif7.0",
	    .state = "connected",
	    .frontend = "connected",
	    .reason = "",
	    .waits = "",
	    TAP("vif7.0", "xenbr0", ""),
	    .attached = true,
	    .carrier = true,
	    .interval_ns = SEC },
	  "idle",
	  "",
	  { "The interface vif7.0 is in no bridge: `ip link set vif7.0 master xenbr0`." },
	  NULL },
	{ "a disk that was closed",
	  { .name = "web/xvda",
	    .guest = "web",
	    .target = "/dev/vg/web",
	    .state = "closed",
	    .frontend = "closed",
	    .reason = "",
	    .waits = "",
	    .is_disk = true,
	    .interval_ns = SEC },
	  "not-attached",
	  "not attached",
	  { "has closed it. If the guest did not close it, detach it and attach it again" },
	  "nothing is wrong" },
	{ "a carrier that is off",
	  { NIC },
	  "no-carrier",
	  "no carrier",
	  { "The carrier of web/vif0 is off" },
	  NULL },
};

/* What the device did before. */
static struct load ever_of(const struct load *load)
{
	struct load ever = *load;

	if (ever.is_disk)
		ever.disk = (struct disk_load){
			.reads = 1000,
			.total = TIMES(1000, 3 * MS, 2 * MS, 9 * MS),
			.stages = { [STAGE_MEDIUM] = TIMES(1000, 2700000, 2 * MS, 9 * MS) }
		};
	return ever;
}

static char *explain(const struct load *load)
{
	struct load ever = ever_of(load);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CHECK(out);
	diagnosis_explain(load, &ever, out);
	fclose(out);
	return text;
}

static bool is_right(const struct diagnosis_case *c)
{
	struct diagnosis is = diagnose(&c->load);
	char brief[64], *text = explain(&c->load);
	bool right;

	diagnosis_brief(&is, brief, sizeof(brief));
	right = !strcmp(diagnosis_word(&is), c->word) && !strcmp(brief, c->brief);
	for (unsigned int i = 0; i < 5 && c->says[i]; i++)
		right = right && strstr(text, c->says[i]);
	if (c->never && strstr(text, c->never))
		right = false;
	if (!right)
		print_error("%s: %s, \"%s\": %s\n", c->name, diagnosis_word(&is), brief, text);
	free(text);
	return right;
}

static void an_admin_is_told_what_holds_a_device_up(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		wrong += !is_right(&cases[i]);
	CHECK(wrong == 0);
}

/* No guest causes such counters, but a daemon that counts differently may. */
static void nonsense_is_no_division_by_zero(void **state)
{
	struct load load = { DISK, .disk = { .total = { .count = 1 }, .in_flight = 1 } };

	(void)state;
	load.interval_ns = 0;
	free(explain(&load));
	load = (struct load){ NIC, .carrier = true, .nic = { .slots_ns = SEC, .drops = { 1 } } };
	load.interval_ns = 0;
	free(explain(&load));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_admin_is_told_what_holds_a_device_up),
		cmocka_unit_test(nonsense_is_no_division_by_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
