/* SPDX-License-Identifier: MIT */
/*
 * net_attack.c - a hostile network frontend.
 *
 * Each case is a list of transmit slots and the required reaction: either the backend
 * answers the slots (some with an error) and the vif goes on, or the ring is impossible
 * and the backend leaves it.
 */
#include "net_attack.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define MAX_CASE 24

/* --- one table of slot lists --- */

#define SLOT(...)                                                                                  \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define EXTRA(...)                                                                                 \
	{                                                                                          \
		.is_extra = true, __VA_ARGS__                                                      \
	}
#define MORE .flags = TX_MORE_DATA
#define WITH .flags = TX_EXTRA_INFO

static const struct {
	const char *name;
	enum verdict verdict;
	unsigned int nr;
	struct net_slot slot[MAX_CASE];
} cases[] = {
	{ "no-extra-behind-its-flag", MUST_LEAVE, 1, { SLOT(.size = 100, WITH) } },
	{ "extra-type-0", MUST_LEAVE, 2, { SLOT(.size = 100, WITH), EXTRA(.extra_type = 0) } },
	{ "extra-type-255", MUST_LEAVE, 2, { SLOT(.size = 100, WITH), EXTRA(.extra_type = 255) } },
	{ "extras-without-end",
	  MUST_LEAVE,
	  12,
	  { SLOT(.size = 100, WITH), EXTRA(.extra_type = 1, .extra_flags = 1, .gso_type = 1),
	    EXTRA(.extra_type = 1, .extra_flags = 1), EXTRA(.extra_type = 1, .extra_flags = 1),
	    EXTRA(.extra_type = 1, .extra_flags = 1), EXTRA(.extra_type = 1, .extra_flags = 1),
	    EXTRA(.extra_type = 1, .extra_flags = 1), EXTRA(.extra_type = 1, .extra_flags = 1),
	    EXTRA(.extra_type = 1, .extra_flags = 1), EXTRA(.extra_type = 1, .extra_flags = 1),
	    EXTRA(.extra_type = 1, .extra_flags = 1), EXTRA(.extra_type = 1, .extra_flags = 1) } },
	{ "more-data-behind-the-end",
	  MUST_LEAVE,
	  2,
	  { SLOT(.size = 200, MORE), SLOT(.size = 100, MORE) } },
	{ "gso-size-0",
	  MUST_LEAVE,
	  2,
	  { SLOT(.size = 100, WITH), EXTRA(.extra_type = 1, .gso_type = 1, .gso_size = 0) } },
	{ "gso-type-9",
	  MUST_LEAVE,
	  2,
	  { SLOT(.size = 100, WITH), EXTRA(.extra_type = 1, .gso_type = 9, .gso_size = 500) } },
	{ "gso-of-udp",
	  MUST_ERROR,
	  2,
	  { SLOT(.size = 100, .flags = TX_EXTRA_INFO | TX_CSUM_BLANK | TX_DATA_VALIDATED),
	    EXTRA(.extra_type = 1, .gso_type = 1, .gso_size = 20) } },
	{ "page-crossing", MUST_LEAVE, 1, { SLOT(.offset = 4000, .size = 97) } },
	{ "page-crossing-by-wrap", MUST_LEAVE, 1, { SLOT(.offset = 65535, .size = 65535) } },
	{ "page-crossing-fragment",
	  MUST_LEAVE,
	  2,
	  { SLOT(.size = 300, MORE), SLOT(.offset = 4095, .size = 100) } },
	{ "fragment-larger-than-the-rest",
	  MUST_ERROR,
	  2,
	  { SLOT(.size = 100, MORE), SLOT(.size = 200) } },
	{ "fragments-that-wrap",
	  MUST_ERROR,
	  3,
	  { SLOT(.size = 100, MORE), SLOT(.size = 4096, MORE), SLOT(.size = 4096) } },
	{ "frame-of-13-bytes", MUST_ERROR, 1, { SLOT(.size = 13) } },
	{ "frame-of-0-bytes", MUST_ERROR, 1, { SLOT(.size = 0) } },
	{ "bad-grant", MUST_ERROR, 1, { SLOT(.size = 100, .bad_ref = true) } },
	{ "bad-grant-in-a-chain",
	  MUST_ANSWER,
	  3,
	  { SLOT(.size = 300, MORE), SLOT(.size = 100, MORE, .bad_ref = true),
	    SLOT(.size = 100) } },
	{ "zero-length-fragment",
	  MUST_ANSWER,
	  3,
	  { SLOT(.size = 200, MORE), SLOT(.size = 0, MORE, .bad_ref = true), SLOT(.size = 100) } },
	{ "nineteen-slots",
	  MUST_ERROR,
	  19,
	  { SLOT(.size = 190, MORE), SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE), SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE), SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE), SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE), SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE), SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10) } },
	{ "twenty-two-slots",
	  MUST_LEAVE,
	  22,
	  { SLOT(.size = 220, MORE), SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE),  SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE),  SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE),  SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE),  SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE),  SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10, MORE),  SLOT(.size = 10, MORE), SLOT(.size = 10, MORE),
	    SLOT(.size = 10) } },
};
#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

