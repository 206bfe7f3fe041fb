/* SPDX-License-Identifier: MIT */
/*
 * systemd's watchdog, fed only when every worker has answered: a daemon with one
 * hung worker is as bad as a dead one, and is restarted like one. Control thread only.
 */
#ifndef PVB_WATCHDOG_H
#define PVB_WATCHDOG_H

#include "loop.h"
#include "worker.h"

struct watchdog;

/*
 * Feed the watchdog that systemd asked for in the environment. NULL when it asked for none
 * (*ret_err is 0 then) or on failure. `workers` is borrowed; stop it before they are closed.
 */
struct watchdog *watchdog_start(struct loop *loop, struct worker *workers, unsigned int nr_workers,
				int *ret_err);
/* For its test: feed every `interval_ns`, by `feed` instead of systemd's socket. */
struct watchdog *watchdog_new(struct loop *loop, struct worker *workers, unsigned int nr_workers,
			      uint64_t interval_ns, void (*feed)(void));
/* Every worker has ended its loop or will never run again. NULL is fine; returns NULL. */
struct watchdog *watchdog_free(struct watchdog *watchdog);

#endif
