/* SPDX-License-Identifier: MIT */
/*
 * Pages of ours that are granted to our own domain, so that a grant copy names both of its ends by reference. An
 * end that is named by its address is pinned by gntdev, page by page and copy by copy, which costs a PV kernel more than the
 * copy does (bench/README.md).
 *
 * All processes of the domain share what /dev/xen/gntalloc gives out (its parameter `limit`); without any, copies name
 * addresses. A worker's; silent.
 */
#ifndef PVB_OWN_PAGES_H
#define PVB_OWN_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <xengnttab.h>

struct own_pages {
	xengntshr_handle *xgs; /* owned, until they are there; NULL: none can be had (any more) */
	uint32_t domid;        /* our own */
	uint8_t *at;           /* borrowed: where they are; NULL when there are none */
	uint32_t nr;
	uint32_t *refs; /* owned */
};

/* `domid`: our own. Before the process gives up its rights. Without the device there will be no pages. */
void own_pages_open(struct own_pages *own, uint32_t domid);
/* Nothing copies from or to them any more. Idempotent; fine for one that is zero. */
void own_pages_close(struct own_pages *own);

/*
 * Put `nr` pages in the place of those mapped at `at`, which stays the caller's to unmap. Once. Where that cannot be, the memory
 * there stays what it is.
 */
void own_pages_place(struct own_pages *own, void *at, uint32_t nr);

/* Names these bytes by reference. False when they are not in one of the pages. */
bool own_pages_name(const struct own_pages *own, const void *local, uint32_t len,
		    union xengnttab_copy_ptr *ret);

#endif
