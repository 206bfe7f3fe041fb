/* SPDX-License-Identifier: MIT */
/*
 * net_check.c - conversations of an honest frontend with its backend.
 *
 * The peer sends each frame back to the address it came from, in order. So a frame from a group's
 * address asks "would a frame to that group reach me?", and one more from our own address says when the
 * answer is complete: no clock decides.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_slots.h"
#include "net_talk.h"
#include "util.h"

/* Whether a frame to `group` reaches us: 1 or 0, or -errno. */
static int reaches(struct net_front *f, const uint8_t *group)
{
	static uint16_t number;
	uint16_t question = ++number, mark = ++number;
	bool came = false;
	int got, err = net_send_from(f, group, question);

	if (!err)
		err = net_send_from(f, f->mac, mark);
	if (err)
		return err;
	do {
		got = net_receive_number(f);
		came = came || got == question;
	} while (got >= 0 && got != mark);
	return got < 0 ? got : came;
}

/* --- multicast control --- */

static const uint8_t *group(unsigned int last)
{
	static uint8_t address[6] = { 1, 0, 0x5e, 0, 1, 0 };

	address[5] = (uint8_t)last;
	return address;
}

static int change(struct net_front *f, uint8_t type, const uint8_t *address, enum verdict verdict)
{
	const struct net_slot slots[2] = {
		{ .size = 60, .flags = TX_EXTRA_INFO },
		{ .is_extra = true, .extra_type = type, .group = address },
	};

	return net_try_slots(f, slots, 2, verdict);
}

static int connect_with_groups(struct net_front *f)
{
	int err;

	f->opt.groups = true;
	err = net_connect(f);
	return err ? err : net_warm_up(f);
}

static int fill_list(struct net_front *f)
{
	int err = 0;

	for (unsigned int i = 0; i < 64 && !err; i++)
		err = change(f, EXTRA_MCAST_ADD, group(i), MUST_WORK);
	if (!err)
		err = change(f, EXTRA_MCAST_ADD, group(64), MUST_ERROR);
	if (!err)
		err = change(f, EXTRA_MCAST_DEL, group(63), MUST_WORK);
	return err ? err : change(f, EXTRA_MCAST_ADD, group(64), MUST_WORK);
}

static int multicast(struct net_front *f)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	int err = connect_with_groups(f);

	if (err)
		return err;
	if (reaches(f, group(1)) != 0)
		return net_failed("a group that was not asked for reaches us");
	if (reaches(f, everybody) != 1)
		return net_failed("a broadcast does not reach us");
	if (change(f, EXTRA_MCAST_ADD, group(1), MUST_WORK) ||
	    change(f, EXTRA_MCAST_ADD, f->mac, MUST_ERROR))
		return net_failed("the list takes the wrong addresses");
	if (reaches(f, group(1)) != 1 || reaches(f, group(2)) != 0)
		return net_failed("an added group does not reach us, or another does");
	if (change(f, EXTRA_MCAST_DEL, group(1), MUST_WORK) || reaches(f, group(1)) != 0)
		return net_failed("a removed group reaches us");
	if (fill_list(f))
		return net_failed("64 groups are not what the list takes");
	if (reaches(f, group(64)) != 1 || reaches(f, group(63)) != 0)
		return net_failed("a full list passes the wrong groups");
	return 0;
}

/* The key may change at any time; the list stays. NULL removes the key. */
static int becomes(struct net_front *f, const char *request, const uint8_t *address, int wanted)
{
	int64_t end = sim_now_ms() + NET_EVENTUALLY_MS * sim_slowness();
	int now;

	if (request)
		bus_write(&f->bus, XBT_NULL, "request-multicast-control", "%s", request);
	else
		bus_remove(&f->bus, XBT_NULL, "request-multicast-control");
	do {
		now = reaches(f, address);
	} while (now >= 0 && now != wanted && sim_now_ms() < end);
	if (now == wanted)
		return 0;
	fprintf(stderr, "simnet: request-multicast-control=%s is not heard\n",
		request ? request : "(none)");
	return -EPROTO;
}

