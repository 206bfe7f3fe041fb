/* SPDX-License-Identifier: MIT */
/* blk_attack_bus.c - the xenstore of a hostile block frontend: the backend must handle each attack. */
#include "blk_attack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static void put_key(struct blk_front *f, const char *key, const void *value, unsigned int len)
{
	char *node = sim_asprintf("%s/%s", f->bus.front, key);

	xs_write(f->bus.xs, XBT_NULL, node, value, len);
	free(node);
}

static void put_text(struct blk_front *f, const char *key, const char *value)
{
	put_key(f, key, value, (unsigned int)strlen(value));
}

static const char *const junk[] = { "",
				    "0",
				    "-1",
				    "1",
				    "4294967295",
				    "4294967296",
				    "18446744073709551616",
				    "31",
				    "32",
				    "64",
				    "0x10",
				    "8 ",
				    " 8",
				    "8\n",
				    "eight",
				    "99999999999999999999999999999999" };
#define NR_JUNK (sizeof(junk) / sizeof(junk[0]))

/* Go back to the first state, so that the next try begins from there. */
static int start_over(struct blk_front *f)
{
	int state;

	bus_switch(&f->bus, BUS_CLOSED);
	state = bus_wait(&f->bus, BUS_MASK(BUS_CLOSED), ANSWER_MS);
	if (state < 0)
		return state;
	bus_switch(&f->bus, BUS_INITIALISING);
	state = bus_wait(&f->bus, BUS_MASK(BUS_INIT_WAIT), ANSWER_MS);
	return state < 0 ? state : 0;
}

static void remove_keys(struct blk_front *f)
{
	static const char *const keys[] = { "ring-ref",        "ring-ref0",
					    "ring-ref1",       "event-channel",
					    "ring-page-order", "multi-queue-num-queues",
					    "protocol",        "feature-persistent",
					    "num-ring-pages",  "queue-0",
					    "queue-1" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		bus_remove(&f->bus, XBT_NULL, keys[i]);
}

/* An honest connection must still be possible after all this. */
static int connects_again(struct blk_front *f)
{
	int err;

	remove_keys(f);
	f->opt.profile = BLK_LINUX;
	err = blk_connect(f);
	if (!err)
		err = blk_attack_still_works(f);
	return err ? err : blk_disconnect(f);
}

/* The backend may still work on keys that it has read before, and refuse what comes next. */
static int comes_back(struct blk_front *f)
{
	int err = -ECONNREFUSED;

	for (int tries = 0; tries < 50 && err == -ECONNREFUSED; tries++) {
		err = start_over(f);
		blk_queues_close(f);
		if (!err)
			err = connects_again(f);
	}
	return err;
}

static int one_junk(struct blk_front *f, const char *key, const char *value)
{
	int err = start_over(f);

	if (err)
		return err;
	remove_keys(f);
	put_text(f, "ring-ref", "8");
	put_text(f, "event-channel", "1");
	put_text(f, "protocol", "x86_64-abi");
	put_text(f, key, value);
	bus_switch(&f->bus, BUS_INITIALISED);
	/* Whether the backend accepts the value or not, it must connect or close. */
	err = bus_wait(&f->bus,
		       BUS_MASK(BUS_CONNECTED) | BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED),
		       ANSWER_MS);
	if (err < 0)
		fprintf(stderr, "simblk: %s=\"%s\" leaves the backend in state %d\n", key, value,
			bus_back_state(&f->bus));
	return err < 0 ? err : 0;
}

int blk_attack_junk_keys(struct blk_front *f)
{
	static const char *const keys[] = { "ring-ref",        "event-channel",
					    "ring-page-order", "multi-queue-num-queues",
					    "protocol",        "feature-persistent",
					    "num-ring-pages" };
	int err = 0;

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]) && !err; k++)
		for (size_t i = 0; i < NR_JUNK && !err; i++)
			err = one_junk(f, keys[k], junk[i]);
	return err ? err : comes_back(f);
}

int blk_attack_huge_values(struct blk_front *f)
{
	static const char *const keys[] = { "ring-ref", "event-channel", "protocol", "state",
					    "backend" };
	static char big[2048];
	int err = 0;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 37);
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]) && !err; k++) {
		put_key(f, keys[k], big, sizeof(big));
		bus_switch(&f->bus, BUS_INITIALISED);
	}
	return err ? err : comes_back(f);
}

