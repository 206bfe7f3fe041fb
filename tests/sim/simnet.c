/* SPDX-License-Identifier: MIT */
/*
 * simnet - a guest's network frontend. It sends frames, which simpeer on the
 * other side of the vif checks and sends back, and checks what returns.
 */
#include "simnet.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define WARM_UP_MS 5000
#define LOSSY_MS   200 /* nothing for so long, where losses are expected */
#define MAX_WINDOW 1024u

static const char usage[] =
	"usage: simnet [OPTION...] DOMID DEVID\n"
	"  --kinds=LIST         of udp4,udp6,tcp4,tcp6,gso4,gso6,raw,vlan (default: udp4)\n"
	"  --frames=N           to send in each round (default 2000)\n"
	"  --rounds=N           connect, send and close so often (default 1)\n"
	"  --window=N           frames on the way at a time (default 64)\n"
	"  --size=MIN:MAX       bytes of a frame (default 60:1514)\n"
	"  --slots=N            most pieces of a frame (1-18, default 4)\n"
	"  --queues=N           queues to ask for (1-8)\n"
	"  --single-channel     one event channel per queue even if two could be had\n"
	"  --no-sg --no-gso     features not to offer\n"
	"  --csum6              take IPv6 frames with a blank checksum\n"
	"  --no-csum4           take no IPv4 frames with a blank checksum\n"
	"  --no-rx-notify       do not tell when receive buffers are posted\n"
	"  --freebsd            say no more than FreeBSD's driver does\n"
	"  --old                say no more than Linux 2.6.18's driver does\n"
	"  --expect=no-csum|no-gso|single-slot   complain of what comes nevertheless\n"
	"  --same-queue         complain of a flow that comes on another queue than it went\n"
	"  --lose=N             make each Nth receive buffer a bad one, and count what is lost\n"
	"  --windows            close and reopen at every start\n"
	"  --leave=close|kexec|straight   how a round ends: close; just stop, the next one\n"
	"                       goes through 5, 6 and 1; or it writes 1 at once\n"
	"  --idle=MS            nothing back for so long: what is out is lost (default 15000)\n"
	"  --until=FILE         send until this file exists, or --frames are through\n"
	"  --lossy              frames may be lost and come twice, nothing else: somebody is "
	"killed\n"
	"  --hold               once done stay connected until the backend closes\n"
	"  --plain=BYTES        a load for measuring: --frames of that size to the backend,\n"
	"                       nothing checked, timed; over 1514 bytes with GSO\n"
	"  --receive            plain: from the backend\n"
	"  --group              plain: to the address of a group, so that a bridge gives a copy to "
	"all\n"
	"  --blind              expect no frame back, only an answer to each that is sent\n"
	"  --attack=NAME        misbehave instead (--attack=list prints the names)\n"
	"  --check=NAME         hold this conversation instead (--check=list prints the names)\n"
	"  --seed=N             of the random choices\n"
	"Prints \"connected\", then a line of figures. Exit status 0: every frame came\n"
	"back right; 1: losses, wrong frames or a broken protocol; 3: not connected.\n";

enum {
	OPT_KINDS = 256,
	OPT_FRAMES,
	OPT_ROUNDS,
	OPT_WINDOW,
	OPT_SIZE,
	OPT_SLOTS,
	OPT_QUEUES,
	OPT_SINGLE,
	OPT_NO_SG,
	OPT_NO_GSO,
	OPT_CSUM6,
	OPT_NO_CSUM4,
	OPT_WINDOWS,
	OPT_LEAVE,
	OPT_IDLE,
	OPT_HOLD,
	OPT_BLIND,
	OPT_UNTIL,
	OPT_LOSSY,
	OPT_SEED,
	OPT_PLAIN,
	OPT_RECEIVE,
	OPT_GROUP,
	OPT_ATTACK,
	OPT_CHECK,
	OPT_SAME_QUEUE,
	OPT_LOSE,
	OPT_NO_RX_NOTIFY,
	OPT_FREEBSD,
	OPT_OLD,
	OPT_EXPECT,
	OPT_HELP
};

