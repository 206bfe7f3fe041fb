/* SPDX-License-Identifier: MIT */
/* simblk - a guest's block frontend with a load generator. */
#include "simblk.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static const char usage[] =
	"usage: simblk [OPTION...] DOMID DEVID\n"
	"  --profile=linux|windows|ovmf|kexec|straight|legacy   whose habits (default linux)\n"
	"  --abi=64|32            layout of the ring (default 64)\n"
	"  --no-protocol          do not write the key that says so\n"
	"  --ring-order=N         ring of 2^N pages (0-4)\n"
	"  --ring-pages           name its size by the older keys\n"
	"  --queues=N             queues to ask for (1-8)\n"
	"  --segs=N               most segments of a request (1-256, over 11 indirect)\n"
	"  --persistent           persistent grants when the backend has them\n"
	"  --purge=N              every N requests end those of them that are not in use\n"
	"  --depth=N              requests in flight in each queue (default 32)\n"
	"  --requests=N           requests of a round (default 2000)\n"
	"  --rounds=N             connect, load and close so many times (default 1)\n"
	"  --mix=R:W:F:D          weights of read, write, flush, discard (50:48:1:1)\n"
	"  --ops=LETTERS          instead these in turn: r, w, b(arrier), f, d; R and W have as "
	"many\n"
	"                         segments as a request may have\n"
	"  --max-sectors=N        largest request (default: what the segments hold)\n"
	"  --span=N               use the first N sectors only\n"
	"  --plain=N              a load for measuring: requests of N sectors, nothing checked;\n"
	"                         prints its rate and latencies in a line of its own\n"
	"  --pause=US             plain: before each request, for --depth=1\n"
	"  --sequential           plain: one after the other, not at random\n"
	"  --odd                  segments begin and end anywhere in a page\n"
	"  --half=N               every request lies within the first or second half of 4096 "
	"bytes\n"
	"  --fill                 write every sector before the load of the first round\n"
	"  --verify-all           read everything back at the end of each round\n"
	"  --again                then do the load again at every SIGUSR1 (prints \"holding\" when "
	"done)\n"
	"  --after=FILE           send nothing before this file exists\n"
	"  --until=FILE           send until this file exists, or --requests are through\n"
	"  --in-use               go on when the backend wants to close, until all is sent\n"
	"  --hold                 then stay connected until the backend closes\n"
	"  --nbd=SOCKET           no load: be an NBD server on a Unix socket until SIGTERM\n"
	"  --attack=NAME          misbehave instead (--attack=list prints the names)\n"
	"  --seed=N               of the random choices (default 1)\n"
	"Prints \"connected\", then a line of figures. Exit status 0: all answers were\n"
	"right; 1: errors, wrong content or a broken protocol; 3: could not connect.\n";

enum {
	OPT_PROFILE = 256,
	OPT_ABI,
	OPT_NO_PROTOCOL,
	OPT_ORDER,
	OPT_RING_PAGES,
	OPT_QUEUES,
	OPT_SEGS,
	OPT_PERSISTENT,
	OPT_PURGE,
	OPT_DEPTH,
	OPT_REQUESTS,
	OPT_ROUNDS,
	OPT_MIX,
	OPT_OPS,
	OPT_MAX,
	OPT_SPAN,
	OPT_PLAIN,
	OPT_PAUSE,
	OPT_SEQUENTIAL,
	OPT_ODD,
	OPT_HALF,
	OPT_VERIFY,
	OPT_AGAIN,
	OPT_AFTER,
	OPT_UNTIL,
	OPT_IN_USE,
	OPT_HOLD,
	OPT_SEED,
	OPT_ATTACK,
	OPT_FILL,
	OPT_NBD,
	OPT_HELP
};

