/* SPDX-License-Identifier: MIT */
/* blk_ring.c - the frontend's half of a blkif ring. */
#include "simblk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* Where things are in an entry, per ABI (blkif.h compiled for each). */
static const struct layout {
	uint32_t size;
	uint32_t id, sector, seg;                          /* read, write, flush */
	uint32_t discard_nr;                               /* discard */
	uint32_t ind_id, ind_sector, ind_handle, ind_refs; /* indirect */
} layouts[] = {
	[BLK_ABI_64] = { 112, 8, 16, 24, 24, 8, 16, 24, 28 },
	[BLK_ABI_32] = { 108, 4, 12, 20, 20, 4, 12, 20, 24 },
};

#define RING_HEADER 64u

uint32_t *blk_ring_word(struct blk_front *f, struct blk_queue *q, unsigned int which)
{
	return (uint32_t *)sim_guest_addr(&f->guest, q->gfn) + which;
}

uint8_t *blk_ring_slot(struct blk_front *f, struct blk_queue *q, uint32_t index)
{
	uint8_t *ring = sim_guest_addr(&f->guest, q->gfn);

	return ring + RING_HEADER + (size_t)(index & (q->nr_slots - 1)) * layouts[f->opt.abi].size;
}

/* A plain load makes its grants only once, whether the backend keeps them mapped or not. */
static bool keeps_grants(const struct blk_front *f)
{
	return f->persistent || f->opt.plain;
}

static void put_bytes(uint8_t *at, const void *value, size_t len)
{
	memcpy(at, value, len);
}

static uint32_t slots_for(uint32_t bytes, uint32_t size)
{
	uint32_t n = 1;

	while (n * 2 * size <= bytes - RING_HEADER)
		n *= 2;
	return n;
}

static void must(int err, const char *what)
{
	if (err)
		sim_die("%s: %s", what, strerror(-err));
}

static void requests_open(struct blk_front *f, struct blk_queue *q)
{
	uint32_t segs = f->opt.segs;

	q->depth = f->opt.depth < q->nr_slots ? f->opt.depth : q->nr_slots;
	q->req = sim_alloc(q->depth * sizeof(*q->req));
	for (uint32_t i = 0; i < q->depth; i++) {
		struct blk_req *r = &q->req[i];

		must(sim_guest_alloc(&f->guest, segs, &r->pages), "guest memory");
		must(sim_guest_alloc(&f->guest, 1, &r->ind_gfn), "guest memory");
		r->pool_ref = sim_alloc(segs * sizeof(*r->pool_ref));
	}
}

static void queue_open(struct blk_front *f, struct blk_queue *q)
{
	uint32_t back = f->bus.back_domid;

	*q = (struct blk_queue){ .nr_pages = f->nr_ring_pages };
	must(sim_guest_alloc(&f->guest, q->nr_pages, &q->gfn), "guest memory");
	for (uint32_t i = 0; i < q->nr_pages; i++)
		must(sim_guest_grant(&f->guest, back, q->gfn + i, false, &q->ref[i]), "grant");
	q->nr_slots = slots_for(q->nr_pages * SIM_PAGE_SIZE, layouts[f->opt.abi].size);
	*blk_ring_word(f, q, REQ_EVENT) = 1;
	*blk_ring_word(f, q, RSP_EVENT) = 1;
	q->port = xenevtchn_bind_unbound_port(f->xce, back);
	if (q->port < 0)
		sim_die("event channel: %s", strerror(errno));
	requests_open(f, q);
}

void blk_queues_open(struct blk_front *f)
{
	for (uint32_t i = 0; i < f->nr_queues; i++)
		queue_open(f, &f->queue[i]);
}

static void revoke(struct blk_front *f, uint32_t *ref, const char *what)
{
	if (*ref && sim_guest_revoke(&f->guest, *ref)) {
		fprintf(stderr, "simblk: %s grant %u is still in use\n", what, *ref);
		f->stats.protocol_errors++;
	}
	*ref = 0;
}

