/* SPDX-License-Identifier: MIT */
/*
 * fail.h - faults on request in the program under test.
 *
 * $XENSIM_FAIL is "call:i[:errno]", several separated by commas: the i-th use
 * (from 1) of the call fails, with EIO unless an errno is given by number or
 * name; the i-th and all after it with "i+". "later" among them: then what `xensim-xl fail` orders while the program
 * runs, counted from then on.
 */
#ifndef SIM_FAIL_H
#define SIM_FAIL_H

#define SIM_FAIL_FILE "faults" /* in the run directory: a struct sim_fail_order */

struct sim_fail_order {
	unsigned int number; /* a new one is a new order; written last */
	char spec[1020];
};

/*
 * This is a use of @call: the errno that it must fail with, once, with a line on stderr that
 * tells a test that the use was reached; else 0.
 */
int sim_fail(const char *call);

#endif