static int multicast_dynamic(struct net_front *f)
{
	int err = net_connect(f);

	if (!err)
		err = net_warm_up(f);
	if (!err && reaches(f, group(1)) != 1)
		return net_failed("groups are filtered before anybody asked");
	if (!err)
		err = change(f, EXTRA_MCAST_ADD, group(2), MUST_WORK);
	if (!err)
		err = becomes(f, "1", group(1), 0);
	if (!err && reaches(f, group(2)) != 1)
		return net_failed("what was added before is forgotten");
	if (!err)
		err = becomes(f, "0", group(1), 1);
	if (!err)
		err = becomes(f, "1", group(1), 0);
	bus_write(&f->bus, XBT_NULL, "request-multicast-control", "%s", "perhaps");
	if (!err && reaches(f, group(1)) != 0)
		return net_failed("nonsense was taken for a wish");
	return err ? err : becomes(f, NULL, group(1), 1);
}

static int multicast_restart(struct net_front *f)
{
	int err = connect_with_groups(f);

	if (!err)
		err = change(f, EXTRA_MCAST_ADD, group(1), MUST_WORK);
	if (!err)
		err = net_wait_for_go();
	if (err)
		return err;
	if (reaches(f, group(1)) != 1 || reaches(f, group(2)) != 0)
		return net_failed("the list is another one after the restart");
	return change(f, EXTRA_MCAST_ADD, group(2), MUST_WORK) || reaches(f, group(2)) != 1
		       ? net_failed("the list cannot be changed after the restart")
		       : 0;
}

/* The list is lost while the script waits. */
static int multicast_lost(struct net_front *f)
{
	int err = connect_with_groups(f);

	if (!err && reaches(f, group(1)) != 0)
		return net_failed("a group that was not asked for reaches us");
	if (!err)
		err = net_wait_for_go();
	if (err)
		return err;
	return reaches(f, group(1)) == 1 ? 0 : net_failed("a lost list keeps frames from us");
}

/* --- the control ring --- */

enum { ALGORITHM = 7, GET_TYPES = 1, SET_TYPES = 2, KEY = 3, GET_SIZE = 4, SET_SIZE = 5, MAP = 6 };
enum { SUCCESS = 0, NOT_SUPPORTED = 1, INVALID = 2, OVERFLOW = 3 };

static const uint8_t key[40] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
				 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
				 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
				 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa };

#define MAPPING 100u

static uint32_t mapped_queue(const struct net_front *f, uint32_t index)
{
	return (index * 7 + 1) % f->nr_queues;
}

static void put_data(struct net_front *f, const void *data, size_t len)
{
	memcpy(sim_guest_addr(&f->guest, f->ctrl.data_gfn), data, len);
}

/* A request must have that status; `data` is what the response must hold, if not -1. */
static int ask(struct net_front *f, uint16_t type, uint32_t data0, uint32_t data1, uint32_t data2,
	       int status, int64_t data)
{
	uint32_t got_data;
	int got = net_ctrl_ask(f, type, data0, data1, data2, &got_data);

	if (got == status && (data < 0 || data == got_data))
		return 0;
	fprintf(stderr, "simnet: control request %u (%u %u %u) got %d, data %u\n", type, data0,
		data1, data2, got, got_data);
	return -EPROTO;
}

static int set_hashing(struct net_front *f, uint32_t types)
{
	uint32_t mapping[MAPPING];
	int err = ask(f, ALGORITHM, 1, 0, 0, SUCCESS, 0);

	if (!err)
		err = ask(f, SET_TYPES, types, 0, 0, SUCCESS, 0);
	put_data(f, key, sizeof(key));
	if (!err)
		err = ask(f, KEY, f->ctrl.data_ref, sizeof(key), 0, SUCCESS, 0);
	if (!err)
		err = ask(f, SET_SIZE, MAPPING, 0, 0, SUCCESS, 0);
	for (uint32_t i = 0; i < MAPPING; i++)
		mapping[i] = mapped_queue(f, i);
	put_data(f, mapping, sizeof(mapping));
	return err ? err : ask(f, MAP, f->ctrl.data_ref, MAPPING, 0, SUCCESS, 0);
}