/* --- attacks that are more than a list of slots --- */

/* Frames with wrong headers, with a blank checksum or as GSO. */
static int lying_headers(struct net_front *f)
{
	static const struct {
		enum net_kind kind;
		uint32_t at;
		uint8_t value;
	} lies[] = {
		{ NET_TCP4, 14, 0x4f }, { NET_TCP4, 14, 0x40 }, { NET_TCP4, 14, 0x65 },
		{ NET_TCP4, 23, 50 },   { NET_TCP4, 20, 0x20 }, { NET_TCP4, 21, 1 },
		{ NET_TCP4, 46, 0xf0 }, { NET_TCP4, 46, 0 },    { NET_TCP4, 16, 0xff },
		{ NET_TCP4, 12, 0x86 }, { NET_UDP4, 38, 0xff }, { NET_UDP4, 12, 0x81 },
		{ NET_TCP6, 20, 0 },    { NET_TCP6, 20, 43 },   { NET_TCP6, 20, 44 },
		{ NET_TCP6, 20, 60 },   { NET_TCP6, 18, 0xff }, { NET_TCP6, 66, 0xf0 },
		{ NET_RAW, 12, 8 },     { NET_RAW, 12, 0xff },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]) && !err; i++) {
		const struct net_slot blank = { .size = 120,
						.flags = TX_CSUM_BLANK | TX_DATA_VALIDATED };
		const struct net_slot gso[2] = {
			{ .size = 120, .flags = TX_CSUM_BLANK | TX_DATA_VALIDATED | TX_EXTRA_INFO },
			{ .is_extra = true,
			  .extra_type = EXTRA_GSO,
			  .gso_size = 48,
			  .gso_type = lies[i].kind == NET_TCP6 ? GSO_TCPV6 : GSO_TCPV4 },
		};

		net_honest_frame(f, lies[i].kind, 120, true);
		((uint8_t *)sim_guest_addr(&f->guest, net_page_gfn))[lies[i].at] = lies[i].value;
		err = net_try_slots(f, &blank, 1, MUST_ANSWER);
		if (!err)
			err = net_try_slots(f, gso, 2, MUST_ANSWER);
		if (err)
			fprintf(stderr, "simnet: lie %zu: %s\n", i, strerror(-err));
	}
	return err ? err : net_still_works(f);
}

