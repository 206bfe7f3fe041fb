/* SPDX-License-Identifier: MIT */
/* The CPU time of a process. */
#ifndef PVB_CONTROL_CPU_H
#define PVB_CONTROL_CPU_H

#include <stdint.h>
#include <sys/types.h>

/*
 * How long the threads of process `pid` have run so far, in ns. 0 when that cannot be found out, and when `pid` is 0. It
 * opens no file and does not block.
 */
uint64_t cpu_ns(pid_t pid);

#endif
