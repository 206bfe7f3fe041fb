/* SPDX-License-Identifier: MIT */
/* What can be asked at the admin's socket (ctl.h), and what is answered. Control thread only. */
#ifndef PVB_CTL_COMMANDS_H
#define PVB_CTL_COMMANDS_H

#include "control/ctl.h"
#include "control/options.h"
#include "control/registry.h"

struct config_faults;

/* All borrowed. */
struct ctl_daemon {
	const struct device_env *env;
	struct registry *registry;
	const struct options *options;
	uint64_t started_ns;
	/* options_check(); and what SIGHUP does, which returns 0 or -EINVAL. The caller owns the faults. */
	int (*check)(void *user, struct config_faults *ret_faults);
	int (*reload)(void *user, struct config_faults *ret_faults);
	void *user;
};

/* As struct ctl_setup wants it; `user` is a struct ctl_daemon. */
struct json_object *ctl_command(void *user, struct ctl_client *client, struct json_object *request);

/* --- for the commands --- */

enum ctl_argument {
	CTL_DEVICE = 1 << 0, /* names an existing device: ctl_asked.dev */
	CTL_GUEST = 1 << 1,  /* names an existing guest: ctl_asked.domid */
	CTL_KEY = 1 << 2,
	CTL_VALUE = 1 << 3,
	CTL_CONFIG = 1 << 4,
	CTL_ON = 1 << 5,
	CTL_FILTER = 1 << 6,
	CTL_SNAPLEN = 1 << 7,
	CTL_SIZE = 1 << 8,
};

/* One request, while it is answered. */
struct ctl_asked {
	const struct ctl_daemon *daemon;
	struct ctl_client *client;
	unsigned int given; /* bits of enum ctl_argument */
	const char *device, *guest, *key, *value, *filter;
	bool config, on;
	uint32_t snaplen, size_mib; /* 0: not given */
	struct device *dev;         /* NULL: none is named */
	uint32_t domid;             /* of the device, or of the guest */
};

struct ctl_command {
	const char *name;           /* NULL ends a table */
	unsigned int needs, allows; /* bits of enum ctl_argument */
	/* As ask() of struct ctl_setup. */
	struct json_object *(*run)(struct ctl_asked *asked);
};

extern const struct ctl_command ctl_change_commands[]; /* ctl_change.c */
extern const struct ctl_command ctl_watch_commands[];  /* ctl_watch.c */

/* {"schema": 1}, for the caller. */
struct json_object *ctl_new_result(void);

#endif
