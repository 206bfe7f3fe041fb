/* SPDX-License-Identifier: MIT */
/* shm.c - layout and locks of the simulated machine; grant pinning. */
#include "shm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct sim_shm) <= SIM_HDR_BYTES, "header outgrew its place");

/*
 * glibc's robust locks lose a wake-up when their holder is killed between the release and the wake-up and a
 * third thread takes and releases the lock meanwhile. So nobody sleeps for long without another look.
 */
static int lock_within(pthread_mutex_t *lock, long wait_ns)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until); /* ThreadSanitizer knows no lock by another clock */
	until.tv_nsec += wait_ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_mutex_timedlock(lock, &until);
}

void sim_lock(pthread_mutex_t *lock)
{
	int err = pthread_mutex_trylock(lock);

	while (err == EBUSY || err == ETIMEDOUT)
		err = lock_within(lock, 100000000);
	if (err == EOWNERDEAD)
		pthread_mutex_consistent(lock);
}

void sim_unlock(pthread_mutex_t *lock)
{
	pthread_mutex_unlock(lock);
}

static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

#ifndef SIM_MAP_BYTES
#define SIM_MAP_BYTES SIM_MEM_BYTES /* a library that needs no domain's memory says SIM_HDR_BYTES */
#endif

/* One mapping for all handles of a library: valgrind's address space has no room for one each. */
static struct {
	pthread_mutex_t lock;
	struct sim_shm *shm; /* owned; NULL without users */
	unsigned int users;
} mapped = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct sim_shm *shm_map(int fd)
{
	struct sim_shm *shm;

	pthread_mutex_lock(&mapped.lock);
	shm = mapped.shm;
	if (!shm)
		shm = mmap(NULL, SIM_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			   fd, 0);
	if (shm == MAP_FAILED)
		shm = NULL;
	mapped.users += shm != NULL;
	mapped.shm = shm;
	pthread_mutex_unlock(&mapped.lock);
	return shm;
}

struct sim_shm *sim_shm_create(int fd)
{
	struct sim_shm *shm;

	if (ftruncate(fd, (off_t)SIM_MEM_BYTES))
		return NULL;
	/* Its own, also where it is a thread beside handles: as far from them as another process is. */
	shm = mmap(NULL, SIM_MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (shm == MAP_FAILED)
		return NULL;
	lock_init(&shm->lock);
	for (uint32_t i = 0; i < SIM_MAX_DOMS; i++)
		lock_init(&shm->dom[i].lock);
	shm->dom[0].state = SIM_DOM_ALIVE;
	shm->magic = SIM_MAGIC;
	return shm;
}

struct sim_shm *sim_shm_attach(int fd)
{
	struct sim_shm *shm = shm_map(fd);

