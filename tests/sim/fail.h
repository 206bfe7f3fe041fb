/* SPDX-License-Identifier: MIT */
/*
 * fail.h - faults on request in the program under test.
 *
 * $XENSIM_FAIL is "[role/]call:i[:errno]", several separated by commas: the i-th use
 * (from 1) of the call fails, with EIO unless an errno is given by number or
 * name; the i-th and all after it with "i+"; with a role (role.h) in a process of that kind only. "later" among them: then
 * also what `xensim-xl fail` orders, now or has ordered already, counted from the order on over all processes that hear of
 * it: one use fails, whichever has it.
 */
#ifndef SIM_FAIL_H
#define SIM_FAIL_H

#define SIM_FAIL_FILE  "faults" /* in the run directory: a struct sim_fail_order */
#define SIM_MAX_FAULTS 16

struct sim_fail_order {
	unsigned int number;                  /* a new one is a new order; written last */
	unsigned int used[2][SIM_MAX_FAULTS]; /* uses under this order and the one before; atomic */
	char spec[892];
};

/*
 * This is a use of @call: the errno that it must fail with, once, with a line on stderr that
 * tells a test that the use was reached; else 0.
 */
int sim_fail(const char *call);

#endif
