/* SPDX-License-Identifier: MIT */
/*
 * Why a script failed: one sentence that says what is wrong and what to do. The function that finds the fault writes it
 * here. main() prints it to stderr and writes it to `hotplug-error`.
 */
#ifndef PVB_HOTPLUG_FAILURE_H
#define PVB_HOTPLUG_FAILURE_H

#include <stdbool.h>

#define HOTPLUG_FAILURE_MAX 768 /* bytes; a xenstore value may be longer */

struct hotplug_failure {
	bool busy; /* hotplug-status is then "busy", else "error" */
	char text[HOTPLUG_FAILURE_MAX];
};

/* Fill in *failure; over-long text is cut. Both return `err`, for `return hotplug_fail(…)`. */
int hotplug_fail(struct hotplug_failure *failure, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int hotplug_fail_busy(struct hotplug_failure *failure, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
