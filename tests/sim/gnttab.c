/* SPDX-License-Identifier: MIT */
/*
 * gnttab.c - libxengnttab on the simulated machine: mapping grants.
 *
 * Copying is in gntcopy.c, pages of one's own in gntshr.c. dma-buf is not simulated and says ENOSYS.
 */
#include "gnttab.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define MAX_PER_CALL 65536u /* gntdev's "limit" */

/* One call's mapping: as in gntdev it can only be unmapped as a whole. */
struct mapping {
	struct mapping *next;
	char *addr;
	uint32_t count;
	uint32_t entry[]; /* into shm->map */
};

static void *fail_null(int err)
{
	errno = err;
	return NULL;
}

static int fail_with(int err)
{
	errno = err;
	return -1;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
	struct xengntdev_handle *xgt;
	int err = sim_fail("xengnttab_open");

	(void)logger;
	(void)flags;
	if (err)
		return fail_null(err);
	xgt = calloc(1, sizeof(*xgt));
	if (!xgt)
		return NULL;
	pthread_mutex_init(&xgt->lock, NULL);
	err = sim_client_open(&xgt->conn, false);
	if (err) {
		free(xgt);
		return fail_null(-err);
	}
	xgt->conn.shm->client[SIM_CLIENT_INDEX(xgt->conn.id)].has_grants = true;
	return xgt;
}

int xengnttab_fd(xengnttab_handle *xgt)
{
	return xgt->conn.fd;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
	int err = sim_fail("xengnttab_set_max_grants");

	(void)xgt;
	(void)nr_grants;
	return err ? fail_with(err) : 0;
}

static uint32_t map_entry_find(struct sim_shm *shm)
{
	static uint32_t hint;
	uint32_t at = __atomic_load_n(&hint, __ATOMIC_RELAXED), ret = 0;

	for (uint32_t i = 0; i < SIM_MAX_MAPS && !ret; i++) {
		at = at % (SIM_MAX_MAPS - 1) + 1;
		if (!shm->map[at].client)
			ret = at;
	}
	__atomic_store_n(&hint, ret, __ATOMIC_RELAXED);
	return ret;
}

static int pin(struct sim_shm *shm, const struct sim_map *map, uint32_t user, uint32_t *ret_gfn)
{
	struct sim_dom *dom = &shm->dom[map->slot];
	int status;

	sim_lock(&dom->lock);
	status = sim_grant_pin(shm, dom, map->ref, user, map->writable, ret_gfn);
	sim_unlock(&dom->lock);
	return status;
}

/*
 * Pin one grant and account for it, in one piece as far as others can see. 0 with the
 * entry's number, -EINVAL or -ENOSPC.
 */
static int map_entry_take(struct sim_shm *shm, const struct sim_map *map, uint32_t user,
			  uint32_t *ret_gfn, uint32_t *ret_entry)
{
	int err = 0;

	sim_lock(&shm->lock);
	*ret_entry = map_entry_find(shm);
	if (!*ret_entry)
		err = -ENOSPC;
	else if (pin(shm, map, user, ret_gfn) != GNTST_okay)
		err = -EINVAL; /* gntdev turns every status but "try again" into this */
	if (!err) {
		shm->map[*ret_entry] = *map;
		shm->nr_maps++;
		shm->stats.maps++;
		shm->dom[map->slot].nr_maps++;
	}
	sim_unlock(&shm->lock);
	return err;
}

static void map_entry_drop(struct xengntdev_handle *xgt, uint32_t entry)
{
	struct sim_shm *shm = xgt->conn.shm;
	struct sim_map map = shm->map[entry];
	struct sim_msg reap = { .op = SIM_OP_REAP };
	struct sim_dom *dom = &shm->dom[map.slot];
	bool last;

	sim_lock(&shm->lock);
	sim_lock(&dom->lock);
	sim_grant_unpin(shm, dom, map.ref, map.writable);
	sim_unlock(&dom->lock);
	shm->map[entry].client = 0;
	shm->nr_maps--;
	shm->stats.unmaps++;
	last = !--dom->nr_maps && dom->state == SIM_DOM_DYING;
	sim_unlock(&shm->lock);
	if (last)
		sim_client_call(&xgt->conn, &reap, NULL, NULL);
}