	if (shm && shm->magic != SIM_MAGIC) {
		sim_shm_detach(shm);
		errno = EPROTO;
		return NULL;
	}
	return shm;
}

void sim_shm_detach(struct sim_shm *shm)
{
	if (!shm)
		return;
	pthread_mutex_lock(&mapped.lock);
	if (shm != mapped.shm) {
		munmap(shm, SIM_MEM_BYTES); /* sim_shm_create()'s */
	} else if (--mapped.users == 0) {
		munmap(shm, SIM_MAP_BYTES);
		mapped.shm = NULL;
	}
	pthread_mutex_unlock(&mapped.lock);
}

static bool is_slot_of(const struct sim_dom *d, uint32_t domid)
{
	return __atomic_load_n(&d->state, __ATOMIC_ACQUIRE) != SIM_DOM_FREE && d->domid == domid;
}

/* A domain has the slot of its number, unless another one has it. */
struct sim_dom *sim_dom_find(struct sim_shm *shm, uint32_t domid)
{
	for (uint32_t i = 0; i < SIM_MAX_DOMS; i++) {
		struct sim_dom *d = &shm->dom[(domid + i) % SIM_MAX_DOMS];

		if (is_slot_of(d, domid))
			return d;
	}
	return NULL;
}

uint32_t sim_dom_slot(const struct sim_shm *shm, const struct sim_dom *dom)
{
	return (uint32_t)(dom - shm->dom);
}

static uint64_t dom_offset(const struct sim_shm *shm, const struct sim_dom *dom)
{
	return SIM_HDR_BYTES + sim_dom_slot(shm, dom) * SIM_DOM_BYTES;
}

grant_entry_v1_t *sim_dom_grants(struct sim_shm *shm, const struct sim_dom *dom)
{
	return (void *)((char *)shm + dom_offset(shm, dom));
}

uint64_t sim_page_offset(const struct sim_shm *shm, const struct sim_dom *dom, uint32_t gfn)
{
	return dom_offset(shm, dom) + SIM_NR_GRANTS * 8ul + (uint64_t)gfn * SIM_PAGE_SIZE;
}

void *sim_page_addr(struct sim_shm *shm, const struct sim_dom *dom, uint32_t gfn)
{
	return (char *)shm + sim_page_offset(shm, dom, gfn);
}

/*
 * Set "in use" bits in the guest's own table entry. The guest may change the
 * entry at the same time, so flags and domid are judged and replaced as one
 * word. Unless it is pinned already: then Xen does not look at it again.
 */
static int entry_claim(grant_entry_v1_t *e, uint32_t user, bool write, bool pinned)
{
	uint32_t *word = (uint32_t *)(void *)e;
	uint32_t old = __atomic_load_n(word, __ATOMIC_SEQ_CST);

	for (int tries = 0; tries < 5; tries++) {
		uint16_t flags = (uint16_t)old, domid = (uint16_t)(old >> 16);
		uint16_t use = write ? GTF_reading | GTF_writing : GTF_reading;

		if (!pinned && ((flags & GTF_type_mask) != GTF_permit_access || domid != user))
			return GNTST_general_error;
		if (write && (flags & GTF_readonly))
			return GNTST_general_error;
		if (__atomic_compare_exchange_n(word, &old, old | use, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return GNTST_okay;
	}
	return GNTST_general_error;
}

int sim_grant_pin(struct sim_shm *shm, struct sim_dom *dom, uint32_t ref, uint32_t user, bool write,
		  uint32_t *ret_gfn)
{
	grant_entry_v1_t *e;
	uint32_t gfn;
	int status;

	if (ref >= SIM_NR_GRANTS)
		return GNTST_bad_gntref;
	e = &sim_dom_grants(shm, dom)[ref];
	status = entry_claim(e, user, write, dom->pins[ref] != 0);
	if (status == GNTST_okay) {
		dom->nr_pins++;
		dom->pins[ref]++;
		dom->write_pins[ref] += write;
	}
	if (status != GNTST_okay)
		return status;
	gfn = __atomic_load_n(&e->frame, __ATOMIC_SEQ_CST);
	if (gfn >= dom->nr_pages) {
		sim_grant_unpin(shm, dom, ref, write);
		return GNTST_bad_page;
	}
	*ret_gfn = gfn;
	return GNTST_okay;
}

static void drop_unused(struct sim_dom *dom, grant_entry_v1_t *e, uint32_t ref)
{
	uint16_t drop = 0;

	if (!dom->write_pins[ref])
		drop |= GTF_writing;
	if (!dom->pins[ref])
		drop |= GTF_reading;
	if (drop)
		__atomic_and_fetch(&e->flags, (uint16_t)~drop, __ATOMIC_SEQ_CST);
}

void sim_grant_unpin(struct sim_shm *shm, struct sim_dom *dom, uint32_t ref, bool write)
{
	dom->pins[ref]--;
	dom->write_pins[ref] -= write;
	drop_unused(dom, &sim_dom_grants(shm, dom)[ref], ref);
	dom->nr_pins--;
}

static void recount(struct sim_shm *shm, struct sim_dom *dom)
{
	grant_entry_v1_t *grants = sim_dom_grants(shm, dom);
	uint32_t slot = sim_dom_slot(shm, dom);

	memset(dom->pins, 0, sizeof(dom->pins));
	memset(dom->write_pins, 0, sizeof(dom->write_pins));
	for (uint32_t i = 1; i < SIM_MAX_MAPS; i++) {
		const struct sim_map *m = &shm->map[i];

		if (!m->client || m->slot != slot)
			continue;
		dom->pins[m->ref]++;
		dom->write_pins[m->ref] += m->writable;
	}
	for (uint32_t ref = 0; ref < SIM_NR_GRANTS; ref++)
		drop_unused(dom, &grants[ref], ref);
	dom->nr_pins = dom->nr_maps;
}

void sim_grants_recount(struct sim_shm *shm, struct sim_dom *dom)
{
	sim_lock(&dom->lock);
	if (dom->nr_pins != dom->nr_maps)
		recount(shm, dom);
	sim_unlock(&dom->lock);
}
