/* SPDX-License-Identifier: MIT */
#include "control/xenbus.h"

static enum xenbus_action from_init_wait(const struct xenbus_view *v)
{
	/*
	 * The device is to go. The toolstack may have missed our 6, which we left for a returning frontend, and waits
	 * for it again.
	 */
	if (!v->online && !v->attached)
		return XENBUS_DO_CLOSED;
	switch (v->front) {
	case XENBUS_INITIALISED:
	case XENBUS_CONNECTED:
		if (v->attached)
			return XENBUS_DO_ANNOUNCE;
		return v->plugged ? XENBUS_DO_CONNECT : XENBUS_DO_NOTHING;
	case XENBUS_CLOSING: /* Windows and OVMF close even a device that never connected */
		return XENBUS_DO_CLOSING;
	case XENBUS_CLOSED:
	case XENBUS_MISSING:
		return XENBUS_DO_CLOSED;
	case XENBUS_INITIALISING:
	case XENBUS_INIT_WAIT: /* it went back while we attached */
		return v->attached ? XENBUS_DO_CLOSING : XENBUS_DO_NOTHING;
	case XENBUS_RECONFIGURING:
	case XENBUS_RECONFIGURED:
	case XENBUS_NR_STATES:
		break;
	}
	return XENBUS_DO_NOTHING;
}

/*
 * State 4 without rings: an earlier daemon left them live. Later in the life of this daemon, the frontend did not wait
 * for us to close.
 */
static enum xenbus_action take_over(const struct xenbus_view *v)
{
	return v->fresh ? XENBUS_DO_RESUME : XENBUS_DO_CLOSING;
}

static enum xenbus_action from_connected(const struct xenbus_view *v)
{
	switch (v->front) {
	case XENBUS_INITIALISED:
	case XENBUS_CONNECTED:
		return v->attached ? XENBUS_DO_NOTHING : take_over(v);
	case XENBUS_CLOSING:
	case XENBUS_INITIALISING: /* a new driver that never closed the old rings */
	case XENBUS_INIT_WAIT:
		return XENBUS_DO_CLOSING;
	case XENBUS_CLOSED:
	case XENBUS_MISSING:
		return XENBUS_DO_CLOSED;
	case XENBUS_RECONFIGURING:
		return v->attached ? XENBUS_DO_RECONFIGURE : take_over(v);
	case XENBUS_RECONFIGURED:
	case XENBUS_NR_STATES:
		break;
	}
	return XENBUS_DO_NOTHING;
}

/* State 5 is ours or the toolstack's: `xl block-detach` writes 5 and lets the frontend close first. */
static enum xenbus_action from_closing(const struct xenbus_view *v)
{
	switch (v->front) {
	case XENBUS_CLOSED:
	case XENBUS_MISSING:
	case XENBUS_INITIALISING: /* it has nothing open: the toolstack need not wait ten seconds */
		return XENBUS_DO_CLOSED;
	case XENBUS_CLOSING:
		return v->attached ? XENBUS_DO_CLOSING : XENBUS_DO_NOTHING;
	case XENBUS_CONNECTED: /* a mounted disk: the guest uses it until it can close it */
		return v->left && !v->attached ? XENBUS_DO_RESUME : XENBUS_DO_NOTHING;
	case XENBUS_INIT_WAIT:
	case XENBUS_INITIALISED:
	case XENBUS_RECONFIGURING:
	case XENBUS_RECONFIGURED:
	case XENBUS_NR_STATES:
		break;
	}
	return XENBUS_DO_NOTHING;
}

static enum xenbus_action from_closed(const struct xenbus_view *v)
{
	if (v->attached)
		return XENBUS_DO_CLOSED;
	if (!v->online)
		return XENBUS_DO_NOTHING;
	switch (v->front) {
	case XENBUS_INITIALISING:
	case XENBUS_INIT_WAIT:
	case XENBUS_INITIALISED: /* resumed guests do not wait for state 2 */
	case XENBUS_CONNECTED:
		return XENBUS_DO_ADVERTISE;
	case XENBUS_MISSING:
	case XENBUS_CLOSING:
	case XENBUS_CLOSED:
	case XENBUS_RECONFIGURING:
	case XENBUS_RECONFIGURED:
	case XENBUS_NR_STATES:
		break;
	}
	return XENBUS_DO_NOTHING;
}

static enum xenbus_action from_reconfigured(const struct xenbus_view *v)
{
	if (v->front == XENBUS_CONNECTED && v->attached)
		return XENBUS_DO_RECONFIGURED;
	if (v->front == XENBUS_RECONFIGURING && v->attached)
		return XENBUS_DO_NOTHING;
	return from_connected(v);
}

enum xenbus_action xenbus_next(const struct xenbus_view *v)
{
	bool ended = v->own == XENBUS_CLOSED && !v->attached;

	if (v->own == XENBUS_MISSING)
		return XENBUS_DO_FORGET;
	if (v->dead)
		return ended ? XENBUS_DO_NOTHING : XENBUS_DO_CLOSED;
	if (v->broken && (v->attached || (v->own != XENBUS_CLOSING && v->own != XENBUS_CLOSED)))
		return XENBUS_DO_CLOSING;

	switch (v->own) {
	case XENBUS_INITIALISING:
		return v->online ? XENBUS_DO_ADVERTISE : XENBUS_DO_CLOSED;
	case XENBUS_INIT_WAIT:
	case XENBUS_INITIALISED:
		return from_init_wait(v);
	case XENBUS_CONNECTED:
		return from_connected(v);
	case XENBUS_CLOSING:
		return from_closing(v);
	case XENBUS_CLOSED:
		return from_closed(v);
	case XENBUS_RECONFIGURING:
	case XENBUS_RECONFIGURED:
		return from_reconfigured(v);
	case XENBUS_MISSING:
	case XENBUS_NR_STATES:
		break;
	}
	return XENBUS_DO_NOTHING;
}

const char *xenbus_state_name(enum xenbus_state state)
{
	static const char *const names[XENBUS_NR_STATES] = {
		"missing", "initialising", "init-wait",     "initialised",  "connected",
		"closing", "closed",       "reconfiguring", "reconfigured",
	};

	return (unsigned int)state < XENBUS_NR_STATES ? names[state] : "nonsense";
}