static const struct option long_options[] = { { "kinds", 1, NULL, OPT_KINDS },
					      { "frames", 1, NULL, OPT_FRAMES },
					      { "rounds", 1, NULL, OPT_ROUNDS },
					      { "window", 1, NULL, OPT_WINDOW },
					      { "size", 1, NULL, OPT_SIZE },
					      { "slots", 1, NULL, OPT_SLOTS },
					      { "queues", 1, NULL, OPT_QUEUES },
					      { "single-channel", 0, NULL, OPT_SINGLE },
					      { "no-sg", 0, NULL, OPT_NO_SG },
					      { "no-gso", 0, NULL, OPT_NO_GSO },
					      { "csum6", 0, NULL, OPT_CSUM6 },
					      { "no-csum4", 0, NULL, OPT_NO_CSUM4 },
					      { "windows", 0, NULL, OPT_WINDOWS },
					      { "leave", 1, NULL, OPT_LEAVE },
					      { "idle", 1, NULL, OPT_IDLE },
					      { "hold", 0, NULL, OPT_HOLD },
					      { "plain", 1, NULL, OPT_PLAIN },
					      { "receive", 0, NULL, OPT_RECEIVE },
					      { "group", 0, NULL, OPT_GROUP },
					      { "attack", 1, NULL, OPT_ATTACK },
					      { "check", 1, NULL, OPT_CHECK },
					      { "no-rx-notify", 0, NULL, OPT_NO_RX_NOTIFY },
					      { "freebsd", 0, NULL, OPT_FREEBSD },
					      { "old", 0, NULL, OPT_OLD },
					      { "expect", 1, NULL, OPT_EXPECT },
					      { "same-queue", 0, NULL, OPT_SAME_QUEUE },
					      { "lose", 1, NULL, OPT_LOSE },
					      { "seed", 1, NULL, OPT_SEED },
					      { "blind", 0, NULL, OPT_BLIND },
					      { "until", 1, NULL, OPT_UNTIL },
					      { "lossy", 0, NULL, OPT_LOSSY },
					      { "help", 0, NULL, OPT_HELP },
					      { NULL, 0, NULL, 0 } };

/* Frames in flight: payload bytes that are not back yet, by number modulo the window. */
struct flight {
	uint16_t number;
	size_t left;
};

static struct flight flights[MAX_WINDOW];
static uint32_t nr_flying;
static uint16_t next_number; /* of a frame */

static void bad_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static void kinds_parse(struct net_options *o, char *list)
{
	static const char *const names[NET_NR_KINDS] = { "udp4", "udp6", "tcp4", "tcp6",
							 "gso4", "gso6", "raw",  "vlan" };
	char *name;

	memset(o->kind, 0, sizeof(o->kind));
	while ((name = strsep(&list, ","))) {
		size_t i = 0;

		while (i < NET_NR_KINDS && strcmp(names[i], name))
			i++;
		if (i == NET_NR_KINDS)
			bad_usage();
		o->kind[i] = true;
	}
}

static enum net_leave leave_parse(const char *name)
{
	if (!strcmp(name, "kexec"))
		return NET_KEXEC;
	if (!strcmp(name, "straight"))
		return NET_STRAIGHT;
	if (strcmp(name, "close"))
		bad_usage();
	return NET_CLOSE;
}

