/* SPDX-License-Identifier: MIT */
/*
 * What the daemon says of a device before anybody asks: that its medium does not answer, that its limit has been reached
 * for long. Each is a rule about one of the device's figures (core/stats.h). It is said once, and when it is over.
 *
 * In the journal such a line has the field PVBACKD_NOTICE, the rule's name.
 */
#ifndef PVB_NOTICE_H
#define PVB_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/stats.h"

#define NOTICE_LOOK_S  5u    /* between two looks */
#define NOTICE_MAX     4u    /* rules of a kind of device */
#define NOTICE_QUIET_S 3600u /* before it is said of the device again */

struct notice_rule {
	const char *name; /* NULL ends a table */
	const char *
		figure; /* STAT_SINCE: it began so long ago; STAT_COUNTER: it has grown at each look for so long */
	enum stat_kind kind;
	uint32_t seconds;
	const char *text; /* for the log, with the cure */
	const char *over; /* likewise, when it is no more */
};

/* Of one device. Zero: nothing was looked at. */
struct notices {
	struct {
		bool looked, said;
		bool holds;        /* now, be it said or not */
		uint64_t count;    /* at the last look */
		uint64_t since_ns; /* it grows; 0: it does not */
		uint64_t said_ns;  /* the last time; 0: never */
	} of[NOTICE_MAX];
};

enum notice_change { NOTICE_NONE, NOTICE_BEGINS, NOTICE_ENDS };

/*
 * Look at the figures for rule `nr` of the table, every NOTICE_LOOK_S. What is no longer to be seen (there is no such
 * figure) does not hold.
 */
enum notice_change notice_look(struct notices *notices, const struct notice_rule *rules,
			       unsigned int nr, const struct stats_view *figures, uint64_t now_ns);

#endif
