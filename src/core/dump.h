/* SPDX-License-Identifier: MIT */
/* Lines of figures in the log, which SIGUSR1 asks for. */
#ifndef PVB_DUMP_H
#define PVB_DUMP_H

#include <stdio.h>

/* Calls write(), which writes whole lines. Each becomes a line of the log that begins with "dump: ". Any thread. */
void dump_to_log(void (*write)(void *user, FILE *out), void *user);

#endif
