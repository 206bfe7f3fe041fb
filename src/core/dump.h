/* SPDX-License-Identifier: MIT */
/* What SIGUSR1 asks for: lines of figures, into the log. */
#ifndef PVB_DUMP_H
#define PVB_DUMP_H

#include <stdio.h>

/* Have write() make whole lines; each becomes a line of the log that begins with "dump: ". Any thread. */
void dump_to_log(void (*write)(void *user, FILE *out), void *user);

#endif