/* Large frames that make the kernel cut many segments: very small ones, too many, or for all ports. */
static int tiny_segments(struct net_front *f)
{
	static const struct {
		uint16_t gso_size;
		bool broadcast;
		enum verdict verdict;
	} tries[] = {
		{ 1, false, MUST_ERROR },  { 8, false, MUST_ERROR },   { 47, false, MUST_ERROR },
		{ 48, false, MUST_ERROR }, { 400, false, MUST_ERROR }, { 1448, true, MUST_ERROR },
		{ 500, false, MUST_WORK },
	};
	struct net_slot slot[17] = {
		{ .size = 65000,
		  .flags = TX_CSUM_BLANK | TX_DATA_VALIDATED | TX_EXTRA_INFO | TX_MORE_DATA },
		{ .is_extra = true, .extra_type = EXTRA_GSO, .gso_type = GSO_TCPV4 },
	};
	int err = 0;

	for (unsigned int i = 2; i < 17; i++)
		slot[i] = (struct net_slot){ .size = 4096, .flags = i < 16 ? TX_MORE_DATA : 0 };
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]) && !err; i++) {
		slot[1].gso_size = tries[i].gso_size;
		net_honest_frame(f, NET_TCP4, 4096, true);
		if (tries[i].broadcast)
			memset(sim_guest_addr(&f->guest, net_page_gfn), 0xff, 6);
		err = net_try_slots(f, slot, 17, tries[i].verdict);
		if (err)
			fprintf(stderr, "simnet: segments of %u: %s\n", tries[i].gso_size,
				strerror(-err));
	}
	return err ? err : net_still_works(f);
}

static int same_ids(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];
	const struct net_slot good = { .size = 100 };
	int err;

	net_honest_frame(f, NET_UDP4, 100, false);
	for (unsigned int i = 0; i < NET_RING_SIZE; i++)
		net_slot_put(f, &good, 77);
	net_tx_push(f, q);
	err = net_wait_answers(f);
	return err ? err : net_still_works(f);
}

static void publish(struct net_front *f, uint32_t gfn, uint32_t prod, int port)
{
	__atomic_store_n(net_ring_word(f, gfn, REQ_PROD), prod, __ATOMIC_SEQ_CST);
	xenevtchn_notify(f->xce, (evtchn_port_t)port);
}

static int runaway_tx(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];

	publish(f, q->tx_gfn, q->tx_prod + NET_RING_SIZE + 1, q->tx_port);
	return net_must_leave(f);
}

static int backward_tx(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];
	int err = net_still_works(f);

	publish(f, q->tx_gfn, q->tx_prod - 1, q->tx_port);
	return err ? err : net_must_leave(f);
}

static int runaway_rx(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];

	publish(f, q->rx_gfn, q->rx_prod + NET_RING_SIZE + 1, q->rx_port);
	return net_must_leave(f);
}

/* Receive buffers that are not granted: only the frames for them are lost. */
static int bad_rx_grants(struct net_front *f)
{
	const uint32_t ref = SIM_NO_GRANT;
	struct net_queue *q = &f->queue[0];

	for (uint32_t i = 0; i < NET_RING_SIZE; i++) {
		uint8_t *e = net_ring_entry(f, q->rx_gfn, RX_ENTRY, i);

		net_put16(e, 4711);
		memcpy(e + 4, &ref, 4);
	}
	return net_still_works(f); /* the peer sends this frame back into them */
}

/* No receive buffer is posted again: frames that come back are dropped, and sending goes on. */
static int starving_rx(struct net_front *f)
{
	int err = 0;

	for (unsigned int i = 0; i < 3 * NET_RING_SIZE && !err; i++)
		err = net_still_works(f);
	return err;
}

/* The page of the ring is sent as data, and used as a receive buffer. */
static int ring_page_as_buffer(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];
	const struct net_slot good = { .size = 100 };
	int err = 0;

	for (uint32_t i = 0; i < NET_RING_SIZE; i++)
		memcpy(net_ring_entry(f, q->rx_gfn, RX_ENTRY, i) + 4, &q->rx_ref, 4);
	for (unsigned int i = 0; i < 20 && !err; i++) {
		net_slot_put(f, &good, 1);
		memcpy(net_ring_entry(f, q->tx_gfn, TX_ENTRY, q->tx_prod - 1), &q->tx_ref, 4);
		net_tx_push(f, q);
		err = net_wait_answers(f);
		if (!err)
			err = net_still_works(f); /* comes back, into the receive ring */
	}
	/* The frame may have written an impossible index there; then the backend leaves. */
	return err == -ECANCELED ? 0 : err;
}