static int connect_cold(struct net_front *f, uint32_t nr_queues)
{
	int err;

	f->opt.ctrl = true;
	f->opt.queues = nr_queues;
	err = net_connect(f);
	return !err && f->nr_queues != nr_queues ? net_failed("too few queues are offered") : err;
}

static int connect_with_ctrl(struct net_front *f, uint32_t nr_queues)
{
	int err = connect_cold(f, nr_queues);

	return err ? err : net_warm_up(f);
}

/* Each message, right and wrong. */
static int ctrl(struct net_front *f)
{
	const uint32_t no_queue = 4, bad_ref = SIM_NO_GRANT;
	int err = connect_with_ctrl(f, 1);
	uint32_t ref = f->ctrl.data_ref;

	if (err)
		return err;
	err |= ask(f, GET_TYPES, 0, 0, 0, NOT_SUPPORTED, -1);
	err |= ask(f, SET_TYPES, 1, 0, 0, INVALID, -1);
	err |= ask(f, ALGORITHM, 2, 0, 0, INVALID, -1);
	err |= ask(f, ALGORITHM, 1, 0, 0, SUCCESS, 0);
	err |= ask(f, GET_TYPES, 0, 0, 0, SUCCESS, 15);
	err |= ask(f, SET_TYPES, 16, 0, 0, INVALID, -1);
	err |= ask(f, GET_SIZE, 0, 0, 0, SUCCESS, 128);
	err |= ask(f, SET_SIZE, 129, 0, 0, INVALID, -1);
	err |= ask(f, MAP, ref, 1, 0, INVALID, -1);
	err |= ask(f, SET_SIZE, 4, 0, 0, SUCCESS, 0);
	put_data(f, &no_queue, sizeof(no_queue));
	err |= ask(f, MAP, ref, 1, 0, INVALID, -1);
	err |= ask(f, MAP, ref, 2, 3, INVALID, -1);
	err |= ask(f, MAP, ref, 2, UINT32_MAX, INVALID, -1);
	err |= ask(f, MAP, ref, UINT32_MAX, 0, OVERFLOW, -1);
	err |= ask(f, MAP, bad_ref, 1, 0, INVALID, -1);
	err |= ask(f, KEY, ref, 41, 0, OVERFLOW, -1);
	err |= ask(f, KEY, bad_ref, 40, 0, INVALID, -1);
	err |= ask(f, KEY, bad_ref, 0, 0, SUCCESS, 0);
	for (uint16_t type = 8; type < 12; type++)
		err |= ask(f, type, 0, 0, 0, NOT_SUPPORTED, -1);
	err |= ask(f, 0, 0, 0, 0, NOT_SUPPORTED, -1);
	err |= ask(f, 65535, 0, 0, 0, NOT_SUPPORTED, -1);
	return err | set_hashing(f, 15);
}

/* --- hashes --- */

/* A frame of that kind and flow; the next one that comes back is it. 0 or -errno. */
static int bounce(struct net_front *f, enum net_kind kind, uint8_t flow, uint32_t via)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
	static uint8_t buf[NET_FRAME_MAX];
	static uint16_t number = 1000;
	struct net_frame frame = { .kind = kind, .len = 200, .number = ++number, .flow = flow };
	struct net_queue *q = &f->queue[via];
	int got;

	net_frame_build(buf, &frame, f->mac, peer, false);
	net_tx_put(f, q, buf, &frame, 1, false, 0);
	net_tx_push(f, q);
	do {
		got = net_receive_number(f);
	} while (got >= 0 && got != number);
	net_tx_reap(f, q);
	return got < 0 ? got : 0;
}