static void option_apply(struct net_options *o, int opt)
{
	switch (opt) {
	case OPT_KINDS:
		kinds_parse(o, optarg);
		break;
	case OPT_FRAMES:
		o->frames = sim_number(usage, optarg, 0, UINT32_MAX);
		break;
	case OPT_ROUNDS:
		o->rounds = sim_number(usage, optarg, 1, 10000);
		break;
	case OPT_WINDOW:
		o->window = sim_number(usage, optarg, 1, MAX_WINDOW);
		break;
	case OPT_SIZE:
		if (sscanf(optarg, "%zu:%zu", &o->min_len, &o->max_len) != 2 ||
		    o->min_len > o->max_len || o->max_len > NET_FRAME_MAX)
			bad_usage();
		break;
	case OPT_SLOTS:
		o->max_slots = sim_number(usage, optarg, 1, NET_MAX_SLOTS);
		break;
	case OPT_QUEUES:
		o->queues = sim_number(usage, optarg, 1, NET_MAX_QUEUES);
		break;
	case OPT_SINGLE:
		o->split = false;
		break;
	case OPT_NO_SG:
		o->sg = o->gso4 = o->gso6 = false;
		break;
	case OPT_NO_GSO:
		o->gso4 = o->gso6 = false;
		break;
	case OPT_CSUM6:
		o->csum6 = true;
		break;
	case OPT_NO_CSUM4:
		o->no_csum4 = true;
		break;
	case OPT_WINDOWS:
		o->windows = true;
		break;
	case OPT_LEAVE:
		o->leave = leave_parse(optarg);
		break;
	case OPT_IDLE:
		o->idle_ms = (int)sim_number(usage, optarg, 1, 60000);
		break;
	case OPT_HOLD:
		o->hold = true;
		break;
	case OPT_BLIND:
		o->blind = true;
		break;
	case OPT_UNTIL:
		o->until = optarg;
		break;
	case OPT_LOSSY:
		o->lossy = true;
		break;
	case OPT_SEED:
		o->seed = sim_number(usage, optarg, 0, UINT32_MAX);
		break;
	case OPT_PLAIN:
		o->plain = sim_number(usage, optarg, 60, 61440);
		break;
	case OPT_RECEIVE:
		o->receive = true;
		break;
	case OPT_GROUP:
		o->group = true;
		break;
	case OPT_ATTACK:
		o->attack = optarg;
		break;
	case OPT_NO_RX_NOTIFY:
		o->no_rx_notify = true;
		break;
	case OPT_OLD:
		o->old = true;
		break;
	case OPT_FREEBSD:
		o->freebsd = true;
		break;
	case OPT_EXPECT:
		o->expect = optarg;
		break;
	case OPT_SAME_QUEUE:
		o->same_queue = true;
		break;
	case OPT_LOSE:
		o->lose = sim_number(usage, optarg, 2, 1000000);
		break;
	case OPT_CHECK:
		o->check = optarg;
		break;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		bad_usage();
	}
}

static void options_parse(struct net_options *o, int argc, char **argv)
{
	int opt;

	*o = (struct net_options){ .queues = 1,
				   .split = true,
				   .sg = true,
				   .gso4 = true,
				   .gso6 = true,
				   .frames = 2000,
				   .rounds = 1,
				   .window = 64,
				   .min_len = 60,
				   .max_len = 1514,
				   .max_slots = 4,
				   .idle_ms = 15000,
				   .seed = 1 };
	o->kind[NET_UDP4] = true;
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		option_apply(o, opt);
	if (o->attack && !strcmp(o->attack, "list")) {
		net_attack_list();
		exit(0);
	}
	if (o->check && !strcmp(o->check, "list")) {
		net_check_list();
		exit(0);
	}
	if (argc - optind != 2)
		bad_usage();
	o->domid = sim_number(usage, argv[optind], 1, 0x7fef);
	o->devid = sim_number(usage, argv[optind + 1], 0, 255);
}

static uint32_t pick(struct net_front *f, uint32_t limit)
{
	f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
	return limit ? (uint32_t)((f->random >> 33) % limit) : 0;
}

/* Frames without ports have no flow, and stay on queue 0. */
static enum net_kind pick_kind(struct net_front *f, uint32_t flow)
{
	for (;;) {
		enum net_kind kind = (enum net_kind)pick(f, NET_NR_KINDS);

		if (!f->opt.kind[kind] || (kind == NET_RAW && flow))
			continue;
		if ((kind == NET_GSO4 && !f->gso4) || (kind == NET_GSO6 && !f->gso6))
			return kind == NET_GSO4 ? NET_TCP4 : NET_TCP6;
		return kind;
	}
}

