/* SPDX-License-Identifier: MIT */
/*
 * Any sequence of events, with the table used as in device.c: rings are never attached twice, never
 * before the script is done, and never held for a frontend that is closed or dead.
 */
#include <stdbool.h>

#include "fuzz/fuzz.h"
#include "control/xenbus.h"

static void act(struct xenbus_view *v)
{
	for (unsigned int steps = 0;; steps++) {
		enum xenbus_action action = xenbus_next(v);

		HOLDS(steps < 10);
		v->fresh = v->left = false;
		switch (action) {
		case XENBUS_DO_NOTHING:
			return;
		case XENBUS_DO_ADVERTISE:
			HOLDS(!v->attached && v->online);
			v->own = XENBUS_INIT_WAIT;
			break;
		case XENBUS_DO_CONNECT:
			HOLDS(!v->attached && v->plugged && !v->broken && !v->dead);
			v->attached = true;
			break;
		case XENBUS_DO_RESUME:
			HOLDS(!v->attached && !v->broken && !v->dead);
			v->attached = true;
			break;
		case XENBUS_DO_ANNOUNCE:
			HOLDS(v->attached && !v->broken && !v->dead);
			v->own = XENBUS_CONNECTED;
			break;
		case XENBUS_DO_CLOSING:
			v->attached = false;
			v->own = XENBUS_CLOSING;
			break;
		case XENBUS_DO_CLOSED:
			v->attached = false;
			v->broken = false;
			v->own = XENBUS_CLOSED;
			break;
		case XENBUS_DO_RECONFIGURE:
			v->own = XENBUS_RECONFIGURED;
			break;
		case XENBUS_DO_RECONFIGURED:
			v->own = XENBUS_CONNECTED;
			break;
		case XENBUS_DO_FORGET:
			return;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct xenbus_view v = { .own = XENBUS_INITIALISING,
				 .front = XENBUS_INITIALISING,
				 .online = true,
				 .fresh = true };

	while (in.left) {
		uint8_t event = fuzz_u8(&in);

		if (event < 160)
			v.front = (enum xenbus_state)(event % XENBUS_NR_STATES);
		else if (event < 190)
			v.own = XENBUS_CLOSING; /* the toolstack's */
		else if (event < 200)
			v.online = event & 1;
		else if (event < 220)
			v.plugged = true;
		else if (event < 230)
			v.broken = v.attached;
		else if (event < 232)
			v.dead = true;
		else if (event < 240) { /* we die and are started again */
			v.left = v.attached;
			v.attached = v.broken = false;
			v.fresh = true;
		}
		act(&v);
		HOLDS(!v.attached ||
		      (v.front != XENBUS_CLOSED && v.front != XENBUS_MISSING && !v.dead));
		HOLDS(!v.attached || v.own == XENBUS_CONNECTED || v.own == XENBUS_CLOSING ||
		      v.own == XENBUS_RECONFIGURED);
	}
	return 0;
}