/* The hash of what is in f->packet, and its type; false when none is due. */
static bool own_hash(const struct net_front *f, uint32_t types, uint32_t *type, uint32_t *hash)
{
	const uint8_t *p = f->packet.data;
	uint8_t input[36];
	bool v6 = p[12] == 0x86;
	uint32_t addresses = v6 ? 32 : 8;
	bool tcp = (v6 ? p[20] : p[23]) == 6 && (types >> (v6 ? 3 : 1) & 1);

	*type = (v6 ? 2u : 0u) + tcp;
	if (!(types >> *type & 1))
		return false;
	memcpy(input, p + (v6 ? 22 : 26), addresses);
	memcpy(input + addresses, p + (v6 ? 54 : 34), 4);
	*hash = net_toeplitz(key, input, addresses + (tcp ? 4 : 0));
	return true;
}

static int judge_hash(struct net_front *f, uint32_t types, bool judge_queue)
{
	uint32_t type, hash;
	bool due = own_hash(f, types, &type, &hash);

	if (due != f->packet.hashed)
		return net_failed(due ? "a hash is missing" : "a hash that was not wanted");
	if (due && (type != f->packet.hash_type || hash != f->packet.hash))
		return net_failed("a wrong hash");
	if (due && judge_queue && f->packet.queue != mapped_queue(f, hash % MAPPING))
		return net_failed("a frame on another queue than its hash says");
	return 0;
}

static int judge_flows(struct net_front *f, uint32_t types, bool judge_queue)
{
	static const enum net_kind kinds[] = { NET_UDP4, NET_TCP4, NET_UDP6, NET_TCP6 };
	int err = 0;

	for (uint8_t flow = 0; flow < 16 && !err; flow++)
		for (unsigned int k = 0; k < 4 && !err; k++) {
			err = bounce(f, kinds[k], flow, flow % f->nr_queues);
			if (!err)
				err = judge_hash(f, types, judge_queue);
		}
	return err;
}

static int hash_extra(struct net_front *f)
{
	int err = connect_with_ctrl(f, 1);

	if (!err)
		err = judge_flows(f, 0, false);
	for (uint32_t types = 0; types < 16 && !err; types++) {
		err = set_hashing(f, types);
		if (!err)
			err = judge_flows(f, types, false);
	}
	if (!err)
		err = ask(f, ALGORITHM, 0, 0, 0, SUCCESS, 0);
	return err ? err : judge_flows(f, 0, false);
}

/* A request is answered before the kernel has the change. So wait until a frame has come on the right queue for each flow. */
static int until_steered(struct net_front *f)
{
	int64_t end = sim_now_ms() + (int64_t)NET_EVENTUALLY_MS * sim_slowness();
	uint32_t type, hash, queue;
	int err = 0;

	for (uint8_t flow = 0; flow < 16 && !err;) {
		err = bounce(f, NET_UDP4, flow, flow % f->nr_queues);
		queue = own_hash(f, 15, &type, &hash) ? mapped_queue(f, hash % MAPPING) : 0;
		if (!err && f->packet.queue == queue)
			flow++;
		else if (!err && sim_now_ms() > end)
			err = net_failed("frames stay on other queues than their hashes say");
	}
	return err;
}

static int hash_queues(struct net_front *f)
{
	int err = connect_with_ctrl(f, 4);

	if (!err)
		err = set_hashing(f, 15);
	if (!err)
		err = until_steered(f);
	return err ? err : judge_flows(f, 15, true);
}

/* Queries change nothing, nor does setting what is already set. */
static int ctrl_idle(struct net_front *f)
{
	int err = connect_with_ctrl(f, 4);

	for (int i = 0; i < 300 && !err; i++) {
		err = ask(f, GET_SIZE, 0, 0, 0, SUCCESS, 128);
		if (!err)
			err = ask(f, GET_TYPES, 0, 0, 0, NOT_SUPPORTED, -1);
		if (!err)
			err = ask(f, SET_SIZE, 0, 0, 0, SUCCESS, 0);
		if (!err)
			err = ask(f, ALGORITHM, 0, 0, 0, SUCCESS, 0);
	}
	return err ? err : net_wait_for_go();
}

/* On and off and on. */
static int ctrl_storm(struct net_front *f)
{
	int err = connect_with_ctrl(f, 4);

	for (int i = 0; i < 150 && !err; i++) {
		err = set_hashing(f, 15);
		if (!err)
			err = ask(f, ALGORITHM, 0, 0, 0, SUCCESS, 0);
	}
	if (!err)
		err = set_hashing(f, 15);
	return err ? err : net_wait_for_go();
}

