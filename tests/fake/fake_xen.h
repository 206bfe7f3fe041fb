/* SPDX-License-Identifier: MIT */
/*
 * fake_xen.h - libxengnttab and libxenevtchn within one process, for unit tests and fuzz targets.
 *
 * The test gives the memory behind a grant, and gets each event with the guest's port. Only what the test does happens;
 * tests/sim simulates a whole machine. For one thread.
 */
#ifndef FAKE_XEN_H
#define FAKE_XEN_H

#include <stdbool.h>
#include <stdint.h>

struct fake_xen {
	/*
	 * The page behind a reference that is mapped with @prot, or copied (0); NULL when that is not granted.
	 * Pages that are mapped together lie together. Without it each mapping is of fresh zeroed memory,
	 * and nothing can be copied.
	 */
	void *(*page)(uint32_t domid, uint32_t ref, int prot);
	/* The guest's @port has an event. May be NULL. */
	void (*notified)(uint32_t domid, uint32_t port);

	/* Which calls fail with EACCES: the next N calls, or the N-th call to map or to bind. */
	unsigned int bad_maps, bad_binds, bad_step;

	unsigned int nr_maps;   /* calls to map, also failed ones */
	unsigned int nr_copies; /* segments */
	unsigned int nr_copy_calls;
	unsigned int nr_copy_ops; /* what the kernel makes of them: one for each local page */
};
extern struct fake_xen fake_xen;

/* Send an event of the guest's @port to the handle that has bound it. An event that was not read yet is not doubled. */
void fake_xen_event(uint32_t domid, uint32_t port);

/* Where the program has @ref of @domid mapped; NULL when it has not. */
void *fake_xen_mapped(uint32_t domid, uint32_t ref);

/* Mappings and bindings that were not undone. */
unsigned int fake_xen_nr_mapped(void);
unsigned int fake_xen_nr_bound(void);

#endif
