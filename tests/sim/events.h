/* SPDX-License-Identifier: MIT */
/*
 * events.h - event channels on the shared tables; used by the library and by
 * the hypervisor process. Every function here needs shm->lock held.
 */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include "shm.h"

/* The port if it is one of @dom's that is in use, else NULL. */
struct sim_port *sim_port_get(struct sim_dom *dom, uint32_t port);
/* A free port number, taken for @client as UNBOUND to @remote, or -ENOSPC. */
int sim_port_alloc(struct sim_dom *dom, uint32_t client, uint32_t remote);
/* Close; the other end becomes unbound again and may be bound anew. */
void sim_port_close(struct sim_shm *shm, struct sim_dom *dom, uint32_t port);
/*
 * An event happened on @port of @dom: hand it to the owner through @fd unless
 * the port is masked; then it waits. Returns false when @fd has no room now.
 */
bool sim_port_raise(struct sim_dom *dom, uint32_t port, int fd);
/* The owner wants events again; one that waited goes to @fd at once. */
bool sim_port_unmask(struct sim_dom *dom, uint32_t port, int fd);

#endif
