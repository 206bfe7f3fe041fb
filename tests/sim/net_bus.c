/* SPDX-License-Identifier: MIT */
/* net_bus.c - connecting and disconnecting a network frontend. */
#include "simnet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "util.h"

static void negotiate(struct net_front *f)
{
	struct bus *bus = &f->bus;
	uint64_t queues = bus_read_back(bus, "multi-queue-max-queues", 1);

	if (f->opt.old)
		queues = 1;
	f->nr_queues = queues && queues < f->opt.queues ? (uint32_t)queues : f->opt.queues;
	f->split = f->opt.split && !f->opt.old &&
		   bus_read_back(bus, "feature-split-event-channels", 0);
	f->sg = f->opt.sg && bus_read_back(bus, "feature-sg", 0);
	f->gso4 = f->sg && f->opt.gso4 && bus_read_back(bus, "feature-gso-tcpv4", 0);
	f->gso6 = f->sg && f->opt.gso6 && bus_read_back(bus, "feature-gso-tcpv6", 0);
	f->csum6 = bus_read_back(bus, "feature-ipv6-csum-offload", 0);
}

static void write_queue(struct net_front *f, xs_transaction_t t, uint32_t i)
{
	struct net_queue *q = &f->queue[i];
	char dir[24] = "", key[64];

	if (f->nr_queues > 1)
		snprintf(dir, sizeof(dir), "queue-%u/", i);
	snprintf(key, sizeof(key), "%stx-ring-ref", dir);
	bus_write(&f->bus, t, key, "%u", q->tx_ref);
	snprintf(key, sizeof(key), "%srx-ring-ref", dir);
	bus_write(&f->bus, t, key, "%u", q->rx_ref);
	if (!f->split) {
		snprintf(key, sizeof(key), "%sevent-channel", dir);
		bus_write(&f->bus, t, key, "%d", q->tx_port);
		return;
	}
	snprintf(key, sizeof(key), "%sevent-channel-tx", dir);
	bus_write(&f->bus, t, key, "%d", q->tx_port);
	snprintf(key, sizeof(key), "%sevent-channel-rx", dir);
	bus_write(&f->bus, t, key, "%d", q->rx_port);
}

static void write_keys(void *user, xs_transaction_t t)
{
	struct net_front *f = user;
	struct bus *bus = &f->bus;

	if (!f->opt.old && bus_read_back(bus, "multi-queue-max-queues", 0))
		bus_write(bus, t, "multi-queue-num-queues", "%u", f->nr_queues);
	for (uint32_t i = 0; i < f->nr_queues; i++)
		write_queue(f, t, i);
	bus_write(bus, t, "request-rx-copy", "1");
	if (!f->opt.no_rx_notify)
		bus_write(bus, t, "feature-rx-notify", "1");
	bus_write(bus, t, "feature-sg", "%d", f->opt.sg);
	bus_write(bus, t, "feature-gso-tcpv4", "%d", f->opt.gso4);
	if (!f->opt.freebsd && !f->opt.old) {
		bus_write(bus, t, "feature-gso-tcpv6", "%d", f->opt.gso6);
		bus_write(bus, t, "feature-ipv6-csum-offload", "%d", f->opt.csum6);
	}
	if (f->opt.headroom)
		bus_write(bus, t, "xdp-headroom", "%u", f->opt.headroom);
	if (f->ctrl.open) {
		bus_write(bus, t, "ctrl-ring-ref", "%u", f->ctrl.ref);
		bus_write(bus, t, "event-channel-ctrl", "%d", f->ctrl.port);
	}
	if (f->opt.groups)
		bus_write(bus, t, "request-multicast-control", "1");
	if (f->opt.no_csum4)
		bus_write(bus, t, "feature-no-csum-offload", "1");
}

/* The rings of the driver before us are still there: the backend must let them go. */
static int take_over(struct net_front *f)
{
	int err = f->opt.leave == NET_STRAIGHT ? bus_begin_anew(&f->bus) : bus_reset(&f->bus);

	net_queues_close(f);
	return err;
}

static int prepare(struct net_front *f)
{
	if (bus_read_front(&f->bus, "state", 0) == BUS_CONNECTED)
		return take_over(f);
	if (f->opt.windows)
		return bus_reset(&f->bus);
	return bus_expect(&f->bus, BUS_MASK(BUS_INIT_WAIT), BUS_CONNECT_MS, "2");
}

int net_connect(struct net_front *f)
{
	int err = prepare(f);

	if (err)
		return err;
	negotiate(f);
	net_queues_open(f);
	err = bus_publish(&f->bus, write_keys, f);
	if (err)
		return err;
	for (uint32_t i = 0; i < f->nr_queues; i++)
		net_rx_refill(f, &f->queue[i]);
	bus_switch(&f->bus, BUS_CONNECTED);
	return bus_expect(&f->bus, BUS_MASK(BUS_CONNECTED), BUS_CONNECT_MS, "4");
}

static void close_queues(void *user)
{
	net_queues_close(user);
}

int net_disconnect(struct net_front *f)
{
	return f->opt.leave == NET_CLOSE ? bus_leave(&f->bus, close_queues, f) : 0;
}
