/* SPDX-License-Identifier: MIT */
/* bus.c - a frontend's dealings with xenstore. */
#include "bus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

void bus_become(uint32_t domid)
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
