/* SPDX-License-Identifier: MIT */
/*
 * What to do next, given what xenstore says: a pure table. It covers every pair
 * of states in any order, because a frontend may write any of them at any time.
 */
#ifndef PVB_XENBUS_H
#define PVB_XENBUS_H

#include <stdbool.h>

/* Values on the wire (xen/io/xenbus.h); MISSING stands for "no such node". */
enum xenbus_state {
	XENBUS_MISSING = 0,
	XENBUS_INITIALISING = 1,
	XENBUS_INIT_WAIT = 2,
	XENBUS_INITIALISED = 3,
	XENBUS_CONNECTED = 4,
	XENBUS_CLOSING = 5,
	XENBUS_CLOSED = 6,
	XENBUS_RECONFIGURING = 7,
	XENBUS_RECONFIGURED = 8,
	XENBUS_NR_STATES = 9,
};

enum xenbus_action {
	XENBUS_DO_NOTHING,
	XENBUS_DO_ADVERTISE,    /* publish what we offer, state 2 */
	XENBUS_DO_CONNECT,      /* attach the rings */
	XENBUS_DO_ANNOUNCE,     /* traffic flows: publish, state 4 */
	XENBUS_DO_RESUME,       /* state 4 on both sides from an earlier daemon: attach again */
	XENBUS_DO_CLOSING,      /* detach, state 5 */
	XENBUS_DO_CLOSED,       /* detach, state 6 */
	XENBUS_DO_RECONFIGURE,  /* re-read what may change, state 8 */
	XENBUS_DO_RECONFIGURED, /* the frontend is back: state 4 */
	XENBUS_DO_FORGET,       /* our directory is gone: detach and free */
};

struct xenbus_view {
	enum xenbus_state own;
	enum xenbus_state front;
	bool online;   /* the toolstack wants the device */
	bool plugged;  /* the toolstack's script has reported success */
	bool attached; /* rings are attached */
	bool fresh;    /* our first look at this device */
	bool left;     /* fresh, and an earlier daemon left rings in use */
	bool dead;     /* the frontend's domain is dying or gone */
	bool broken;   /* we gave up on this frontend: it must close first */
};

enum xenbus_action xenbus_next(const struct xenbus_view *view);

const char *xenbus_state_name(enum xenbus_state state);

#endif
