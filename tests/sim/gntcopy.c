/* SPDX-License-Identifier: MIT */
/*
 * gntcopy.c - xengnttab_grant_copy with the rules of gntdev and Xen.
 *
 * gntdev checks and queues segment by segment and sends 16 operations at a
 * time; a segment whose grant side leaves its page, or which has no grant side,
 * makes the whole call EINVAL, after earlier batches were carried out and
 * without the batch being filled. Everything else is a status per segment.
 */
#include "gnttab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OPS_PER_BATCH 16u

typedef struct xengnttab_grant_copy_segment segment;

/* One side of a copy, ready to use. */
struct side {
	char *addr;
	struct sim_dom *dom; /* NULL for local memory */
	uint32_t ref;
	bool write;
};

/*
 * Its domain's lock is held from here to side_close(), so that a process that is killed in a copy
 * leaves nothing behind: on a real machine nobody dies within a hypercall.
 */
static int side_open(struct xengntdev_handle *xgt, union xengnttab_copy_ptr *ptr, bool is_gref,
		     bool write, struct side *s)
{
	struct sim_shm *shm = xgt->conn.shm;
	uint32_t domid, gfn;
	int status;

	*s = (struct side){ .write = write };
	if (!is_gref) {
		s->addr = ptr->virt;
		return GNTST_okay;
	}
	domid = ptr->foreign.domid == DOMID_SELF ? xgt->conn.domid : ptr->foreign.domid;
	s->ref = ptr->foreign.ref;
	if (domid == xgt->conn.domid)
		s->addr = sim_shared_page(s->ref);
	if (s->addr) {
		s->addr += ptr->foreign.offset;
		return GNTST_okay;
	}
	s->dom = sim_dom_find(shm, domid);
	if (!s->dom)
		return GNTST_bad_domain;
	sim_lock(&s->dom->lock);
	status = sim_grant_pin(shm, s->dom, s->ref, xgt->conn.domid, write, &gfn);
	if (status == GNTST_okay) {
		s->addr = (char *)sim_page_addr(shm, s->dom, gfn) + ptr->foreign.offset;
		return status;
	}
	sim_unlock(&s->dom->lock);
	s->dom = NULL;
	return status;
}

static void side_close(struct xengntdev_handle *xgt, struct side *s)
{
	if (!s->dom)
		return;
	sim_grant_unpin(xgt->conn.shm, s->dom, s->ref, s->write);
	sim_unlock(&s->dom->lock);
}

/*
 * A byte copy of memory that a guest may be writing at the same time: the
 * value is whatever it is, but the copy itself must not be undefined.
 */
__attribute__((no_sanitize("thread"))) static void copy_bytes(char *to, const char *from,
							      size_t len)
{
	memcpy(to, from, len);
}

static void segment_run(struct xengntdev_handle *xgt, segment *seg)
{
	bool from_gref = seg->flags & GNTCOPY_source_gref, to_gref = seg->flags & GNTCOPY_dest_gref;
	struct side from = { 0 }, to = { 0 };
	int status = -sim_fail("xengnttab_grant_copy.status");

	if (!status)
		status = side_open(xgt, &seg->source, from_gref, false, &from);
	else
		status = GNTST_general_error;
	if (status == GNTST_okay)
		status = side_open(xgt, &seg->dest, to_gref, true, &to);
	if (status == GNTST_okay)
		copy_bytes(to.addr, from.addr, seg->len);
	side_close(xgt, &to);
	side_close(xgt, &from);
	seg->status = (int16_t)status;
	__atomic_add_fetch(&xgt->conn.shm->stats.copies, 1, __ATOMIC_RELAXED);
}

static bool crosses_page(const union xengnttab_copy_ptr *ptr, uint16_t len)
{
	return (uint32_t)ptr->foreign.offset + len > SIM_PAGE_SIZE;
}

static bool segment_is_valid(const segment *seg)
{
	if (!(seg->flags & (GNTCOPY_source_gref | GNTCOPY_dest_gref)))
		return false;
	if ((seg->flags & GNTCOPY_source_gref) && crosses_page(&seg->source, seg->len))
		return false;
	return !((seg->flags & GNTCOPY_dest_gref) && crosses_page(&seg->dest, seg->len));
}

/* Hypercall operations that a segment costs: one per local page it touches. */
static uint32_t segment_ops(const segment *seg)
{
	uintptr_t local = 0;

	if (!seg->len)
		return 0;
	if (!(seg->flags & GNTCOPY_source_gref))
		local = (uintptr_t)seg->source.virt;
	else if (!(seg->flags & GNTCOPY_dest_gref))
		local = (uintptr_t)seg->dest.virt;
	local %= SIM_PAGE_SIZE;
	return (uint32_t)((local + seg->len - 1) / SIM_PAGE_SIZE) + 1;
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count,
			 xengnttab_grant_copy_segment_t *segs)
{
	uint32_t done = 0, ops = 0;
	int err = sim_fail("xengnttab_grant_copy");

	if (err) {
		errno = err;
		return -1;
	}
	__atomic_add_fetch(&xgt->conn.shm->stats.copy_calls, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < count; i++) {
		if (!segment_is_valid(&segs[i])) {
			errno = EINVAL;
			return -1;
		}
		segs[i].status = GNTST_okay;
		ops += segment_ops(&segs[i]);
		if (ops < OPS_PER_BATCH)
			continue;
		for (; done <= i; done++)
			if (segs[done].len)
				segment_run(xgt, &segs[done]);
		ops = 0;
	}
	for (; done < count; done++)
		if (segs[done].len)
			segment_run(xgt, &segs[done]);
	return 0;
}
