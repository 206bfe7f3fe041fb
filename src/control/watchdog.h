/* SPDX-License-Identifier: MIT */
/*
 * A small thread that looks whether the others live. Systemd's watchdog is fed while the control thread turns its loop
 * and says that the threads that serve rings turn theirs: a daemon with one hung worker is as bad as a dead one, and is
 * restarted like one. But xenstored may be slow, and while the control thread waits for it the rings are served: so
 * that counts as life, and is said.
 */
#ifndef PVB_WATCHDOG_H
#define PVB_WATCHDOG_H

#include "core/loop.h"
#include "control/store.h"

struct watchdog;

struct watchdog_setup {
	struct loop *control; /* borrowed */
	/* In the control loop: whether the threads that serve guests' rings turn. */
	bool (*serves)(void *user);
	void *user;
	const struct store
		*store; /* borrowed, of which only what any thread may read is looked at */
	/* On the watchdog's thread, each second while the control thread waits for xenstored. May be NULL. */
	void (*held_up)(void);
};

/* Start it; systemd is fed if it asked for that in the environment. 0 or -errno. */
int watchdog_start(const struct watchdog_setup *setup, struct watchdog **ret_watchdog);
/* Nobody is asked any more; answers may still come. NULL is fine. */
void watchdog_stop(struct watchdog *watchdog);
/* Every other loop has ended or will never run again. NULL is fine; returns NULL. */
struct watchdog *watchdog_free(struct watchdog *watchdog);

#endif
