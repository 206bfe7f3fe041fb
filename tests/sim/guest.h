/* SPDX-License-Identifier: MIT */
/*
 * guest.h - being a guest on the simulated machine: memory and grants.
 *
 * The process says with $XENSIM_DOMID which domain it is; several processes may
 * be one domain, and share its pages and grant references by an allocator.
 * Event channels come from xenevtchn.h and xenstore from xenstore.h as ever.
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "client.h"

/* A reference that is never in use: it is below those that sim_guest_grant() returns. */
#define SIM_NO_GRANT 7u

struct sim_guest {
	struct sim_client_conn conn;
	struct sim_dom *dom; /* borrowed from conn.shm */
	uint32_t ref_hint, page_hint;
};

/* Become (part of) the domain; @is_vcpu as in sim_client_open(). 0 or -errno. */
int sim_guest_open(struct sim_guest *g, bool is_vcpu);
/* Gives back pages and grants too, except those a backend still uses. */
void sim_guest_close(struct sim_guest *g);

/* @nr zeroed pages with consecutive frame numbers. 0 with the first, or -ENOMEM. */
int sim_guest_alloc(struct sim_guest *g, uint32_t nr, uint32_t *ret_gfn);
void sim_guest_free(struct sim_guest *g, uint32_t gfn, uint32_t nr);
void *sim_guest_addr(struct sim_guest *g, uint32_t gfn);

/* Let @domid use page @gfn. 0 with the reference, or -ENOSPC. */
int sim_guest_grant(struct sim_guest *g, uint32_t domid, uint32_t gfn, bool readonly,
		    uint32_t *ret_ref);
/* Is the grant mapped or being copied right now? */
bool sim_guest_grant_in_use(struct sim_guest *g, uint32_t ref);
/* End the grant and free the reference. -EBUSY while it is in use. */
int sim_guest_revoke(struct sim_guest *g, uint32_t ref);

#endif