static size_t pick_len(struct net_front *f, enum net_kind kind)
{
	size_t min = f->opt.min_len, max = f->opt.max_len, least = net_frame_min(kind);

	if (kind == NET_GSO4 || kind == NET_GSO6)
		max = NET_FRAME_MAX;
	else if (!f->sg && max > SIM_PAGE_SIZE)
		max = SIM_PAGE_SIZE;
	if (min < least)
		min = least;
	return min + pick(f, (uint32_t)(max - min + 1));
}

/* May the backend get this kind with its checksum still to be filled in? */
static bool may_be_blank(const struct net_front *f, enum net_kind kind)
{
	if (kind == NET_RAW || kind == NET_VLAN)
		return false;
	return kind == NET_UDP6 || kind == NET_TCP6 || kind == NET_GSO6 ? f->csum6 : true;
}

static void send_one(struct net_front *f, struct net_queue *q, uint16_t frame_number)
{
	static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 1 };
	static uint8_t buf[NET_FRAME_MAX];
	uint32_t flow = (uint32_t)(q - f->queue);
	struct net_frame frame = { .kind = pick_kind(f, flow),
				   .number = frame_number,
				   .flow = (uint8_t)flow };
	struct flight *fl = &flights[frame_number % f->opt.window];
	uint32_t gso_size = 0, slots, least;
	bool blank;

	frame.len = pick_len(f, frame.kind);
	if (frame.kind == NET_GSO4 || frame.kind == NET_GSO6)
		gso_size = frame.kind == NET_GSO4 ? NET_MSS4 : NET_MSS6;
	blank = gso_size || (may_be_blank(f, frame.kind) && pick(f, 2));
	net_frame_build(buf, &frame, f->mac, peer_mac, blank);
	least = (uint32_t)((frame.len + SIM_PAGE_SIZE - 1) / SIM_PAGE_SIZE);
	slots = f->sg ? 1 + pick(f, f->opt.max_slots) : 1;
	net_tx_put(f, q, buf, &frame, slots < least ? least : slots, blank, gso_size);
	*fl = (struct flight){ .number = frame_number, .left = frame.payload };
	next_number = (uint16_t)(frame_number + 1);
	nr_flying++;
	f->stats.sent++;
}

static void flight_landed(struct net_front *f, const struct net_frame *frame)
{
	struct flight *fl = &flights[frame->number % f->opt.window];

	if (f->opt.lossy && fl->number == frame->number && frame->payload > fl->left)
		f->stats.doubled++;
	if (!fl->left || fl->number != frame->number)
		return; /* late: counted as lost already */
	if (frame->payload > fl->left && f->opt.lossy) {
		fl->left = 0; /* in segments, some of them twice */
	} else if (frame->payload > fl->left) {
		net_protocol_error(f, "more bytes came back than were sent: frame", frame->number);
		fl->left = 0;
	} else {
		fl->left -= frame->payload;
	}
	if (!fl->left) {
		nr_flying--;
		f->stats.received++;
	}
}

/* The last frame of each flow that came on each queue. */
static struct seen {
	bool any;
	uint16_t number;
	uint32_t end;  /* of its payload */
	uint64_t sent; /* frames, until then */
} seen[NET_MAX_QUEUES][NET_MAX_QUEUES];

/* With losses, a frame does not come any more when a later one of its flow has come. */
static void expire_older(struct net_front *f, const struct seen *last,
			 const struct net_frame *frame)
{
	for (uint16_t n = (uint16_t)(last->number + 1); n != frame->number; n++) {
		struct flight *fl = &flights[n % f->opt.window];

		if (fl->left && fl->number == n && n % f->nr_queues == frame->flow) {
			fl->left = 0;
			nr_flying--;
		}
	}
}

/*
 * Of one flow nothing comes twice and nothing overtakes; segments of one frame follow each other. That holds on each
 * queue by itself: the host learns by what a guest sends which queue a flow has, and may have sent the first frames
 * back by another before it knew. Numbers come again after 65,536 frames.
 */
