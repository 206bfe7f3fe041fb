/* SPDX-License-Identifier: MIT */
/*
 * shm.h - the machine: what hypervisor, backends and guests share.
 *
 * One memory file holds, for every domain slot, the grant table (the real v1
 * format, written by the guest without asking anybody, as on Xen) and the
 * domain's pages; before them this header with everything that only a
 * hypervisor may change. All processes map all of it.
 *
 * Locks are robust: a process killed while it holds one does not stop the rest.
 */
#ifndef SIM_SHM_H
#define SIM_SHM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

#define SIM_PAGE_SIZE   4096u
#define SIM_MAX_DOMS    320u
#define SIM_MAX_PORTS   1024u
#define SIM_NR_GRANTS   32768u /* 64 frames of 512, Xen's default limit */
#define SIM_MAX_PAGES   32768u /* 128 MiB a domain */
#define SIM_MAX_MAPS    65536u
#define SIM_MAX_CLIENTS 4096u
#define SIM_DOM_BYTES   (SIM_NR_GRANTS * 8ul + (unsigned long)SIM_MAX_PAGES * SIM_PAGE_SIZE)
#define SIM_HDR_BYTES   (160ul << 20)
#define SIM_MEM_BYTES   (SIM_HDR_BYTES + SIM_MAX_DOMS * SIM_DOM_BYTES)
#define SIM_MAGIC       0x78656e73696d3031ull

enum sim_port_state {
	SIM_PORT_FREE,
	SIM_PORT_UNBOUND,     /* waits for remote_dom to bind it */
	SIM_PORT_INTERDOMAIN, /* connected to remote_port of remote_dom */
};

struct sim_port {
	uint32_t state;
	uint32_t remote_dom;
	uint32_t remote_port;
	uint32_t client; /* id of the handle that gets its events, 0 = none */
	bool pending;    /* an event waits for the unmask */
	bool masked;     /* delivered and not yet unmasked */
};

enum sim_dom_state {
	SIM_DOM_FREE,
	SIM_DOM_ALIVE,
	SIM_DOM_DYING, /* destroyed, but pages of it are still mapped */
};

struct sim_dom {
	pthread_mutex_t lock; /* grant pins and map counts of this domain */
	uint32_t domid;
	uint32_t state;
	bool paused, shutdown, hvm;
	uint32_t shutdown_reason; /* SHUTDOWN_* of xen/sched.h */
	uint32_t nr_pages;
	uint32_t nr_maps; /* grants of this domain mapped by others now */
	uint32_t nr_pins; /* the same, unless a copy is under way or was never ended */
	uint8_t handle[16];
	struct sim_port port[SIM_MAX_PORTS];
	uint32_t pins[SIM_NR_GRANTS];         /* mappings and copies now */
	uint32_t write_pins[SIM_NR_GRANTS];   /* those that may write */
	uint16_t grant_client[SIM_NR_GRANTS]; /* guest allocator: who holds it */
	uint16_t page_client[SIM_MAX_PAGES];
};

/* One grant mapped into one process. */
struct sim_map {
	uint32_t client; /* 0 = entry free */
	uint32_t slot;
	uint32_t ref;
	bool writable;
};

struct sim_client {
	uint32_t domid;
	bool used;
	bool has_events;        /* an event channel handle */
	bool has_grants;        /* may map and copy */
	bool hv_unmasks;        /* the hypervisor waits for its unmasks */
	int32_t pid;            /* of the process that opened the handle */
	uint32_t id;            /* of the handle */
	uint32_t restricted_to; /* xenevtchn_restrict(): this domain only; 0 = no */
};

/* What the whole machine did so far; for tests that look for leaks and cost. */
struct sim_stats {
	uint64_t maps, unmaps, copies, copy_calls, notifies, unmasks;
};

struct sim_shm {
	uint64_t magic;
	pthread_mutex_t lock; /* domains, event channels, maps, clients */
	uint32_t nr_maps;
	uint32_t nr_watches; /* of Dom0 in xenstore */
	struct sim_stats stats;
	struct sim_client client[SIM_MAX_CLIENTS]; /* [0] is nobody */
	struct sim_map map[SIM_MAX_MAPS];
	struct sim_dom dom[SIM_MAX_DOMS]; /* [0] is Dom0 */
};

/* Take and release a robust lock; never fails. */
void sim_lock(pthread_mutex_t *lock);
void sim_unlock(pthread_mutex_t *lock);
/* Make the machine in @fd (a memory file). Returns the mapping or NULL. */
struct sim_shm *sim_shm_create(int fd);
/* Map an existing machine. Returns NULL with errno set when it is none. */
struct sim_shm *sim_shm_attach(int fd);
void sim_shm_detach(struct sim_shm *shm);

/* The domain with this id in any state but FREE, or NULL. Lock held or not. */
struct sim_dom *sim_dom_find(struct sim_shm *shm, uint32_t domid);
uint32_t sim_dom_slot(const struct sim_shm *shm, const struct sim_dom *dom);
/* The grant table of a slot, and a page of it by guest frame number. */
grant_entry_v1_t *sim_dom_grants(struct sim_shm *shm, const struct sim_dom *dom);
/* Offset of a guest frame in the memory file. @gfn must be below nr_pages. */
uint64_t sim_page_offset(const struct sim_shm *shm, const struct sim_dom *dom, uint32_t gfn);
void *sim_page_addr(struct sim_shm *shm, const struct sim_dom *dom, uint32_t gfn);

/*
 * Use grant @ref of @dom on behalf of domain @user, as a copy or a mapping
 * does. Returns GNTST_okay with the frame in *ret_gfn, or the status that Xen
 * gives. Undo with sim_grant_unpin(). Both with dom->lock held: pins outlive it
 * only where a struct sim_map says so.
 */
int sim_grant_pin(struct sim_shm *shm, struct sim_dom *dom, uint32_t ref, uint32_t user, bool write,
		  uint32_t *ret_gfn);
void sim_grant_unpin(struct sim_shm *shm, struct sim_dom *dom, uint32_t ref, bool write);
/* After a process died, perhaps within a copy: pins are what the maps say. With shm->lock held. */
void sim_grants_recount(struct sim_shm *shm, struct sim_dom *dom);

#endif
