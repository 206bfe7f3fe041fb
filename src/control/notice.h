/* SPDX-License-Identifier: MIT */
/*
 * Notices: what the daemon writes about a device by itself, for instance that its medium does not answer, or that its limit
 * has been reached for a minute. Each is a rule about one of the device's figures (core/stats.h). The log has a line when
 * it begins and when it is over.
 *
 * In the journal such a line has the field PVBACKD_NOTICE with the rule's name.
 */
#ifndef PVB_NOTICE_H
#define PVB_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/stats.h"

#define NOTICE_LOOK_S  5u    /* between two looks */
#define NOTICE_MAX     4u    /* rules for a kind of device, at most */
#define NOTICE_QUIET_S 3600u /* before the same notice is given again */

struct notice_rule {
	const char *name; /* NULL ends a table */
	const char *
		figure; /* STAT_SINCE: its age is at least `for_s`; STAT_COUNTER: it has grown for so long */
	enum stat_kind kind;
	uint32_t seconds;
	const char *text; /* for the log, with what to do */
	const char *over; /* for the log, when it is over */
};

/* The state of one device's rules. Zero: before the first look. */
struct notices {
	struct {
		bool looked, said;
		bool holds;        /* the rule holds now, whether the log said so or not */
		uint64_t count;    /* at the last look */
		uint64_t since_ns; /* since when it grows; 0: it does not */
		uint64_t said_ns;  /* the last time; 0: never */
	} of[NOTICE_MAX];
};

enum notice_change { NOTICE_NONE, NOTICE_BEGINS, NOTICE_ENDS };

/*
 * Look at the figures for rule `nr` of the table; to be called every NOTICE_LOOK_S. A rule whose figure is missing does not
 * hold.
 */
enum notice_change notice_look(struct notices *notices, const struct notice_rule *rules,
			       unsigned int nr, const struct stats_view *figures, uint64_t now_ns);

#endif