static const struct option long_options[] = { { "profile", 1, NULL, OPT_PROFILE },
					      { "abi", 1, NULL, OPT_ABI },
					      { "no-protocol", 0, NULL, OPT_NO_PROTOCOL },
					      { "ring-order", 1, NULL, OPT_ORDER },
					      { "ring-pages", 0, NULL, OPT_RING_PAGES },
					      { "queues", 1, NULL, OPT_QUEUES },
					      { "segs", 1, NULL, OPT_SEGS },
					      { "persistent", 0, NULL, OPT_PERSISTENT },
					      { "purge", 1, NULL, OPT_PURGE },
					      { "depth", 1, NULL, OPT_DEPTH },
					      { "requests", 1, NULL, OPT_REQUESTS },
					      { "rounds", 1, NULL, OPT_ROUNDS },
					      { "mix", 1, NULL, OPT_MIX },
					      { "ops", 1, NULL, OPT_OPS },
					      { "max-sectors", 1, NULL, OPT_MAX },
					      { "span", 1, NULL, OPT_SPAN },
					      { "plain", 1, NULL, OPT_PLAIN },
					      { "pause", 1, NULL, OPT_PAUSE },
					      { "sequential", 0, NULL, OPT_SEQUENTIAL },
					      { "odd", 0, NULL, OPT_ODD },
					      { "half", 1, NULL, OPT_HALF },
					      { "fill", 0, NULL, OPT_FILL },
					      { "verify-all", 0, NULL, OPT_VERIFY },
					      { "again", 0, NULL, OPT_AGAIN },
					      { "after", 1, NULL, OPT_AFTER },
					      { "until", 1, NULL, OPT_UNTIL },
					      { "in-use", 0, NULL, OPT_IN_USE },
					      { "hold", 0, NULL, OPT_HOLD },
					      { "nbd", 1, NULL, OPT_NBD },
					      { "attack", 1, NULL, OPT_ATTACK },
					      { "seed", 1, NULL, OPT_SEED },
					      { "help", 0, NULL, OPT_HELP },
					      { NULL, 0, NULL, 0 } };

static void bad_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static enum blk_profile profile_parse(const char *name)
{
	static const char *const names[] = {
		[BLK_LINUX] = "linux", [BLK_WINDOWS] = "windows",   [BLK_OVMF] = "ovmf",
		[BLK_KEXEC] = "kexec", [BLK_STRAIGHT] = "straight", [BLK_LEGACY] = "legacy"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], name))
			return (enum blk_profile)i;
	bad_usage();
	return BLK_LINUX;
}

static void option_apply(struct blk_options *o, int opt)
{
	switch (opt) {
	case OPT_PROFILE:
		o->profile = profile_parse(optarg);
		break;
	case OPT_ABI:
		o->abi = sim_number(usage, optarg, 32, 64) == 32 ? BLK_ABI_32 : BLK_ABI_64;
		break;
	case OPT_NO_PROTOCOL:
		o->no_protocol = true;
		break;
	case OPT_ORDER:
		o->ring_order = sim_number(usage, optarg, 0, 4);
		break;
	case OPT_RING_PAGES:
		o->ring_pages = true;
		break;
	case OPT_QUEUES:
		o->queues = sim_number(usage, optarg, 1, BLK_MAX_QUEUES);
		break;
	case OPT_SEGS:
		o->segs = sim_number(usage, optarg, 1, BLK_MAX_SEGS);
		break;
	case OPT_PERSISTENT:
		o->persistent = true;
		break;
	case OPT_PURGE:
		o->purge = sim_number(usage, optarg, 1, UINT32_MAX);
		break;
	case OPT_DEPTH:
		o->depth = sim_number(usage, optarg, 1, 512);
		break;
	case OPT_REQUESTS:
		o->requests = sim_number(usage, optarg, 0, UINT32_MAX);
		break;
	case OPT_ROUNDS:
		o->rounds = sim_number(usage, optarg, 1, 10000);
		break;
	case OPT_MAX:
		o->max_sectors = sim_number(usage, optarg, 1, 65536);
		break;
	case OPT_SPAN:
		o->span = sim_number(usage, optarg, 1, UINT32_MAX);
		break;
	case OPT_PLAIN:
		o->plain = sim_number(usage, optarg, 1, BLK_MAX_SEGS * BLK_PAGE_SECTORS);
		break;
	case OPT_PAUSE:
		o->pause_us = sim_number(usage, optarg, 0, 1000000);
		break;
	case OPT_SEQUENTIAL:
		o->sequential = true;
		break;
	case OPT_ODD:
		o->odd = true;
		break;
	case OPT_HALF:
		o->odd = true;
		o->half = sim_number(usage, optarg, 1, 2);
		break;
	case OPT_VERIFY:
		o->verify_all = true;
		break;
	case OPT_AGAIN:
		o->again = true;
		break;
	case OPT_AFTER:
		o->after = optarg;
		break;
	case OPT_UNTIL:
		o->until = optarg;
		break;
	case OPT_IN_USE:
		o->in_use = true;
		break;
	case OPT_HOLD:
		o->hold = true;
		break;
	case OPT_SEED:
		o->seed = sim_number(usage, optarg, 0, UINT32_MAX);
		break;
	case OPT_NBD:
		o->nbd = optarg;
		break;
	case OPT_FILL:
		o->fill = true;
		break;
	case OPT_ATTACK:
		o->attack = optarg;
		break;
	case OPT_MIX:
		if (sscanf(optarg, "%u:%u:%u:%u", &o->mix[0], &o->mix[1], &o->mix[2], &o->mix[3]) !=
		    4)
			bad_usage();
		break;
	case OPT_OPS:
		if (!*optarg || strspn(optarg, "rwbfdRW") != strlen(optarg))
			bad_usage();
		o->ops = optarg;
		break;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		bad_usage();
	}
}