static void order_judge(struct net_front *f, const struct net_frame *frame)
{
	struct seen *last = &seen[frame->flow][f->packet.queue];
	bool any = last->any && f->stats.sent - last->sent < INT16_MAX;
	int16_t step = (int16_t)(frame->number - last->number);
	bool next = step > 0 || (step == 0 && frame->start == last->end);

	if (any && !next && f->stats.disordered++ < 10)
		fprintf(stderr, "simnet: frame %u of flow %u came behind %u\n", frame->number,
			frame->flow, last->number);
	if (any && step > 0 && f->opt.lose)
		expire_older(f, last, frame);
	*last = (struct seen){ .any = true,
			       .number = frame->number,
			       .end = frame->start + (uint32_t)frame->payload,
			       .sent = f->stats.sent };
}

/*
 * The host learns the queue of a flow right after it has passed the flow's first frame on, so that frame may come back
 * before. What is sent once one is back comes by the flow's queue. Each kind of frame is a flow of its own to the host.
 */
static void queue_judge(struct net_front *f, const struct net_frame *frame)
{
	static struct {
		bool any, all;
		uint16_t
			from; /* the number of the frame that was sent next when the first was back */
	} learnt[NET_MAX_QUEUES][NET_NR_KINDS], *l;
	int16_t since;

	if (frame->kind == NET_RAW)
		return;
	l = &learnt[frame->flow][frame->kind];
	if (!l->any)
		l->from = next_number;
	l->any = true;
	since = (int16_t)(frame->number - l->from);
	l->all |= since >= (int32_t)f->opt.window; /* all that was on the way then is back */
	if ((l->all || since >= 0) && f->packet.queue != frame->flow)
		net_protocol_error(f, "a flow on another queue than it went", frame->flow);
}

static void packet_judge(struct net_front *f)
{
	struct net_packet *p = &f->packet;
	struct net_frame frame;
	const char *wrong;

	if (p->failed) {
		f->stats.failed++;
		return;
	}
	wrong = net_frame_check(p->data, p->len, p->blank, &frame);

	if (wrong && !*wrong) {
		f->stats.other++; /* frames that the host sends by itself */
		return;
	}
	if (wrong) {
		if (f->stats.bad++ < 10)
			fprintf(stderr, "simnet: wrong %s in a frame of %zu bytes, kind %d\n",
				wrong, p->len, frame.kind);
		return;
	}
	if (p->blank && f->opt.no_csum4 && (frame.kind == NET_UDP4 || frame.kind == NET_TCP4))
		net_protocol_error(f, "blank IPv4 checksum that was refused", frame.number);
	if (p->blank && !f->opt.csum6 && !p->gso_type &&
	    (frame.kind == NET_UDP6 || frame.kind == NET_TCP6))
		net_protocol_error(f, "blank IPv6 checksum that was not offered", frame.number);
	if (p->blank && frame.kind == NET_VLAN)
		net_protocol_error(f, "blank checksum in a tagged frame", frame.number);
	f->stats.segments++;
	f->stats.bytes += p->len;
	if (frame.flow < NET_MAX_QUEUES)
		order_judge(f, &frame);
	if (f->opt.same_queue && frame.flow < NET_MAX_QUEUES)
		queue_judge(f, &frame);
	flight_landed(f, &frame);
}

static bool receive(struct net_front *f)
{
	bool any = false;

	for (uint32_t i = 0; i < f->nr_queues; i++) {
		struct net_queue *q = &f->queue[i];

		do {
			net_tx_reap(f, q);
			while (net_rx_take(f, q)) {
				packet_judge(f);
				any = true;
			}
			net_rx_refill(f, q);
		} while (net_wait_wanted(f, q) && !f->stats.protocol_errors);
	}
	return any;
}

/* 0, -ETIMEDOUT when nothing came for long, -ECANCELED when the backend closes. */
static int wait_event(struct net_front *f)
{
	bool loses = f->opt.lossy || f->opt.lose;
	struct pollfd p[2] = { { .fd = xenevtchn_fd(f->xce), .events = POLLIN },
			       { .fd = xs_fileno(f->bus.xs), .events = POLLIN } };
	int port;

	if (poll(p, 2, loses ? LOSSY_MS : f->opt.idle_ms * sim_slowness()) <= 0)
		return -ETIMEDOUT;
	if (p[0].revents) {
		port = xenevtchn_pending(f->xce);
		if (port > 0)
			xenevtchn_unmask(f->xce, (evtchn_port_t)port);
	}
	if (p[1].revents) {
		bus_drain(&f->bus);
		if (bus_back_state(&f->bus) != BUS_CONNECTED)
			return -ECANCELED;
	}
	return 0;
}