static void request_revoke(struct blk_front *f, struct blk_req *r)
{
	for (uint32_t i = 0; i < r->nr_segs; i++)
		revoke(f, &r->seg[i].ref, "data");
	revoke(f, &r->ind_ref, "indirect");
}

static void request_close(struct blk_front *f, struct blk_req *r)
{
	if (!keeps_grants(f) && r->busy)
		request_revoke(f, r);
	for (uint32_t s = 0; s < f->opt.segs; s++)
		revoke(f, &r->pool_ref[s], "persistent");
	revoke(f, &r->ind_ref, "indirect");
	sim_guest_free(&f->guest, r->pages, f->opt.segs);
	sim_guest_free(&f->guest, r->ind_gfn, 1);
	free(r->pool_ref);
}

void blk_queues_close(struct blk_front *f)
{
	for (uint32_t i = 0; i < f->nr_queues; i++) {
		struct blk_queue *q = &f->queue[i];

		if (!q->req)
			continue;
		xenevtchn_unbind(f->xce, (evtchn_port_t)q->port);
		for (uint32_t k = 0; k < q->nr_pages; k++)
			revoke(f, &q->ref[k], "ring");
		for (uint32_t k = 0; k < q->depth; k++)
			request_close(f, &q->req[k]);
		sim_guest_free(&f->guest, q->gfn, q->nr_pages);
		free(q->req);
		*q = (struct blk_queue){ 0 };
	}
}

void blk_ring_purge(struct blk_front *f, struct blk_queue *q)
{
	for (uint32_t i = 0; i < q->depth; i++) {
		struct blk_req *r = &q->req[i];

		for (uint32_t s = 0; s < f->opt.segs && !r->busy; s++)
			if (r->pool_ref[s] && !sim_guest_revoke(&f->guest, r->pool_ref[s]))
				r->pool_ref[s] = 0;
	}
}

uint32_t blk_grant(struct blk_front *f, struct blk_req *r, uint32_t page)
{
	/* A page that is only to be read is granted read-only, unless kept. */
	bool readonly = !keeps_grants(f) && r->op != BLK_READ;
	uint32_t ref;

	if (keeps_grants(f) && r->pool_ref[page])
		return r->pool_ref[page];
	must(sim_guest_grant(&f->guest, f->bus.back_domid, r->pages + page, readonly, &ref),
	     "grant");
	if (keeps_grants(f))
		r->pool_ref[page] = ref;
	return ref;
}

static void put_segment(uint8_t *at, const struct blk_seg *seg)
{
	put_bytes(at, &seg->ref, 4);
	at[4] = seg->first;
	at[5] = seg->last;
	at[6] = at[7] = 0;
}

static void put_direct(const struct layout *l, uint8_t *slot, const struct blk_req *r, uint64_t id)
{
	slot[0] = r->op;
	slot[1] = (uint8_t)r->nr_segs;
	put_bytes(slot + l->id, &id, 8);
	put_bytes(slot + l->sector, &r->sector, 8);
	for (uint32_t i = 0; i < r->nr_segs; i++)
		put_segment(slot + l->seg + i * 8, &r->seg[i]);
}

static void put_discard(const struct layout *l, uint8_t *slot, const struct blk_req *r, uint64_t id)
{
	uint64_t nr = r->nr_sectors;

	slot[0] = BLK_DISCARD;
	slot[1] = 0;
	put_bytes(slot + l->id, &id, 8);
	put_bytes(slot + l->sector, &r->sector, 8);
	put_bytes(slot + l->discard_nr, &nr, 8);
}