/* Map one grant at @addr. Returns 0 with its entry, or -errno. */
static int map_one(struct xengntdev_handle *xgt, char *addr, uint32_t domid, uint32_t ref, int prot,
		   uint32_t *ret_entry)
{
	struct sim_shm *shm = xgt->conn.shm;
	struct sim_dom *dom = sim_dom_find(shm, domid);
	struct sim_map map = { .client = xgt->conn.id,
			       .ref = ref,
			       .writable = (prot & PROT_WRITE) != 0 };
	uint32_t gfn;
	int err;

	if (!dom || dom->state != SIM_DOM_ALIVE)
		return -EINVAL;
	map.slot = sim_dom_slot(shm, dom);
	err = map_entry_take(shm, &map, xgt->conn.domid, &gfn, ret_entry);
	if (err)
		return err;
	if (mmap(addr, SIM_PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED, xgt->conn.mem_fd,
		 (off_t)sim_page_offset(shm, dom, gfn)) != MAP_FAILED)
		return 0;
	map_entry_drop(xgt, *ret_entry);
	return -ENOMEM;
}

static void mapping_free(struct xengntdev_handle *xgt, struct mapping *m, uint32_t nr_mapped)
{
	munmap(m->addr, (size_t)m->count * SIM_PAGE_SIZE);
	for (uint32_t i = 0; i < nr_mapped; i++)
		map_entry_drop(xgt, m->entry[i]);
	free(m);
}

/* @domids holds one id for all when @stride is 0. */
static void *map_all(struct xengntdev_handle *xgt, uint32_t count, const uint32_t *domids,
		     unsigned int stride, const uint32_t *refs, int prot)
{
	struct mapping *m;
	uint32_t i;
	int err = 0;

	if (!count || count > MAX_PER_CALL)
		return fail_null(EINVAL);
	m = calloc(1, sizeof(*m) + count * sizeof(m->entry[0]));
	if (!m)
		return NULL;
	m->count = count;
	m->addr = mmap(NULL, (size_t)count * SIM_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (m->addr == MAP_FAILED) {
		free(m);
		return NULL;
	}
	for (i = 0; i < count && !err; i++)
		err = map_one(xgt, m->addr + (size_t)i * SIM_PAGE_SIZE, domids[i * stride], refs[i],
			      prot, &m->entry[i]);
	if (err) {
		mapping_free(xgt, m, i - 1);
		return fail_null(-err);
	}
	pthread_mutex_lock(&xgt->lock);
	m->next = xgt->mappings;
	xgt->mappings = m;
	pthread_mutex_unlock(&xgt->lock);
	return m->addr;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	int err = sim_fail("xengnttab_map_grant_ref");

	return err ? fail_null(err) : map_all(xgt, 1, &domid, 0, &ref, prot);
}

void *xengnttab_map_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t *domids,
			       uint32_t *refs, int prot)
{
	int err = sim_fail("xengnttab_map_grant_refs");

	return err ? fail_null(err) : map_all(xgt, count, domids, 1, refs, prot);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid,
				      uint32_t *refs, int prot)
{
	int err = sim_fail("xengnttab_map_domain_grant_refs");

	return err ? fail_null(err) : map_all(xgt, count, &domid, 0, refs, prot);
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
				     uint32_t notify_offset, evtchn_port_t notify_port)
{
	(void)xgt, (void)domid, (void)ref, (void)prot, (void)notify_offset, (void)notify_port;
	return fail_null(ENOSYS);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
	struct mapping **at, *m;
	int err = sim_fail("xengnttab_unmap");

	if (err)
		return fail_with(err);
	pthread_mutex_lock(&xgt->lock);
	at = &xgt->mappings;
	while (*at && (*at)->addr != start_address)
		at = &(*at)->next;
	m = *at;
	if (m && m->count == count)
		*at = m->next;
	pthread_mutex_unlock(&xgt->lock);
	if (!m || m->count != count)
		return fail_with(EINVAL);
	mapping_free(xgt, m, m->count);
	return 0;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	if (!xgt)
		return 0;
	while (xgt->mappings) {
		struct mapping *m = xgt->mappings;

		xgt->mappings = m->next;
		mapping_free(xgt, m, m->count);
	}
	sim_client_close(&xgt->conn);
	free(xgt);
	return 0;
}
