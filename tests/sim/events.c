/* SPDX-License-Identifier: MIT */
/*
 * events.c - event channel state.
 *
 * Delivery is as in the kernel's evtchn driver: a delivered port is masked
 * until its owner writes it back, and an event that comes in between waits.
 * So each port is at most once in its owner's socket. What the owner writes back
 * is read by whoever has the next event for it; only when one has come too early
 * does the hypervisor wait for the unmask.
 */
#include "events.h"

#include <errno.h>
#include <sys/socket.h>

struct sim_port *sim_port_get(struct sim_dom *dom, uint32_t port)
{
	if (!port || port >= SIM_MAX_PORTS || dom->port[port].state == SIM_PORT_FREE)
		return NULL;
	return &dom->port[port];
}

int sim_port_alloc(struct sim_dom *dom, uint32_t client, uint32_t remote)
{
	for (uint32_t i = 1; i < SIM_MAX_PORTS; i++) {
		struct sim_port *p = &dom->port[i];

		if (p->state != SIM_PORT_FREE)
			continue;
		*p = (struct sim_port){ .state = SIM_PORT_UNBOUND,
					.client = client,
					.remote_dom = remote };
		return (int)i;
	}
	return -ENOSPC;
}

void sim_port_close(struct sim_shm *shm, struct sim_dom *dom, uint32_t port)
{
	struct sim_port *p = sim_port_get(dom, port);
	struct sim_dom *other;

	if (!p)
		return;
	other = p->state == SIM_PORT_INTERDOMAIN ? sim_dom_find(shm, p->remote_dom) : NULL;
	if (other) {
		struct sim_port *q = sim_port_get(other, p->remote_port);

		if (q && q->state == SIM_PORT_INTERDOMAIN && q->remote_dom == dom->domid &&
		    q->remote_port == port) {
			q->state = SIM_PORT_UNBOUND;
			q->remote_port = 0;
		}
	}
	*p = (struct sim_port){ .state = SIM_PORT_FREE };
}

static bool port_push(struct sim_port *p, uint32_t port, int fd)
{
	if (p->masked || !p->pending)
		return true;
	if (send(fd, &port, sizeof(port), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(port))
		return errno != EAGAIN;
	p->masked = true;
	p->pending = false;
	return true;
}

bool sim_port_unmask(struct sim_dom *dom, uint32_t port, int fd)
{
	struct sim_port *p = &dom->port[port];

	p->masked = false;
	return port_push(p, port, fd);
}

ssize_t sim_ports_unmask(struct sim_shm *shm, struct sim_dom *dom, uint32_t client, int fd,
			 bool *ret_full)
{
	uint32_t port[256];
	ssize_t n = recv(fd, port, sizeof(port), MSG_DONTWAIT);

	*ret_full = false;
	for (size_t i = 0; dom && n > 0 && i < (size_t)n / sizeof(port[0]); i++) {
		struct sim_port *p = sim_port_get(dom, port[i]);

		if (!p || p->client != client)
			continue;
		shm->stats.unmasks++;
		*ret_full |= !sim_port_unmask(dom, port[i], fd);
	}
	return n;
}

enum sim_raised sim_port_raise(struct sim_shm *shm, struct sim_dom *dom, uint32_t port, int fd)
{
	struct sim_port *p = &dom->port[port];
	bool full = false;

	p->pending = true;
	/* The owner may have unmasked it, and this was not read yet. */
	if (p->masked)
		sim_ports_unmask(shm, dom, p->client, fd, &full);
	if (p->masked && p->pending)
		return SIM_RAISED_LATE;
	return !full && port_push(p, port, fd) ? SIM_RAISED : SIM_RAISED_FULL;
}
