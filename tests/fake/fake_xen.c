/* SPDX-License-Identifier: MIT */
#include "fake/fake_xen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

enum { MAX_MAPS = 256, MAX_PAGES = 16, MAX_PORTS = 128, PAGE = 4096 };

/* Reports an error of the program under test; also in a build without assertions. */
#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct fake_xen fake_xen;

static bool fails(unsigned int *next)
{
	if (fake_xen.bad_step && !--fake_xen.bad_step)
		return true;
	if (!*next)
		return false;
	--*next;
	return true;
}

/* --- grants --- */

static struct map {
	uint8_t *addr; /* NULL: free */
	uint32_t nr, domid, refs[MAX_PAGES];
	bool is_ours;
} maps[MAX_MAPS];

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
	(void)logger, (void)flags;
	return (xengnttab_handle *)(void *)maps;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	(void)xgt;
	return 0;
}

/* There is no gntalloc here, so copies name our own memory by its address. */
xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned int flags)
{
	(void)logger, (void)flags;
	errno = ENOENT;
	return NULL;
}

int xengntshr_close(xengntshr_handle *xgs)
{
	(void)xgs;
	return 0;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
			    int writable)
{
	(void)xgs, (void)domid, (void)count, (void)refs, (void)writable;
	errno = ENOENT;
	return NULL;
}

/* The memory behind all of a mapping's references, or NULL with errno set. */
static uint8_t *memory_of(struct map *map, int prot)
{
	uint8_t *first = NULL;

	map->is_ours = !fake_xen.page;
	if (map->is_ours) {
		first = aligned_alloc(PAGE, map->nr * (size_t)PAGE);
		HOLDS(first);
		return memset(first, 0, map->nr * (size_t)PAGE);
	}
	for (uint32_t i = 0; i < map->nr; i++) {
		uint8_t *page = fake_xen.page(map->domid, map->refs[i], prot);

		if (!page) {
			errno = EINVAL;
			return NULL;
		}
		first = i ? first : page;
		HOLDS(page == first + i * (size_t)PAGE);
	}
	return first;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t nr, uint32_t domid,
				      uint32_t *refs, int prot)
{
	struct map *map = maps;

	(void)xgt;
	HOLDS(nr >= 1 && nr <= MAX_PAGES && (prot & PROT_READ));
	fake_xen.nr_maps++;
	while (map < maps + MAX_MAPS && map->addr)
		map++;
	if (map == maps + MAX_MAPS || fails(&fake_xen.bad_maps)) {
		errno = EACCES;
		return NULL;
	}
	map->nr = nr;
	map->domid = domid;
	memcpy(map->refs, refs, nr * sizeof(refs[0]));
	map->addr = memory_of(map, prot);
	return map->addr;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t nr)
{
	struct map *map = maps;

	(void)xgt;
	while (map < maps + MAX_MAPS && map->addr != start)
		map++;
	HOLDS(start && map < maps + MAX_MAPS && map->nr == nr);
	if (map->is_ours)
		free(map->addr);
	map->addr = NULL;
	return 0;
}

static void copy(xengnttab_grant_copy_segment_t *seg)
{
	bool from = seg->flags & GNTCOPY_source_gref;
	const union xengnttab_copy_ptr *foreign = from ? &seg->source : &seg->dest;
	uint8_t *local = from ? seg->dest.virt : seg->source.virt;
	uint8_t *page = NULL;

	HOLDS(seg->len > 0 && foreign->foreign.offset + seg->len <= PAGE);
	fake_xen.nr_copies++;
	fake_xen.nr_copy_ops += (unsigned int)(((uintptr_t)local + seg->len - 1) / PAGE -
					       (uintptr_t)local / PAGE + 1);
	if (fake_xen.page)
		page = fake_xen.page(foreign->foreign.domid, foreign->foreign.ref, 0);
	seg->status = page ? GNTST_okay : GNTST_bad_gntref;
	if (page && from)
		memcpy(local, page + foreign->foreign.offset, seg->len);
	else if (page)
		memcpy(page + foreign->foreign.offset, local, seg->len);
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t nr, xengnttab_grant_copy_segment_t *segs)
{
	(void)xgt;
	fake_xen.nr_copy_calls++;
	for (uint32_t i = 0; i < nr; i++)
		copy(&segs[i]);
	return 0;
}

void *fake_xen_mapped(uint32_t domid, uint32_t ref)
{
	for (const struct map *map = maps; map < maps + MAX_MAPS; map++)
		for (uint32_t i = 0; map->addr && i < map->nr; i++)
			if (map->domid == domid && map->refs[i] == ref)
				return map->addr + i * (size_t)PAGE;
	return NULL;
}

unsigned int fake_xen_nr_mapped(void)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < MAX_MAPS; i++)
		nr += maps[i].addr != NULL;
	return nr;
}

/* --- event channels --- */

struct xenevtchn_handle {
	int fd[2]; /* [0] is the program's */
};

static struct port {
	struct xenevtchn_handle *xce; /* NULL: free */
	uint32_t domid, remote;
} ports[MAX_PORTS]; /* [0] is none */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	struct xenevtchn_handle *xce = malloc(sizeof(*xce));

	(void)logger, (void)flags;
	HOLDS(xce && !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, xce->fd));
	return xce;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	if (!xce)
		return 0;
	close(xce->fd[0]);
	close(xce->fd[1]);
	free(xce);
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return xce->fd[0];
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
						     evtchn_port_t remote)
{
	if (!fails(&fake_xen.bad_binds))
		for (int i = 1; i < MAX_PORTS; i++)
			if (!ports[i].xce) {
				ports[i] = (struct port){ xce, domid, remote };
				return i;
			}
	errno = EACCES;
	return -1;
}

static struct port *port_of(const xenevtchn_handle *xce, evtchn_port_t port)
{
	HOLDS(port && port < MAX_PORTS && ports[port].xce == xce);
	return &ports[port];
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
	(void)xce;
	(void)domid;
	return 0;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	port_of(xce, port)->xce = NULL;
	return 0;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	const struct port *p = port_of(xce, port);

	if (fake_xen.notified)
		fake_xen.notified(p->domid, p->remote);
	return 0;
}

void fake_xen_event(uint32_t domid, uint32_t port)
{
	for (uint32_t i = 1; i < MAX_PORTS; i++)
		if (ports[i].xce && ports[i].domid == domid && ports[i].remote == port)
			(void)!write(ports[i].xce->fd[1], &i, sizeof(i));
}

unsigned int fake_xen_nr_bound(void)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < MAX_PORTS; i++)
		nr += ports[i].xce != NULL;
	return nr;
}
