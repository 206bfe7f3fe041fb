/* SPDX-License-Identifier: MIT */
/* What a process uses of the processors, by /proc. */
#ifndef PVB_CTL_CPU_H
#define PVB_CTL_CPU_H

#include <stdint.h>

/* How long its threads have run so far; 0 when that is not to be known. */
uint64_t cpu_of(uint64_t pid);
/* Between two such: 1 is a whole processor; negative when it is not known. */
double cpu_share(uint64_t before_ns, uint64_t now_ns, uint64_t interval_ns);

#endif