int blk_attack_flapping_states(struct blk_front *f)
{
	uint64_t x = 1;
	char text[8];

	for (int i = 0; i < 3000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		if (x >> 60 == 0) {
			bus_remove(&f->bus, XBT_NULL, "state");
			continue;
		}
		snprintf(text, sizeof(text), "%u", (unsigned int)(x >> 33) % 10);
		put_text(f, "state", text);
	}
	return comes_back(f);
}

/* The keys are right, and the state changes all the time. */
int blk_attack_flapping_connections(struct blk_front *f)
{
	int err = blk_connect(f);

	for (int i = 0; i < 300 && !err; i++) {
		static const enum bus_state dance[] = { BUS_CONNECTED, BUS_CLOSING, BUS_CLOSED,
							BUS_INITIALISING, BUS_INITIALISED };

		bus_switch(&f->bus, dance[(unsigned int)i % 5]);
	}
	return err ? err : comes_back(f);
}

int blk_attack_vanishing_directory(struct blk_front *f)
{
	int err = blk_connect(f);

	if (err)
		return err;
	xs_rm(f->bus.xs, XBT_NULL, f->bus.front);
	err = bus_wait(&f->bus, BUS_MASK(BUS_CLOSED), ANSWER_MS);
	return err < 0 ? err : 0;
}

int blk_attack_one_page_twice(struct blk_front *f)
{
	char ref[16];
	uint32_t gfn, r;
	int err = sim_guest_alloc(&f->guest, 1, &gfn);

	if (!err)
		err = sim_guest_grant(&f->guest, 0, gfn, false, &r);
	if (err)
		return err;
	snprintf(ref, sizeof(ref), "%u", r);
	put_text(f, "ring-page-order", "1");
	put_text(f, "ring-ref0", ref);
	put_text(f, "ring-ref1", ref);
	snprintf(ref, sizeof(ref), "%d", xenevtchn_bind_unbound_port(f->xce, 0));
	put_text(f, "event-channel", ref);
	put_text(f, "protocol", "x86_64-abi");
	memset(sim_guest_addr(&f->guest, gfn), 0xff, SIM_PAGE_SIZE);
	bus_switch(&f->bus, BUS_INITIALISED);
	err = bus_wait(&f->bus, BUS_MASK(BUS_CONNECTED) | BUS_MASK(BUS_CLOSING), ANSWER_MS);
	return err < 0 ? err : comes_back(f);
}

/* Make a ring page and a port; the attack chooses what it publishes of them. */
static int make_ring(struct blk_front *f, uint32_t *ret_gfn, uint32_t *ret_ref)
{
	int state = bus_wait(&f->bus, BUS_MASK(BUS_INIT_WAIT), ANSWER_MS);
	int err = state < 0 ? state : sim_guest_alloc(&f->guest, 1, ret_gfn);

	if (!err)
		err = sim_guest_grant(&f->guest, 0, *ret_gfn, false, ret_ref);
	if (!err)
		memset(sim_guest_addr(&f->guest, *ret_gfn), 0, SIM_PAGE_SIZE);
	return err;
}

static int refused_then_honest(struct blk_front *f, uint32_t ref, int port)
{
	char text[16];
	int err;

	snprintf(text, sizeof(text), "%u", ref);
	put_text(f, "ring-ref", text);
	snprintf(text, sizeof(text), "%d", port);
	put_text(f, "event-channel", text);
	put_text(f, "protocol", "x86_64-abi");
	bus_switch(&f->bus, BUS_INITIALISED);
	err = bus_wait(&f->bus, BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED), ANSWER_MS);
	return err < 0 ? err : comes_back(f);
}

/* More on the ring than fits, before the backend has looked at it for the first time. */
int blk_attack_full_at_attach(struct blk_front *f)
{
	uint32_t gfn, ref;
	int err = make_ring(f, &gfn, &ref);

	if (err)
		return err;
	*(uint32_t *)sim_guest_addr(&f->guest, gfn) = 33;
	return refused_then_honest(f, ref, xenevtchn_bind_unbound_port(f->xce, 0));
}

/* A number that is no event channel of this guest's. */
int blk_attack_foreign_port(struct blk_front *f)
{
	uint32_t gfn, ref;
	int err = make_ring(f, &gfn, &ref);

	return err ? err : refused_then_honest(f, ref, 1000);
}
