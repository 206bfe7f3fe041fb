/* SPDX-License-Identifier: MIT */
/* net_attack_bus.c - a hostile network frontend's keys, and rings that are wrong from the start. */
#include "net_attack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* Rings and a port as an honest frontend makes them, one queue; nothing is published yet. */
static int make_ring(struct net_front *f)
{
	int state = bus_wait(&f->bus, BUS_MASK(BUS_INIT_WAIT), NET_ANSWER_MS);

	if (state < 0)
		return state;
	f->nr_queues = 1;
	f->split = false;
	net_queues_open(f);
	return 0;
}

static void offer(struct net_front *f, uint32_t tx_ref, uint32_t rx_ref, int port)
{
	bus_write(&f->bus, XBT_NULL, "multi-queue-num-queues", "1");
	bus_write(&f->bus, XBT_NULL, "tx-ring-ref", "%u", tx_ref);
	bus_write(&f->bus, XBT_NULL, "rx-ring-ref", "%u", rx_ref);
	bus_write(&f->bus, XBT_NULL, "event-channel", "%d", port);
	bus_write(&f->bus, XBT_NULL, "request-rx-copy", "1");
	bus_switch(&f->bus, BUS_CONNECTED);
}

static int refused_then_honest(struct net_front *f)
{
	int err = net_must_leave(f);

	bus_remove(&f->bus, XBT_NULL, "event-channel");
	bus_remove(&f->bus, XBT_NULL, "event-channel-tx");
	bus_remove(&f->bus, XBT_NULL, "event-channel-rx");
	return err ? err : net_attack_comes_back(f);
}

/* More on a ring than fits, before the backend has looked at it for the first time. */
static int full_at_attach(struct net_front *f, bool tx)
{
	struct net_queue *q = &f->queue[0];
	int err = make_ring(f);

	if (err)
		return err;
	__atomic_store_n(net_ring_word(f, tx ? q->tx_gfn : q->rx_gfn, REQ_PROD), NET_RING_SIZE + 1,
			 __ATOMIC_SEQ_CST);
	offer(f, q->tx_ref, q->rx_ref, q->tx_port);
	return refused_then_honest(f);
}

int net_attack_tx_at_attach(struct net_front *f)
{
	return full_at_attach(f, true);
}

int net_attack_rx_at_attach(struct net_front *f)
{
	return full_at_attach(f, false);
}

/* The attack harms only itself. The backend must connect or close. */
int net_attack_one_page_for_both_rings(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];
	int err = make_ring(f), state;

	if (err)
		return err;
	offer(f, q->tx_ref, q->tx_ref, q->tx_port);
	state = bus_wait(&f->bus,
			 BUS_MASK(BUS_CONNECTED) | BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED),
			 NET_ANSWER_MS);
	if (state < 0)
		return state;
	for (uint32_t i = 1; i <= NET_RING_SIZE; i += 5) {
		__atomic_store_n(net_ring_word(f, q->tx_gfn, REQ_PROD), i, __ATOMIC_SEQ_CST);
		xenevtchn_notify(f->xce, (evtchn_port_t)q->tx_port);
	}
	return net_attack_comes_back(f);
}

/* A number that is no event channel of this guest's. */
int net_attack_foreign_port(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];
	int err = make_ring(f);

	if (err)
		return err;
	offer(f, q->tx_ref, q->rx_ref, 1000);
	return refused_then_honest(f);
}

int net_attack_same_port_twice(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];
	int err = make_ring(f);

	if (err)
		return err;
	bus_write(&f->bus, XBT_NULL, "event-channel-tx", "%d", q->tx_port);
	bus_write(&f->bus, XBT_NULL, "event-channel-rx", "%d", q->tx_port);
	offer(f, q->tx_ref, q->rx_ref, q->tx_port);
	return refused_then_honest(f);
}

int net_attack_huge_values(struct net_front *f)
{
	static const char *const keys[] = { "tx-ring-ref",     "rx-ring-ref", "event-channel",
					    "request-rx-copy", "mac",         "state" };
	char big[2000];

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 37);
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		char *node = sim_asprintf("%s/%s", f->bus.front, keys[k]);

		xs_write(f->bus.xs, XBT_NULL, node, big, sizeof(big));
		free(node);
		bus_switch(&f->bus, BUS_CONNECTED);
	}
	return net_attack_comes_back(f);
}

int net_attack_vanishing_directory(struct net_front *f)
{
	int err = net_connect(f);

	if (err)
		return err;
	xs_rm(f->bus.xs, XBT_NULL, f->bus.front);
	err = bus_wait(&f->bus, BUS_MASK(BUS_CLOSED), NET_ANSWER_MS);
	return err < 0 ? err : 0;
}