static bool flip_stop; /* atomic */

static void *flip_rx_grants(void *arg)
{
	struct net_front *f = arg;
	grant_entry_v1_t *grants = sim_dom_grants(f->guest.conn.shm, f->guest.dom);
	uint32_t i = 0;

	while (!__atomic_load_n(&flip_stop, __ATOMIC_RELAXED)) {
		grant_entry_v1_t *e = &grants[f->queue[0].rx[i++ % NET_RING_SIZE].ref];

		__atomic_store_n(&e->flags, (uint16_t)0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&e->flags, (uint16_t)GTF_permit_access, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* The grant ends between posting and copying, or comes again; sending goes on. */
static int revoked_rx_grants(struct net_front *f)
{
	pthread_t thread;
	int err = 0;

	__atomic_store_n(&flip_stop, false, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, flip_rx_grants, f))
		return -errno;
	for (unsigned int i = 0; i < 500 && !err; i++)
		err = net_still_works(f);
	__atomic_store_n(&flip_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err;
}

static void *flip_slots(void *arg)
{
	struct net_front *f = arg;
	uint64_t x = 88172645463325252ull;

	while (!__atomic_load_n(&flip_stop, __ATOMIC_RELAXED)) {
		uint8_t *e;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		e = net_ring_entry(f, f->queue[0].tx_gfn, TX_ENTRY, (uint32_t)x);
		e[(x >> 40) % TX_ENTRY] = (uint8_t)(x >> 52);
	}
	return NULL;
}

/* The backend may leave (because of impossible slots) or go on, but must not hang or die. */
static int changing_slots(struct net_front *f)
{
	const struct net_slot chain[3] = { { .size = 300, MORE },
					   { .size = 100, MORE },
					   { .size = 100 } };
	pthread_t thread;
	int err = 0;

	net_honest_frame(f, NET_UDP4, 100, false);
	__atomic_store_n(&flip_stop, false, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, flip_slots, f))
		return -errno;
	for (int i = 0; i < 3000 && !err; i++) {
		for (uint16_t k = 0; k < 60; k++)
			net_slot_put(f, &chain[k % 3], k);
		net_tx_push(f, &f->queue[0]);
		err = net_wait_answers(f);
	}
	__atomic_store_n(&flip_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err == -ECANCELED ? 0 : err;
}

static int event_storm(struct net_front *f)
{
	for (int i = 0; i < 150000; i++) {
		xenevtchn_notify(f->xce, (evtchn_port_t)f->queue[0].tx_port);
		xenevtchn_notify(f->xce, (evtchn_port_t)f->queue[0].rx_port);
	}
	return net_still_works(f);
}

static int start_over(struct net_front *f)
{
	int state;

	bus_switch(&f->bus, BUS_CLOSED);
	state = bus_wait(&f->bus, BUS_MASK(BUS_CLOSED), NET_ANSWER_MS);
	if (state < 0)
		return state;
	net_queues_close(f);
	bus_switch(&f->bus, BUS_INITIALISING);
	state = bus_wait(&f->bus, BUS_MASK(BUS_INIT_WAIT), NET_ANSWER_MS);
	return state < 0 ? state : 0;
}

static int connects_again(struct net_front *f)
{
	int err = net_connect(f);

	if (!err)
		err = net_still_works(f);
	return err ? err : net_disconnect(f);
}

int net_attack_comes_back(struct net_front *f)
{
	int err = -ECONNREFUSED;

	for (int tries = 0; tries < 50 && err == -ECONNREFUSED; tries++) {
		err = start_over(f);
		if (!err)
			err = connects_again(f);
	}
	return err;
}

static int one_junk(struct net_front *f, const char *key, const char *value)
{
	int err = start_over(f);

	if (err)
		return err;
	bus_write(&f->bus, XBT_NULL, "tx-ring-ref", "8");
	bus_write(&f->bus, XBT_NULL, "rx-ring-ref", "9");
	bus_write(&f->bus, XBT_NULL, "event-channel", "1");
	bus_write(&f->bus, XBT_NULL, "request-rx-copy", "1");
	bus_write(&f->bus, XBT_NULL, key, "%s", value);
	bus_switch(&f->bus, BUS_CONNECTED);
	err = bus_wait(&f->bus,
		       BUS_MASK(BUS_CONNECTED) | BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED),
		       NET_ANSWER_MS);
	bus_remove(&f->bus, XBT_NULL, key);
	if (err < 0)
		fprintf(stderr, "simnet: %s=\"%s\" leaves the backend in state %d\n", key, value,
			bus_back_state(&f->bus));
	return err < 0 ? err : 0;
}

static int junk_keys(struct net_front *f)
{
	static const char *const keys[] = { "tx-ring-ref",
					    "rx-ring-ref",
					    "event-channel",
					    "event-channel-tx",
					    "multi-queue-num-queues",
					    "request-rx-copy",
					    "feature-sg",
					    "xdp-headroom",
					    "ctrl-ring-ref",
					    "event-channel-ctrl",
					    "request-multicast-control",
					    "mac" };
	static const char *const junk[] = {
		"",           "0",          "-1",
		"4294967295", "4294967296", "0x10",
		"8 ",         "eight",      "99999999999999999999999999"
	};
	int err = 0;

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]) && !err; k++)
		for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]) && !err; i++)
			err = one_junk(f, keys[k], junk[i]);
	return err ? err : net_attack_comes_back(f);
}

