/* SPDX-License-Identifier: MIT */
/* bus.h - the xenbus side of a simulated frontend. */
#ifndef SIM_BUS_H
#define SIM_BUS_H

#include <stdbool.h>
#include <stdint.h>
#include <xenevtchn.h>
#include <xenstore.h>

#include "guest.h"

enum bus_state {
	BUS_UNKNOWN,
	BUS_INITIALISING,
	BUS_INIT_WAIT,
	BUS_INITIALISED,
	BUS_CONNECTED,
	BUS_CLOSING,
	BUS_CLOSED,
	BUS_RECONFIGURING,
	BUS_RECONFIGURED,
};
#define BUS_MASK(state) (1u << (state))

struct bus {
	struct xs_handle *xs; /* speaks for the guest */
	char *front, *back;   /* owned: the two directories */
	uint32_t back_domid;
};

/*
 * Say that this process is domain @domid from now on (environment), so that the
 * Xen libraries and xs_open() act for it, and open its memory and its event channels. Call before anything
 * else. Dies when one of them cannot be had.
 */
void bus_become(uint32_t domid, struct sim_guest *guest, xenevtchn_handle **ret_xce);
/* Find device @kind/@devid of this domain. 0 or -errno. */
int bus_open(struct bus *bus, const char *kind, uint32_t devid);
void bus_close(struct bus *bus);

/* A number below the backend's or the own directory; @missing when not there. */
uint64_t bus_read_back(struct bus *bus, const char *key, uint64_t missing);
uint64_t bus_read_front(struct bus *bus, const char *key, uint64_t missing);
/* Write below the own directory, in transaction @t. Dies on errors. */
void bus_write(struct bus *bus, xs_transaction_t t, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void bus_remove(struct bus *bus, xs_transaction_t t, const char *key);
/* Write the own state. */
void bus_switch(struct bus *bus, enum bus_state state);
enum bus_state bus_back_state(struct bus *bus);
/* Wait until the backend's state is one of @mask. The state, or -ETIMEDOUT. */
int bus_wait(struct bus *bus, unsigned int mask, int limit_ms);
/* How long one step of the backend may take, and how long its first step. */
#define BUS_STEP_MS    10000
#define BUS_CONNECT_MS 30000
/*
 * The same, with a word on stderr about @what was waited for. 0, -ETIMEDOUT, or -ECONNREFUSED when it
 * gives up instead of connecting.
 */
int bus_expect(struct bus *bus, unsigned int mask, int limit_ms, const char *what);
/* What @write writes, in one transaction. 0 or -errno. */
int bus_publish(struct bus *bus, void (*write)(void *user, xs_transaction_t t), void *user);
/* States 5 and 6, each confirmed. */
int bus_shut(struct bus *bus);
/* State 1, until the backend has found it and waits. */
int bus_begin_anew(struct bus *bus);
/* Both: as Windows at every boot, and a kexec kernel. */
int bus_reset(struct bus *bus);
/* The last 5 and 6 of a driver, after which it may call @close; 1 when the device stays. */
int bus_leave(struct bus *bus, void (*close)(void *user), void *user);
/* After poll() on xs_fileno(): swallow events. */
void bus_drain(struct bus *bus);

#endif