/* Send no frame before the "go": it could be lost when a backend dies. */
static int hash_restart(struct net_front *f)
{
	int err = connect_cold(f, 1);

	if (!err)
		err = set_hashing(f, 15);
	if (!err)
		err = net_wait_for_go();
	if (!err)
		err = net_warm_up(f);
	return err ? err : judge_flows(f, 15, false);
}

static int hash_queues_restart(struct net_front *f)
{
	int err = connect_with_ctrl(f, 4);

	if (!err)
		err = set_hashing(f, 15);
	if (!err)
		err = net_wait_for_go();
	if (!err)
		err = until_steered(f);
	return err ? err : judge_flows(f, 15, true);
}

/* --- XDP headroom --- */

/* As Linux does: write 7, wait for 8, write 4. Frames after the 8 have the new headroom. */
static int reconfigure(struct net_front *f, uint32_t headroom)
{
	struct net_frame frame;
	int state;

	bus_write(&f->bus, XBT_NULL, "xdp-headroom", "%u", headroom);
	bus_switch(&f->bus, BUS_RECONFIGURING);
	state = bus_wait(&f->bus, BUS_MASK(BUS_RECONFIGURED), NET_EVENTUALLY_MS);
	if (state < 0)
		return net_failed("state 7 is not answered");
	while (net_take_frame(f, &frame))
		; /* on their way before */
	bus_switch(&f->bus, BUS_CONNECTED);
	return bus_wait(&f->bus, BUS_MASK(BUS_CONNECTED), NET_EVENTUALLY_MS) < 0
		       ? net_failed("the way back to 4 is not found")
		       : 0;
}

static int headroom_is(struct net_front *f, uint32_t headroom)
{
	static const enum net_kind kinds[] = { NET_UDP4, NET_TCP6, NET_RAW };
	int err = 0;

	for (unsigned int k = 0; k < 3 && !err; k++) {
		err = bounce(f, kinds[k], 0, 0);
		if (!err && f->packet.headroom != headroom)
			err = net_failed("a frame with another headroom");
	}
	return err;
}

static int xdp(struct net_front *f)
{
	static const uint32_t values[] = { 0, 256, 255, 4082, 1, 0, 512 };
	int err;

	f->opt.headroom = 256;
	err = net_connect(f);
	if (!err)
		err = net_warm_up(f);
	if (!err)
		err = headroom_is(f, 256);
	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]) && !err; i++) {
		err = reconfigure(f, values[i]);
		if (!err)
			err = headroom_is(f, values[i]);
	}
	if (!err)
		err = reconfigure(f, 4083); /* not allowed, so the old one stays */
	return err ? err : headroom_is(f, 512);
}

/* Frames come all the time. Each frame after an 8 has the headroom that was agreed then. */
static int xdp_busy(struct net_front *f)
{
	uint32_t headroom = 0;
	struct net_frame frame;
	uint16_t number = 0;
	int err = net_connect(f);

	if (!err)
		err = net_warm_up(f);
	for (int round = 0; round < 40 && !err; round++) {
		for (int i = 0; i < 100 && !err; i++)
			err = net_send_from(f, f->mac, ++number);
		headroom = headroom ? 0 : 256;
		if (!err)
			err = reconfigure(f, headroom);
		for (int i = 0; i < 20 && !err; i++)
			err = net_send_from(f, f->mac, ++number);
		for (int i = 0; i < 20 && !err; poll(NULL, 0, 1), i++)
			while (net_take_frame(f, &frame) && !err)
				if (f->packet.headroom != headroom)
					err = net_failed("an old headroom after the answer");
	}
	return err;
}

/* --- a stream in large frames, which may come back in larger ones --- */

enum { PIECE = 2 * NET_MSS4, NR_PIECES = 20 };