static int flapping_states(struct net_front *f)
{
	uint64_t x = 1;

	for (int i = 0; i < 2000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		if (x >> 60)
			bus_write(&f->bus, XBT_NULL, "state", "%u", (unsigned int)(x >> 33) % 10);
		else
			bus_remove(&f->bus, XBT_NULL, "state");
	}
	return net_attack_comes_back(f);
}

/* --- the control ring --- */

static int connect_with_ctrl(struct net_front *f)
{
	f->opt.ctrl = true;
	return net_connect(f);
}

static int ctrl_runaway(struct net_front *f)
{
	int err = connect_with_ctrl(f);

	publish(f, f->ctrl.gfn, f->ctrl.prod + NET_CTRL_SIZE + 1, f->ctrl.port);
	return err ? err : net_must_leave(f);
}

static uint32_t random_word(uint64_t *x)
{
	static const uint32_t edges[] = { 0, 1, 39, 40, 41, 127, 128, 129, 4096, 0x7fffffff };

	*x = *x * 6364136223846793005ull + 1442695040888963407ull;
	return *x >> 63 ? (uint32_t)(*x >> 20) : edges[(*x >> 40) % 10];
}

/* Send a full ring of random requests at a time; each must be answered once. */
static int ctrl_flood(struct net_front *f)
{
	int err = connect_with_ctrl(f);
	uint64_t x = 1;

	for (uint32_t i = 0; i < 60 && !err; i++) {
		for (uint32_t k = 0; k < NET_CTRL_SIZE; k++) {
			const uint32_t data[3] = { k % 2 ? f->ctrl.data_ref : random_word(&x),
						   random_word(&x), random_word(&x) };

			net_ctrl_put(f, (uint16_t)k, (uint16_t)(random_word(&x) % 12), data);
		}
		net_ctrl_push(f);
		err = net_ctrl_wait(f, f->ctrl.prod);
		for (uint32_t k = 0; k < NET_CTRL_SIZE && !err; k++)
			if (memcmp(net_ctrl_entry(f, k), &(uint16_t){ (uint16_t)k }, 2))
				err = -EPROTO;
	}
	return err ? err : net_still_works(f);
}

