/* SPDX-License-Identifier: MIT */
/* The instruction by which a program in Dom0 speaks to plugin.c: a long NOP with a displacement that no compiler makes. */
#ifndef BENCH_XEN_MARK_H
#define BENCH_XEN_MARK_H

#define MARK_BEGIN 0x70766201 /* a window begins: all counts start from 0 */
#define MARK_END   0x70766202 /* the window ends: all counts are written out */

#endif