static void send_stream(struct net_front *f, uint16_t number)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
	static uint8_t buf[NET_FRAME_MAX];
	struct net_queue *q = &f->queue[0];

	net_tx_reap(f, q);
	for (uint32_t i = 0; i < NR_PIECES; i++) {
		struct net_frame frame = {
			.kind = NET_GSO4, .len = 54 + PIECE, .number = number, .start = i * PIECE
		};

		net_frame_build(buf, &frame, f->mac, peer, true);
		net_tx_put(f, q, buf, &frame, 1, true, NET_MSS4);
	}
	net_tx_push(f, q);
}

/* Check that all of it comes, in order, once. Returns the number of frames, or -errno. */
static int receive_stream(struct net_front *f, uint16_t number)
{
	uint32_t at = 0;
	int nr = 0;

	for (; at < NR_PIECES * PIECE; nr++) {
		struct net_frame frame = { 0 };
		int got = net_receive_frame(f, &frame);

		if (got < 0)
			return got;
		if (frame.kind != NET_TCP4 || frame.number != number || frame.start != at)
			return net_failed("a stream is not what was sent");
		if (frame.payload > PIECE && f->packet.gso_size != NET_MSS4)
			return net_failed("a frame of other segments than were sent");
		at += (uint32_t)frame.payload;
	}
	return nr;
}

/* It depends on timing how many frames are in the tap when the backend reads it. So repeat until some were merged. */
static int merge(struct net_front *f)
{
	int64_t end = sim_now_ms() + NET_EVENTUALLY_MS * sim_slowness();
	int nr_less = 0, err = net_connect(f);

	if (!err)
		err = net_warm_up(f);
	for (uint16_t number = 1; !err && nr_less < 50 && sim_now_ms() < end; number++) {
		int nr;

		send_stream(f, number);
		nr = receive_stream(f, number);
		if (nr < 0)
			return nr;
		nr_less += NR_PIECES - nr;
	}
	return err || nr_less >= 50 ? err : net_failed("frames of a stream are not merged");
}

/* --- a guest that takes nothing --- */

/* The guest returns no buffer until the script has seen what it waits for; then frames come again. */
static int stall(struct net_front *f)
{
	struct net_queue *q;
	int err = net_connect(f);

	if (!err)
		err = net_warm_up(f);
	if (err)
		return err;
	q = &f->queue[0];
	for (uint16_t i = 0; i < 400 && !err; i++) { /* more than there are buffers */
		err = net_send_from(f, f->mac, (uint16_t)(2000 + i));
		if (!err && !(i % 16))
			while (net_rx_take(f, q))
				;
	}
	if (!err)
		err = net_wait_for_go();
	while (net_rx_take(f, q))
		;
	net_rx_refill(f, q);
	return err ? err : net_warm_up(f);
}

/* --- all of them --- */

static const struct {
	const char *name;
	int (*run)(struct net_front *f);
} checks[] = {
	{ "multicast", multicast },
	{ "multicast-dynamic", multicast_dynamic },
	{ "multicast-restart", multicast_restart },
	{ "multicast-lost", multicast_lost },
	{ "ctrl", ctrl },
	{ "merge", merge },
	{ "stall", stall },
	{ "xdp", xdp },
	{ "xdp-busy", xdp_busy },
	{ "hash", hash_extra },
	{ "hash-queues", hash_queues },
	{ "ctrl-idle", ctrl_idle },
	{ "ctrl-storm", ctrl_storm },
	{ "hash-restart", hash_restart },
	{ "hash-queues-restart", hash_queues_restart },
};
#define NR_CHECKS (sizeof(checks) / sizeof(checks[0]))

void net_check_list(void)
{
	for (size_t i = 0; i < NR_CHECKS; i++)
		puts(checks[i].name);
}

int net_check(struct net_front *f)
{
	int err = net_page_open(f);

	for (size_t i = 0; i < NR_CHECKS && !err; i++) {
		if (strcmp(checks[i].name, f->opt.check))
			continue;
		err = checks[i].run(f);
		return f->stats.protocol_errors && !err ? -EPROTO : err;
	}
	return err ? err : -EINVAL;
}
