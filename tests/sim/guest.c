/* SPDX-License-Identifier: MIT */
/* guest.c - a guest's own memory and grant table. */
#include "guest.h"

#include <errno.h>
#include <string.h>

#define FIRST_REF (SIM_NO_GRANT + 1) /* the lower ones are reserved for console and xenstore */

static uint16_t my_tag(const struct sim_guest *g)
{
	return (uint16_t)SIM_CLIENT_INDEX(g->conn.id);
}

int sim_guest_open(struct sim_guest *g, bool is_vcpu)
{
	int err;

	*g = (struct sim_guest){ .ref_hint = FIRST_REF };
	err = sim_client_open(&g->conn, is_vcpu);
	if (err)
		return err;
	g->dom = sim_dom_find(g->conn.shm, g->conn.domid);
	if (g->dom)
		return 0;
	sim_guest_close(g);
	return -ENOENT;
}

void sim_guest_close(struct sim_guest *g)
{
	sim_client_close(&g->conn);
	g->dom = NULL;
}

/* Is the run of @nr pages at @at free? If not, *ret_next is where to go on. */
static bool run_is_free(const struct sim_dom *dom, uint32_t at, uint32_t nr, uint32_t *ret_next)
{
	for (uint32_t i = at; i < at + nr; i++) {
		if (dom->page_client[i]) {
			*ret_next = i + 1;
			return false;
		}
	}
	return true;
}

int sim_guest_alloc(struct sim_guest *g, uint32_t nr, uint32_t *ret_gfn)
{
	struct sim_dom *dom = g->dom;
	uint32_t at = g->page_hint, wraps = 0;
	int err = -ENOMEM;

	sim_lock(&dom->lock);
	while (nr <= dom->nr_pages && wraps < 2) {
		uint32_t next = at;

		if (at + nr > dom->nr_pages) {
			at = 0;
			wraps++;
		} else if (run_is_free(dom, at, nr, &next)) {
			err = 0;
			break;
		} else {
			at = next;
		}
	}
	for (uint32_t i = 0; !err && i < nr; i++)
		dom->page_client[at + i] = my_tag(g);
	sim_unlock(&dom->lock);
	if (err)
		return err;
	g->page_hint = at + nr;
	memset(sim_guest_addr(g, at), 0, (size_t)nr * SIM_PAGE_SIZE);
	*ret_gfn = at;
	return 0;
}

void sim_guest_free(struct sim_guest *g, uint32_t gfn, uint32_t nr)
{
	sim_lock(&g->dom->lock);
	for (uint32_t i = 0; i < nr; i++)
		g->dom->page_client[gfn + i] = 0;
	sim_unlock(&g->dom->lock);
}

void *sim_guest_addr(struct sim_guest *g, uint32_t gfn)
{
	return sim_page_addr(g->conn.shm, g->dom, gfn);
}

static uint32_t ref_take(struct sim_guest *g)
{
	struct sim_dom *dom = g->dom;
	uint32_t ref = 0;

	sim_lock(&dom->lock);
	for (uint32_t i = 0; i < SIM_NR_GRANTS && !ref; i++) {
		uint32_t at = g->ref_hint++;

		if (g->ref_hint >= SIM_NR_GRANTS)
			g->ref_hint = FIRST_REF;
		if (!dom->grant_client[at])
			ref = at;
	}
	if (ref)
		dom->grant_client[ref] = my_tag(g);
	sim_unlock(&dom->lock);
	return ref;
}

int sim_guest_grant(struct sim_guest *g, uint32_t domid, uint32_t gfn, bool readonly,
		    uint32_t *ret_ref)
{
	uint32_t ref = ref_take(g);
	grant_entry_v1_t *e;

	if (!ref)
		return -ENOSPC;
	e = &sim_dom_grants(g->conn.shm, g->dom)[ref];
	e->frame = gfn;
	e->domid = (domid_t)domid;
	/* The flags make it valid: last, after all else can be seen. */
	__atomic_store_n(&e->flags, (uint16_t)(GTF_permit_access | (readonly ? GTF_readonly : 0)),
			 __ATOMIC_SEQ_CST);
	*ret_ref = ref;
	return 0;
}

bool sim_guest_grant_in_use(struct sim_guest *g, uint32_t ref)
{
	grant_entry_v1_t *e = &sim_dom_grants(g->conn.shm, g->dom)[ref];

	return __atomic_load_n(&e->flags, __ATOMIC_SEQ_CST) & (GTF_reading | GTF_writing);
}

int sim_guest_revoke(struct sim_guest *g, uint32_t ref)
{
	grant_entry_v1_t *e = &sim_dom_grants(g->conn.shm, g->dom)[ref];
	uint16_t flags = __atomic_load_n(&e->flags, __ATOMIC_SEQ_CST);

	do
		if (flags & (GTF_reading | GTF_writing))
			return -EBUSY;
	while (!__atomic_compare_exchange_n(&e->flags, &flags, 0, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST));
	sim_lock(&g->dom->lock);
	g->dom->grant_client[ref] = 0;
	sim_unlock(&g->dom->lock);
	return 0;
}