static void put_indirect(struct blk_front *f, uint8_t *slot, struct blk_req *r, uint64_t id)
{
	const struct layout *l = &layouts[f->opt.abi];
	uint8_t *page = sim_guest_addr(&f->guest, r->ind_gfn);
	uint16_t nr = (uint16_t)r->nr_segs, handle = 0;

	for (uint32_t i = 0; i < r->nr_segs; i++)
		put_segment(page + i * 8, &r->seg[i]);
	if (!r->ind_ref)
		must(sim_guest_grant(&f->guest, f->bus.back_domid, r->ind_gfn, !keeps_grants(f),
				     &r->ind_ref),
		     "grant");
	slot[0] = BLK_INDIRECT;
	slot[1] = r->op;
	put_bytes(slot + 2, &nr, 2);
	put_bytes(slot + l->ind_id, &id, 8);
	put_bytes(slot + l->ind_sector, &r->sector, 8);
	put_bytes(slot + l->ind_handle, &handle, 2);
	put_bytes(slot + l->ind_refs, &r->ind_ref, 4);
}

void blk_ring_put(struct blk_front *f, struct blk_queue *q, struct blk_req *r)
{
	const struct layout *l = &layouts[f->opt.abi];
	uint8_t *slot = blk_ring_slot(f, q, q->req_prod);
	uint64_t id = (uint64_t)(r - q->req);

	memset(slot, 0, l->size);
	if (r->op == BLK_DISCARD)
		put_discard(l, slot, r, id);
	else if (r->nr_segs > BLK_DIRECT_SEGS)
		put_indirect(f, slot, r, id);
	else
		put_direct(l, slot, r, id);
	r->busy = true;
	q->busy++;
	q->req_prod++;
}

void blk_ring_push(struct blk_front *f, struct blk_queue *q)
{
	uint32_t old = __atomic_load_n(blk_ring_word(f, q, REQ_PROD), __ATOMIC_RELAXED);
	uint32_t event;

	if (old == q->req_prod)
		return;
	__atomic_store_n(blk_ring_word(f, q, REQ_PROD), q->req_prod, __ATOMIC_RELEASE);
	sim_fence();
	event = __atomic_load_n(blk_ring_word(f, q, REQ_EVENT), __ATOMIC_RELAXED);
	if (q->req_prod - event < q->req_prod - old) {
		xenevtchn_notify(f->xce, (evtchn_port_t)q->port);
		f->stats.notifies++;
	}
}

static void protocol_error(struct blk_front *f, const char *what, uint64_t value)
{
	if (f->stats.protocol_errors++ < 10)
		fprintf(stderr, "simblk: %s (%llu)\n", what, (unsigned long long)value);
}

/* The response is answered: its temporary grants must be free again by now. */
static void request_release(struct blk_front *f, struct blk_queue *q, struct blk_req *r)
{
	if (!keeps_grants(f))
		request_revoke(f, r);
	r->busy = false;
	q->busy--;
}

struct blk_req *blk_ring_take(struct blk_front *f, struct blk_queue *q, int *ret_status)
{
	uint32_t prod = __atomic_load_n(blk_ring_word(f, q, RSP_PROD), __ATOMIC_ACQUIRE);
	const uint8_t *slot = blk_ring_slot(f, q, q->rsp_cons);
	struct blk_req *r;
	int16_t status;
	uint64_t id;

	if (prod == q->rsp_cons)
		return NULL;
	if (prod - q->rsp_cons > q->req_prod - q->rsp_cons) {
		protocol_error(f, "more responses than requests: rsp_prod", prod);
		return NULL;
	}
	memcpy(&id, slot, 8);
	memcpy(&status, slot + 10, 2);
	if (id >= q->depth || !q->req[id].busy) {
		protocol_error(f, "response to nothing: id", id);
		q->rsp_cons++;
		return blk_ring_take(f, q, ret_status);
	}
	r = &q->req[id];
	if (slot[8] != r->op)
		protocol_error(f, "response with another operation", slot[8]);
	q->rsp_cons++;
	request_release(f, q, r);
	*ret_status = status;
	return r;
}

bool blk_ring_wait_wanted(struct blk_front *f, struct blk_queue *q)
{
	uint32_t prod;

	__atomic_store_n(blk_ring_word(f, q, RSP_EVENT), q->rsp_cons + 1, __ATOMIC_RELAXED);
	sim_fence();
	prod = __atomic_load_n(blk_ring_word(f, q, RSP_PROD), __ATOMIC_RELAXED);
	return prod != q->rsp_cons;
}
