/* SPDX-License-Identifier: MIT */
/* Why a script failed; see failure.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "hotplug/failure.h"

int hotplug_fail(struct hotplug_failure *failure, int err, const char *fmt, ...)
{
	va_list args;

	failure->busy = false;
	va_start(args, fmt);
	vsnprintf(failure->text, sizeof(failure->text), fmt, args);
	va_end(args);
	return err;
}

int hotplug_fail_busy(struct hotplug_failure *failure, const char *fmt, ...)
{
	va_list args;

	failure->busy = true;
	va_start(args, fmt);
	vsnprintf(failure->text, sizeof(failure->text), fmt, args);
	va_end(args);
	return -EBUSY;
}