static bool has_room(const struct net_queue *q)
{
	return net_tx_room(q) >= NET_MAX_SLOTS + 2;
}

/* Fill the window: a number may be used again when its last frame is back. */
static void feed(struct net_front *f, uint64_t *left, uint16_t *next)
{
	while (*left && !flights[*next % f->opt.window].left) {
		struct net_queue *q = &f->queue[*next % f->nr_queues];

		if (!has_room(q))
			break;
		send_one(f, q, (*next)++);
		(*left)--;
	}
	for (uint32_t i = 0; i < f->nr_queues; i++)
		net_tx_push(f, &f->queue[i]);
}

static void give_up_flights(struct net_front *f)
{
	for (uint32_t i = 0; i < f->opt.window; i++) {
		if (!flights[i].left)
			continue;
		flights[i].left = 0;
		f->stats.lost++;
	}
	nr_flying = 0;
}

/*
 * A link that has just come up drops what the host sends until its queue is
 * started: send single frames until one comes back.
 */
static int warm_up(struct net_front *f, uint16_t *next)
{
	int64_t end = sim_now_ms() + WARM_UP_MS * sim_slowness();
	int err = 0;

	f->stats.received = 0;
	while (!f->stats.received && err != -ECANCELED && sim_now_ms() < end) {
		int64_t again = sim_now_ms() + 50;

		if (has_room(&f->queue[0])) { /* nobody answers while no backend runs */
			send_one(f, &f->queue[0], (*next)++);
			net_tx_push(f, &f->queue[0]);
		}
		while (!f->stats.received && err != -ECANCELED && sim_now_ms() < again) {
			struct pollfd p = { .fd = xenevtchn_fd(f->xce), .events = POLLIN };

			if (!receive(f) && poll(&p, 1, 10) > 0)
				err = wait_event(f);
		}
	}
	give_up_flights(f);
	return err == -ECANCELED ? err : 0;
}

static bool all_answered(const struct net_front *f)
{
	for (uint32_t i = 0; i < f->nr_queues; i++)
		if (net_tx_room(&f->queue[i]) < NET_RING_SIZE)
			return false;
	return true;
}

/* All frames are sent and answered; it does not matter which come back. */
static int load_blind(struct net_front *f)
{
	static uint16_t next;

	uint64_t left = f->opt.frames;
	int err = 0;

	while (err != -ECANCELED) {
		give_up_flights(f);
		feed(f, &left, &next);
		receive(f);
		if (!left && all_answered(f))
			break;
		err = wait_event(f);
	}
	give_up_flights(f);
	f->stats.lost = 0;
	return err == -ECANCELED ? err : 0;
}

/*
 * Nothing came for a while. Bad buffers have swallowed frames, and we do not know which. A later frame of each flow shows that.
 * If nothing comes even then, the frames in flight are lost.
 */
static void after_silence(struct net_front *f, uint64_t *left, int *silent_ms)
{
	*silent_ms += LOSSY_MS;
	if (f->opt.lose && *silent_ms < f->opt.idle_ms * sim_slowness())
		*left += f->nr_queues;
	else
		give_up_flights(f);
}

static int load(struct net_front *f)
{
	static uint16_t next;
	uint64_t left = f->opt.frames;
	struct net_stats before = f->stats;
	int err = warm_up(f, &next), silent_ms = 0;

	f->stats.sent = before.sent;
	f->stats.received = before.received;
	f->stats.lost = before.lost;
	f->stats.disordered = before.disordered;
	while ((left || nr_flying) && err != -ECANCELED && !f->stats.protocol_errors &&
	       !f->stats.bad) {
		feed(f, &left, &next);
		if (receive(f)) {
			silent_ms = 0;
			continue;
		}
		err = wait_event(f);
		if (err == -ETIMEDOUT)
			after_silence(f, &left, &silent_ms);
		if (f->opt.until && !access(f->opt.until, F_OK))
			left = 0;
	}
	give_up_flights(f);
	return err == -ECANCELED ? err : 0;
}

