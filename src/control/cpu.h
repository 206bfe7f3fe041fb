/* SPDX-License-Identifier: MIT */
/* What a process uses of the processors. */
#ifndef PVB_CONTROL_CPU_H
#define PVB_CONTROL_CPU_H

#include <stdint.h>
#include <sys/types.h>

/*
 * How long its threads have run so far; 0 when that is not to be known, and of 0, which is none. It opens no file, and
 * waits for nobody.
 */
uint64_t cpu_ns(pid_t pid);

#endif
