/* SPDX-License-Identifier: MIT */
/* What can be asked at the admin's socket (ctl.h), and what is answered. Control thread only. */
#ifndef PVB_CTL_COMMANDS_H
#define PVB_CTL_COMMANDS_H

#include "control/ctl.h"
#include "control/options.h"
#include "control/registry.h"

/* All borrowed. */
struct ctl_daemon {
	const struct device_env *env;
	struct registry *registry;
	const struct options *options;
	uint64_t started_ns;
};

/* As struct ctl_setup wants it; `user` is a struct ctl_daemon. */
struct json_object *ctl_command(void *user, struct ctl_client *client, struct json_object *request);

#endif