static void hold(struct net_front *f)
{
	puts("holding");
	fflush(stdout);
	for (;;) {
		int err = wait_event(f);

		if (err == -ECANCELED)
			return;
		receive(f);
	}
}

static int one_round(struct net_front *f, bool last)
{
	int err = net_connect(f);

	if (err)
		return err;
	printf("connected queues=%u split=%d sg=%d gso=%d/%d csum6=%d\n", f->nr_queues, f->split,
	       f->sg, f->gso4, f->gso6, f->csum6);
	fflush(stdout);
	err = f->opt.plain ? net_plain(f) : f->opt.blind ? load_blind(f) : load(f);
	if (!err && last && f->opt.hold)
		hold(f);
	return net_disconnect(f) ? -ETIMEDOUT : err;
}

static void report(const struct net_front *f, int64_t ms)
{
	const struct net_stats *s = &f->stats;
	double seconds = (double)(ms ? ms : 1) / 1000;

	printf("sent=%llu back=%llu lost=%llu bad=%llu tx_errors=%llu protocol_errors=%llu "
	       "disordered=%llu failed=%llu other=%llu packets=%llu doubled=%llu seconds=%.3f "
	       "pps=%.0f Mbps=%.1f\n",
	       (unsigned long long)s->sent, (unsigned long long)s->received,
	       (unsigned long long)s->lost, (unsigned long long)s->bad,
	       (unsigned long long)s->tx_errors, (unsigned long long)s->protocol_errors,
	       (unsigned long long)s->disordered, (unsigned long long)s->failed,
	       (unsigned long long)s->other, (unsigned long long)s->segments,
	       (unsigned long long)s->doubled, seconds, (double)s->received / seconds,
	       (double)s->bytes * 8 / 1e6 / seconds);
}

static void read_mac(struct net_front *f)
{
	char *node = sim_asprintf("%s/mac", f->bus.front);
	char *mac = xs_read(f->bus.xs, XBT_NULL, node, NULL);
	unsigned int b[6] = { 0 };

	if (mac)
		sscanf(mac, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]);
	for (int i = 0; i < 6; i++)
		f->mac[i] = (uint8_t)b[i];
	free(mac);
	free(node);
}

int main(int argc, char **argv)
{
	static struct net_front f;
	int64_t start;
	int err;

	options_parse(&f.opt, argc, argv);
	f.random = f.opt.seed;
	bus_become(f.opt.domid, &f.guest, &f.xce);
	err = bus_open(&f.bus, "vif", f.opt.devid);
	if (err)
		sim_die("vif %u: %s", f.opt.devid, strerror(-err));
	read_mac(&f);
	if (f.opt.attack) {
		err = net_attack(&f);
		printf("attack %s: %s\n", f.opt.attack, err ? "not answered as it must" : "ok");
		return err ? 1 : 0;
	}
	if (f.opt.check) {
		err = net_check(&f);
		printf("check %s: %s\n", f.opt.check, err ? strerror(-err) : "ok");
		return err ? 1 : 0;
	}
	start = sim_now_ms();
	for (uint32_t i = 0; i < f.opt.rounds && !err; i++)
		err = one_round(&f, i + 1 == f.opt.rounds);
	report(&f, sim_now_ms() - start);
	bus_close(&f.bus);
	xenevtchn_close(f.xce);
	sim_guest_close(&f.guest);
	if (err && err != -ECANCELED)
		return f.stats.sent ? 1 : 3;
	if (f.stats.bad || f.stats.protocol_errors || f.stats.tx_errors)
		return 1;
	return !f.opt.lossy &&
	       (f.stats.lost || f.stats.disordered || (f.stats.failed && !f.opt.lose));
}
