/* SPDX-License-Identifier: MIT */
/*
 * Calls of libsystemd: sd_notify(3), sd_watchdog_enabled(3), sd_journal_sendv(3). Without libsystemd they do nothing. Then a
 * service manager only sees that the daemon runs.
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
