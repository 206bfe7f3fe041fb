/* SPDX-License-Identifier: MIT */
/*
 * events.h - event channels on the shared tables; used by the library and by
 * the hypervisor process. Every function here needs shm->lock held.
 */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include <sys/types.h>

#include "shm.h"

/* The port if it is one of @dom's that is in use, else NULL. */
struct sim_port *sim_port_get(struct sim_dom *dom, uint32_t port);
/* A free port number, taken for @client as UNBOUND to @remote, or -ENOSPC. */
int sim_port_alloc(struct sim_dom *dom, uint32_t client, uint32_t remote);
/* Close; the other end becomes unbound again and may be bound anew. */
void sim_port_close(struct sim_shm *shm, struct sim_dom *dom, uint32_t port);
enum sim_raised {
	SIM_RAISED,      /* handed over, or handed over before and not yet seen */
	SIM_RAISED_LATE, /* it waits for the unmask: the hypervisor must watch for that */
	SIM_RAISED_FULL, /* @fd has no room now */
};

/*
 * An event happened on @port of @dom: hand it to the owner through @fd unless
 * the port is masked; then it waits.
 */
enum sim_raised sim_port_raise(struct sim_shm *shm, struct sim_dom *dom, uint32_t port, int fd);
/* The owner wants events again; one that waited goes to @fd at once. False when that has no room now. */
bool sim_port_unmask(struct sim_dom *dom, uint32_t port, int fd);
/*
 * Unmask what @client wrote to its event socket, whose other end is @fd. Returns what recv() did, and
 * in *ret_full whether an event found no room.
 */
ssize_t sim_ports_unmask(struct sim_shm *shm, struct sim_dom *dom, uint32_t client, int fd,
			 bool *ret_full);

#endif
