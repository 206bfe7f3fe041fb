/* SPDX-License-Identifier: MIT */
/*
 * A small thread that checks whether the others live. It feeds systemd's watchdog while the control thread turns its
 * loop and says that the threads that serve rings turn theirs. A daemon with one hung worker is as bad as a dead one,
 * and is restarted like one. But if the control thread only waits for a slow xenstored, the rings are served: that
 * counts as life, and the log says so.
 */
#ifndef PVB_WATCHDOG_H
#define PVB_WATCHDOG_H

#include "core/loop.h"
#include "control/store.h"

struct watchdog;

struct watchdog_setup {
	struct loop *control; /* borrowed */
	/* Called in the control loop: whether the threads that serve guests' rings turn. */
	bool (*serves)(void *user);
	void *user;
	const struct store *store; /* borrowed; only members that any thread may read are used */
	/* Called on the watchdog's thread, each second while the control thread waits for xenstored. May be NULL. */
	void (*held_up)(void);
};

/* Start it; systemd is fed if it asked for that in the environment. 0 or -errno. */
int watchdog_start(const struct watchdog_setup *setup, struct watchdog **ret_watchdog);
/* Stop asking; answers may still come. NULL is fine. */
void watchdog_stop(struct watchdog *watchdog);
/* Call it when every other loop has ended or will never run again. NULL is fine; returns NULL. */
struct watchdog *watchdog_free(struct watchdog *watchdog);

#endif
