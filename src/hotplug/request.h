/* SPDX-License-Identifier: MIT */
/*
 * What libxl asks of a hotplug script: the name it calls, its arguments and its environment,
 * checked. Pure: no I/O.
 */
#ifndef PVB_HOTPLUG_REQUEST_H
#define PVB_HOTPLUG_REQUEST_H

#include <stdint.h>

#include "hotplug/failure.h"

#define HOTPLUG_RUNTIME_DIR "/run/pvbackd"
#define HOTPLUG_PATH_MAX    64 /* of XENBUS_PATH, with the NUL */

enum hotplug_script { HOTPLUG_SCRIPT_BLOCK, HOTPLUG_SCRIPT_VIF };

enum hotplug_command {
	HOTPLUG_COMMAND_ADD,
	HOTPLUG_COMMAND_REMOVE,
	HOTPLUG_COMMAND_ONLINE,
	HOTPLUG_COMMAND_OFFLINE,
};

/* Which of a vif's two interfaces: ours, or the one of QEMU's emulated card. */
enum hotplug_iftype { HOTPLUG_IFTYPE_VIF, HOTPLUG_IFTYPE_TAP };

/* The variables that count, as getenv() gave them: NULL where unset. All borrowed. */
struct hotplug_env {
	const char *xenbus_path; /* XENBUS_PATH */
	const char *vif;         /* vif */
	const char *interface;   /* INTERFACE */
	const char *runtime_dir; /* PVBACKD_RUNTIME_DIR */
};

struct hotplug_request {
	enum hotplug_script script;
	enum hotplug_command command;
	enum hotplug_iftype iftype;
	char path[HOTPLUG_PATH_MAX]; /* XENBUS_PATH, without a final '/' */
	char base[HOTPLUG_PATH_MAX]; /* its part up to and with "backend" */
	char kind[8];                /* "vbd", "vbd3" or "vif" */
	uint32_t domid;              /* of the guest */
	uint32_t devid;
	const char *ifname; /* vif: the interface's first name; borrowed from the environment */
	const char *runtime_dir; /* borrowed from the environment, or HOTPLUG_RUNTIME_DIR */
};

/*
 * Which script is meant by a program name such as "/etc/xen/scripts/vif-pvbackd". 0, or -EINVAL if
 * it is neither.
 */
int hotplug_script_from_name(const char *argv0, enum hotplug_script *ret_script);

/*
 * Check arguments (argv[1] on; `argv` ends with NULL) and environment of a script. 0, or a negative
 * errno with *failure filled in. The result borrows from `env`.
 */
int hotplug_request_parse(enum hotplug_script script, char *const argv[],
			  const struct hotplug_env *env, struct hotplug_request *ret_request,
			  struct hotplug_failure *failure);

#endif
