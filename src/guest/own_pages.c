/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xen/xen.h> /* wants stdint.h before it */

#include "guest/grant.h"
#include "guest/own_pages.h"

void own_pages_open(struct own_pages *own, uint32_t domid)
{
	*own = (struct own_pages){ .xgs = xengntshr_open(NULL, 0), .domid = domid };
}

/* What is mapped stays granted. */
static void close_device(struct own_pages *own)
{
	if (own->xgs)
		xengntshr_close(own->xgs);
	own->xgs = NULL;
}

void own_pages_close(struct own_pages *own)
{
	close_device(own);
	free(own->refs);
	*own = (struct own_pages){ 0 };
}

static uint8_t *share(struct own_pages *own, uint32_t nr)
{
	own->refs = calloc(nr, sizeof(own->refs[0]));
	return own->refs ? xengntshr_share_pages(own->xgs, own->domid, (int)nr, own->refs, 1)
			 : NULL;
}

void own_pages_place(struct own_pages *own, void *at, uint32_t nr)
{
	size_t bytes = (size_t)nr * GRANT_PAGE_SIZE;
	uint8_t *pages = own->xgs ? share(own, nr) : NULL;

	if (pages && mremap(pages, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at) {
		own->at = at;
		own->nr = nr;
	} else if (pages) {
		munmap(pages, bytes);
	}
	close_device(own);
}

bool own_pages_name(const struct own_pages *own, const void *local, uint32_t len,
		    union xengnttab_copy_ptr *ret)
{
	size_t at = (size_t)((uintptr_t)local - (uintptr_t)own->at);
	uint32_t offset = (uint32_t)(at % GRANT_PAGE_SIZE);

	if (at >= (size_t)own->nr * GRANT_PAGE_SIZE || len > GRANT_PAGE_SIZE - offset)
		return false;
	ret->foreign.ref = own->refs[at / GRANT_PAGE_SIZE];
	ret->foreign.offset = (uint16_t)offset;
	ret->foreign.domid = DOMID_SELF;
	return true;
}
