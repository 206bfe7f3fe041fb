/* SPDX-License-Identifier: MIT */
/*
 * libxenstore and libxenctrl within one process, for fuzz targets, and no log; grants and ports are those of
 * tests/fake. One thread; the target says what happens next.
 */
#ifndef PVB_FUZZ_FAKES_H
#define PVB_FUZZ_FAKES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* An empty machine: no nodes, no domains dead, nothing to fail. Watches are kept. */
void fake_reset(void);

/* --- xenstore, as somebody else writes it; paths are absolute --- */

void fake_write(const char *path, const void *value, size_t len);
void fake_writef(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fake_remove(const char *path); /* and all below */
/* The value as text, "" when there is none. Valid until the next change. */
const char *fake_value(const char *path);
bool fake_exists(const char *path);
/* Fire the watches on a path although nothing changed ("@releaseDomain", too). */
void fake_fire(const char *path);
unsigned int fake_nr_watches(void);
/* The program closes its connection and will open another one. */
void fake_forget_watches(void);

/* Called when the program writes a node outside of, or commits it in, a transaction. */
extern void (*fake_on_write)(const char *path, const char *before, const char *value);

/* --- what fails next --- */

struct fake_faults {
	unsigned int conflicts;  /* so many commits end in EAGAIN */
	unsigned int bad_writes; /* so many writes end in ENOSPC */
};
extern struct fake_faults fake_faults;

/* --- the hypervisor --- */

void fake_kill_domain(uint32_t domid); /* dying; says nothing in xenstore */

#endif