static void options_parse(struct blk_options *o, int argc, char **argv)
{
	int opt;

	*o = (struct blk_options){ .queues = 1,
				   .segs = BLK_DIRECT_SEGS,
				   .depth = 32,
				   .requests = 2000,
				   .rounds = 1,
				   .mix = { 50, 48, 1, 1 },
				   .seed = 1 };
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		option_apply(o, opt);
	if (o->attack && !strcmp(o->attack, "list")) {
		blk_attack_list();
		exit(0);
	}
	if (argc - optind != 2)
		bad_usage();
	o->domid = sim_number(usage, argv[optind], 1, 0x7fef);
	o->devid = sim_number(usage, argv[optind + 1], 0, UINT32_MAX);
	if (!o->max_sectors)
		o->max_sectors = o->segs * BLK_PAGE_SECTORS;
}

static void report(const struct blk_front *f, int64_t ms)
{
	const struct blk_stats *s = &f->stats;
	double seconds = (double)(ms ? ms : 1) / 1000;

	printf("requests=%llu errors=%llu unsupported=%llu bad_content=%llu protocol_errors=%llu "
	       "notifies=%llu seconds=%.3f iops=%.0f MBps=%.1f first_ns=%llu\n",
	       (unsigned long long)s->done, (unsigned long long)s->errors,
	       (unsigned long long)s->unsupported, (unsigned long long)s->bad_content,
	       (unsigned long long)s->protocol_errors, (unsigned long long)s->notifies, seconds,
	       (double)s->done / seconds,
	       (double)(s->sectors_read + s->sectors_written) * BLK_SECTOR / 1e6 / seconds,
	       (unsigned long long)s->first_ns);
	fflush(stdout);
}

static volatile int signalled;

static void on_signal(int sig)
{
	(void)sig;
	signalled = 1;
}

static void take_signal(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t set;

	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int load(struct blk_front *f)
{
	int err;

	if (f->opt.nbd)
		return blk_nbd(f, f->opt.nbd);
	err = f->opt.plain ? blk_plain_run(f) : blk_load_run(f);
	if (!err && f->opt.verify_all && !blk_just_stops(f))
		err = blk_load_verify(f);
	return err;
}

static int one_round(struct blk_front *f, bool first, bool last)
{
	int err = blk_connect(f);

	if (err)
		return err;
	blk_load_init(f);
	printf("connected queues=%u pages=%u segs=%u persistent=%d sectors=%llu\n", f->nr_queues,
	       f->nr_ring_pages, f->max_segs, f->persistent, (unsigned long long)f->nr_sectors);
	fflush(stdout);
	if (f->opt.fill && first)
		err = blk_load_fill(f);
	if (!err)
		err = load(f);
	while (!err && last && (f->opt.hold || f->opt.again)) {
		puts("holding");
		fflush(stdout);
		if (blk_load_hold(f, &signalled))
			break;
		err = load(f);
	}
	if (err && err != -ECANCELED)
		return err;
	return blk_disconnect(f) ? -ETIMEDOUT : err;
}

/* In the middle of a kexec nobody knows which writes were done. */
static void forget_in_flight(struct blk_front *f)
{
	for (uint64_t i = 0; blk_just_stops(f) && i < f->span; i++) {
		if (f->holders[i] == 255)
			f->generation[i] = 0;
		f->holders[i] = 0;
	}
}

int main(int argc, char **argv)
{
	static struct blk_front f;
	int64_t start;
	int err;

	options_parse(&f.opt, argc, argv);
	bus_become(f.opt.domid, &f.guest, &f.xce);
	err = bus_open(&f.bus, "vbd", f.opt.devid);
	if (err)
		sim_die("vbd %u: %s", f.opt.devid, strerror(-err));
	if (f.opt.attack) {
		err = blk_attack(&f);
		printf("attack %s: %s\n", f.opt.attack, err ? "not answered as it must" : "ok");
		return err ? 1 : 0;
	}
	if (f.opt.again)
		take_signal();
	start = sim_now_ms();
	for (uint32_t i = 0; i < f.opt.rounds && !err; i++) {
		err = one_round(&f, !i, i + 1 == f.opt.rounds);
		forget_in_flight(&f);
	}
	report(&f, sim_now_ms() - start);
	bus_close(&f.bus);
	xenevtchn_close(f.xce);
	sim_guest_close(&f.guest);
	if (err && err != -ECANCELED)
		return f.stats.done ? 1 : 3;
	return f.stats.errors || f.stats.bad_content || f.stats.protocol_errors;
}
