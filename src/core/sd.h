/* SPDX-License-Identifier: MIT */
/*
 * What is said to systemd: sd_notify(3), sd_watchdog_enabled(3), sd_journal_sendv(3). Built without libsystemd there is
 * nobody to say it to; then a service manager sees that the daemon runs, and no more.
 */
#ifndef PVB_SD_H
#define PVB_SD_H

#include "config.h"

#ifdef HAVE_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#else
#include <errno.h>
#include <stdint.h>
#include <sys/uio.h>

static inline int sd_notify(int unset_environment, const char *state)
{
	(void)unset_environment;
	(void)state;
	return 0;
}

static inline int sd_watchdog_enabled(int unset_environment, uint64_t *ret_usec)
{
	(void)unset_environment;
	(void)ret_usec;
	return 0;
}

static inline int sd_journal_sendv(const struct iovec *fields, int nr)
{
	(void)fields;
	(void)nr;
	return -ENOSYS;
}
#endif

#endif
