/* SPDX-License-Identifier: MIT */
/* bus.c - a frontend's dealings with xenstore. */
#include "bus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static void say_who_we_are(uint32_t domid)
{
	const char *socket = getenv("XENSTORED_PATH");
	char *id = sim_asprintf("%u", domid), *path;

	if (!socket)
		sim_die("XENSTORED_PATH is not set: run under xensim-run");
	path = sim_asprintf("%s.%u", socket, domid);
	setenv("XENSTORED_PATH", path, 1);
	setenv("XENSIM_DOMID", id, 1);
	unsetenv("XENSIM_FAIL"); /* that is for the backend */
	free(path);
	free(id);
}

void bus_become(uint32_t domid, struct sim_guest *guest, xenevtchn_handle **ret_xce)
{
	int err;

	say_who_we_are(domid);
	err = sim_guest_open(guest, true);
	if (err)
		sim_die("domain %u: %s", domid, strerror(-err));
	*ret_xce = xenevtchn_open(NULL, 0);
	if (!*ret_xce)
		sim_die("event channels: %s", strerror(errno));
}

int bus_open(struct bus *bus, const char *kind, uint32_t devid)
{
	char *node;

	*bus = (struct bus){ .xs = xs_open(XS_UNWATCH_FILTER) };
	if (!bus->xs)
		return -errno;
	bus->front = sim_asprintf("device/%s/%u", kind, devid);
	bus->back_domid = (uint32_t)bus_read_front(bus, "backend-id", 0);
	node = sim_asprintf("%s/backend", bus->front);
	bus->back = xs_read(bus->xs, XBT_NULL, node, NULL);
	free(node);
	node = bus->back ? sim_asprintf("%s/state", bus->back) : NULL;
	if (!node || !xs_watch(bus->xs, node, "backend")) {
		free(node);
		bus_close(bus);
		return -ENOENT;
	}
	free(node);
	return 0;
}

void bus_close(struct bus *bus)
{
	if (bus->xs)
		xs_close(bus->xs);
	free(bus->front);
	free(bus->back);
	*bus = (struct bus){ 0 };
}

static uint64_t read_number(struct bus *bus, const char *dir, const char *key, uint64_t missing)
{
	char *node = sim_asprintf("%s/%s", dir, key);
	char *value = xs_read(bus->xs, XBT_NULL, node, NULL);
	uint64_t number = value ? strtoull(value, NULL, 10) : missing;

	free(value);
	free(node);
	return number;
}

uint64_t bus_read_back(struct bus *bus, const char *key, uint64_t missing)
{
	return read_number(bus, bus->back, key, missing);
}

uint64_t bus_read_front(struct bus *bus, const char *key, uint64_t missing)
{
	return read_number(bus, bus->front, key, missing);
}

void bus_write(struct bus *bus, xs_transaction_t t, const char *key, const char *fmt, ...)
{
	char *node = sim_asprintf("%s/%s", bus->front, key), *value;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&value, fmt, ap) < 0)
		abort();
	va_end(ap);
	if (!xs_write(bus->xs, t, node, value, (unsigned int)strlen(value)))
		sim_die("cannot write %s: %s", node, strerror(errno));
	free(value);
	free(node);
}

void bus_remove(struct bus *bus, xs_transaction_t t, const char *key)
{
	char *node = sim_asprintf("%s/%s", bus->front, key);

	xs_rm(bus->xs, t, node);
	free(node);
}

void bus_switch(struct bus *bus, enum bus_state state)
{
	bus_write(bus, XBT_NULL, "state", "%d", state);
}

enum bus_state bus_back_state(struct bus *bus)
{
	uint64_t state = bus_read_back(bus, "state", BUS_UNKNOWN);

	return state > BUS_RECONFIGURED ? BUS_UNKNOWN : (enum bus_state)state;
}

void bus_drain(struct bus *bus)
{
	char **ev;

	while ((ev = xs_check_watch(bus->xs)))
		free(ev);
}

int bus_wait(struct bus *bus, unsigned int mask, int limit_ms)
{
	int64_t end = sim_now_ms() + (int64_t)limit_ms * sim_slowness();

	for (;;) {
		struct pollfd p = { .fd = xs_fileno(bus->xs), .events = POLLIN };
		int64_t left = end - sim_now_ms();
		enum bus_state state;

		bus_drain(bus);
		state = bus_back_state(bus);
		if (BUS_MASK(state) & mask)
			return (int)state;
		if (left <= 0)
			return -ETIMEDOUT;
		poll(&p, 1, (int)left);
	}
}

int bus_expect(struct bus *bus, unsigned int mask, int limit_ms, const char *what)
{
	unsigned int over = BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED);
	bool opening = mask == BUS_MASK(BUS_CONNECTED);
	int state = bus_wait(bus, opening ? mask | over : mask, limit_ms);

	/* When the backend gives up while the frontend connects, the wait ends. */
	if (opening && state >= 0 && state != BUS_CONNECTED) {
		bus_switch(bus, BUS_CLOSED);
		state = -ECONNREFUSED;
	}
	if (state < 0)
		fprintf(stderr, "%s: the backend is in state %d while waiting for %s\n",
			program_invocation_short_name, bus_back_state(bus), what);
	return state < 0 ? state : 0;
}

int bus_publish(struct bus *bus, void (*write)(void *user, xs_transaction_t t), void *user)
{
	for (;;) {
		xs_transaction_t t = xs_transaction_start(bus->xs);

		if (!t)
			return -errno;
		write(user, t);
		if (xs_transaction_end(bus->xs, t, false))
			return 0;
		if (errno != EAGAIN)
			return -errno;
	}
}

static int begin_to_close(struct bus *bus)
{
	int err;

	bus_switch(bus, BUS_CLOSING);
	err = bus_expect(bus, BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED), BUS_STEP_MS, "5 or 6");
	if (!err)
		bus_switch(bus, BUS_CLOSED);
	return err;
}

int bus_shut(struct bus *bus)
{
	int err = begin_to_close(bus);

	return err ? err : bus_expect(bus, BUS_MASK(BUS_CLOSED), BUS_STEP_MS, "6");
}

int bus_begin_anew(struct bus *bus)
{
	bus_switch(bus, BUS_INITIALISING);
	return bus_expect(bus, BUS_MASK(BUS_INIT_WAIT), BUS_STEP_MS, "2");
}

int bus_reset(struct bus *bus)
{
	int err = bus_shut(bus);

	return err ? err : bus_begin_anew(bus);
}

int bus_leave(struct bus *bus, void (*close)(void *user), void *user)
{
	int err = begin_to_close(bus);

	if (err)
		return err;
	/* A toolstack that saw the 6 before us has removed the directory. */
	err = bus_expect(bus, BUS_MASK(BUS_CLOSED) | BUS_MASK(BUS_UNKNOWN), BUS_STEP_MS, "6");
	close(user);
	if (!err && bus_read_back(bus, "online", 0) == 1)
		bus_switch(bus, BUS_INITIALISING);
	return err;
}
