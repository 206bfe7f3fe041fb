/* SPDX-License-Identifier: MIT */
/* The metrics of the whole daemon: of control, of the guests' processes, and of all devices. Control thread only. */
#ifndef PVB_METRICS_ALL_H
#define PVB_METRICS_ALL_H

#include "control/metrics.h"
#include "control/registry.h"

/* All borrowed. */
struct metrics_daemon {
	const struct device_env *env;
	struct registry *registry;
};

/* For struct metrics_socket_setup; `user` is a struct metrics_daemon. */
void metrics_write_all(void *user, const struct metrics *metrics);

#endif
