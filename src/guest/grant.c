/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/grant_table.h> /* wants stdint.h before it */

#include "guest/grant.h"

/* One ioctl takes any number. More than this many in one call gain nothing. */
#define CALL_MAX 256u

int grant_map(xengnttab_handle *xgt, uint32_t domid, const uint32_t *refs, uint32_t nr,
	      struct grant_map *ret_map)
{
	uint32_t private_refs[64];
	void *addr;

	if (nr == 0 || nr > sizeof(private_refs) / sizeof(private_refs[0]))
		return -EINVAL;
	memcpy(private_refs, refs, nr * sizeof(refs[0])); /* the library wants them writable */
	addr = xengnttab_map_domain_grant_refs(xgt, nr, domid, private_refs,
					       PROT_READ | PROT_WRITE);
	if (!addr)
		return errno ? -errno : -EIO;
	ret_map->addr = addr;
	ret_map->nr_pages = nr;
	return 0;
}

void grant_unmap(xengnttab_handle *xgt, struct grant_map *map)
{
	if (map->addr)
		xengnttab_unmap(xgt, map->addr, map->nr_pages);
	*map = (struct grant_map){ 0 };
}

static int grow(struct grant_batch *batch)
{
	uint32_t capacity = batch->capacity ? batch->capacity * 2 : CALL_MAX;
	void *segs = realloc(batch->segs, capacity * sizeof(batch->segs[0]));

	if (!segs)
		return -ENOMEM;
	batch->segs = segs;
	batch->capacity = capacity;
	return 0;
}

int grant_batch_add(struct grant_batch *batch, const struct grant_copy *copy)
{
	bool from = copy->direction == GRANT_FROM_GUEST;
	union xengnttab_copy_ptr *guest, *ours;
	xengnttab_grant_copy_segment_t *seg;

	if (copy->len == 0 || copy->len > GRANT_PAGE_SIZE ||
	    copy->offset > GRANT_PAGE_SIZE - copy->len)
		return -EINVAL;
	if (batch->nr == batch->capacity && grow(batch))
		return -ENOMEM;

	seg = &batch->segs[batch->nr];
	memset(seg, 0, sizeof(*seg));
	seg->len = (uint16_t)copy->len;
	seg->status = GNTST_general_error;
	seg->flags = from ? GNTCOPY_source_gref : GNTCOPY_dest_gref;
	guest = from ? &seg->source : &seg->dest;
	guest->foreign.ref = copy->ref;
	guest->foreign.offset = (uint16_t)copy->offset;
	guest->foreign.domid = (domid_t)copy->domid;
	ours = from ? &seg->dest : &seg->source;
	if (batch->own && own_pages_name(batch->own, copy->local, copy->len, ours))
		seg->flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
	else
		ours->virt = copy->local;
	return (int)batch->nr++;
}

/* When the call itself fails, the kernel's statuses mean nothing: count all copies as failed. */
static void run_call(struct grant_batch *batch, xengnttab_handle *xgt, uint32_t from, uint32_t nr)
{
	int err = xengnttab_grant_copy(xgt, nr, batch->segs + from);

	batch->nr_calls++;
	for (uint32_t i = from; i < from + nr; i++) {
		if (err)
			batch->segs[i].status = GNTST_general_error;
		if (batch->segs[i].status != GNTST_okay)
			batch->nr_failed++;
	}
}

void grant_batch_run(struct grant_batch *batch, xengnttab_handle *xgt)
{
	while (grant_batch_waits(batch)) {
		uint32_t left = batch->nr - batch->ran;
		uint32_t nr = left < CALL_MAX ? left : CALL_MAX;

		run_call(batch, xgt, batch->ran, nr);
		batch->ran += nr;
		batch->nr_copies += nr;
	}
}

bool grant_batch_waits(const struct grant_batch *batch)
{
	return batch->ran < batch->nr;
}

bool grant_batch_ok(const struct grant_batch *batch, uint32_t index)
{
	return batch->segs[index].status == GNTST_okay;
}

void grant_batch_reset(struct grant_batch *batch)
{
	batch->nr = 0;
	batch->ran = 0;
}

void grant_batch_done(struct grant_batch *batch)
{
	free(batch->segs);
	*batch = (struct grant_batch){ 0 };
}