static void *flip_table(void *arg)
{
	struct net_front *f = arg;
	uint32_t *entries = sim_guest_addr(&f->guest, f->ctrl.data_gfn);

	for (uint32_t i = 0; !__atomic_load_n(&flip_stop, __ATOMIC_RELAXED); i++)
		__atomic_store_n(&entries[i % 128], i / 128 % 2 ? 0xffffffff : 0, __ATOMIC_RELAXED);
	return NULL;
}

/* A table that changes while the backend reads it: it is accepted completely or not at all. */
static int ctrl_changing_table(struct net_front *f)
{
	int err = connect_with_ctrl(f);
	pthread_t thread;
	uint32_t data;

	if (!err && (net_ctrl_ask(f, 7, 1, 0, 0, &data) || net_ctrl_ask(f, 2, 15, 0, 0, &data) ||
		     net_ctrl_ask(f, 5, 128, 0, 0, &data)))
		err = -EPROTO;
	__atomic_store_n(&flip_stop, false, __ATOMIC_RELAXED);
	if (err || pthread_create(&thread, NULL, flip_table, f))
		return -EPROTO;
	for (int i = 0; i < 300 && err >= 0; i++)
		err = net_ctrl_ask(f, 6, f->ctrl.data_ref, 128, 0, &data);
	__atomic_store_n(&flip_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err < 0 ? err : net_still_works(f);
}

static const struct {
	const char *name;
	int (*run)(struct net_front *f);
	bool connected;
} attacks[] = {
	{ "lying-headers", lying_headers, true },
	{ "tiny-segments", tiny_segments, true },
	{ "same-ids", same_ids, true },
	{ "runaway-tx", runaway_tx, true },
	{ "backward-tx", backward_tx, true },
	{ "runaway-rx", runaway_rx, true },
	{ "bad-rx-grants", bad_rx_grants, true },
	{ "changing-slots", changing_slots, true },
	{ "event-storm", event_storm, true },
	{ "ctrl-runaway", ctrl_runaway, false },
	{ "ctrl-flood", ctrl_flood, false },
	{ "ctrl-changing-table", ctrl_changing_table, false },
	{ "starving-rx", starving_rx, true },
	{ "revoked-rx-grants", revoked_rx_grants, true },
	{ "ring-page-as-buffer", ring_page_as_buffer, true },
	{ "tx-full-at-attach", net_attack_tx_at_attach, false },
	{ "rx-full-at-attach", net_attack_rx_at_attach, false },
	{ "one-page-for-both-rings", net_attack_one_page_for_both_rings, false },
	{ "foreign-port", net_attack_foreign_port, false },
	{ "same-port-twice", net_attack_same_port_twice, false },
	{ "huge-values", net_attack_huge_values, false },
	{ "vanishing-directory", net_attack_vanishing_directory, false },
	{ "junk-keys", junk_keys, false },
	{ "flapping-states", flapping_states, false },
};
#define NR_ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

void net_attack_list(void)
{
	for (size_t i = 0; i < NR_CASES; i++)
		puts(cases[i].name);
	for (size_t i = 0; i < NR_ATTACKS; i++)
		puts(attacks[i].name);
}

static int run_case(struct net_front *f, size_t i)
{
	int err = net_connect(f);

	if (err)
		return err;
	net_honest_frame(f, NET_UDP4, 100, false);
	err = net_try_slots(f, cases[i].slot, cases[i].nr, cases[i].verdict);
	if (err || cases[i].verdict == MUST_LEAVE)
		return err;
	return net_still_works(f);
}

int net_attack(struct net_front *f)
{
	int err = net_page_open(f);

	if (err)
		return err;
	for (size_t i = 0; i < NR_CASES; i++)
		if (!strcmp(cases[i].name, f->opt.attack))
			return run_case(f, i);
	for (size_t i = 0; i < NR_ATTACKS; i++) {
		if (strcmp(attacks[i].name, f->opt.attack))
			continue;
		err = attacks[i].connected ? net_connect(f) : 0;
		return err ? err : attacks[i].run(f);
	}
	return -EINVAL;
}
