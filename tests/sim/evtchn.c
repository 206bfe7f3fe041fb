/* SPDX-License-Identifier: MIT */
/*
 * evtchn.c - libxenevtchn on the simulated machine.
 *
 * xenevtchn_fd() is a socket with the meaning of /dev/xen/evtchn: read() gives
 * as many pending ports as fit, write() of ports unmasks them, and it polls
 * readable while ports are pending. A notifier writes the port straight into
 * the receiver's socket, and reads what the receiver unmasked; see events.c.
 */
#include "client.h"
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenevtchn.h>

struct peer {
	uint32_t id; /* client id, 0 = none */
	int fd;
};

struct xenevtchn_handle {
	struct sim_client_conn conn;
	struct sim_dom *dom;               /* of this process; borrowed from conn.shm */
	int fd;                            /* ports in, unmasks out */
	struct peer peer[SIM_MAX_CLIENTS]; /* shm->lock protects it */
};

static int fail_with(int err)
{
	errno = err;
	return -1;
}

/* The cached descriptor that delivers to @client; -1 when not known yet. */
static int peer_fd(struct xenevtchn_handle *xce, uint32_t client)
{
	struct peer *p = &xce->peer[SIM_CLIENT_INDEX(client)];

	return p->id == client ? p->fd : -1;
}

/* Ask the hypervisor for it. Not under a lock: the answer takes a round trip. */
static int peer_fetch(struct xenevtchn_handle *xce, uint32_t client)
{
	struct sim_msg msg = { .op = SIM_OP_PEER, .arg = { client } };
	struct peer *p = &xce->peer[SIM_CLIENT_INDEX(client)];
	int fd, err;

	err = sim_client_call(&xce->conn, &msg, NULL, &fd);
	if (err)
		return err;
	sim_lock(&xce->conn.shm->lock);
	if (p->id)
		close(p->fd);
	p->id = client;
	p->fd = fd;
	sim_unlock(&xce->conn.shm->lock);
	return 0;
}

static void retry_later(struct xenevtchn_handle *xce, uint32_t client, enum sim_raised raised)
{
	enum sim_op op = raised == SIM_RAISED_LATE ? SIM_OP_UNMASKS : SIM_OP_RETRY;
	struct sim_msg msg = { .op = op, .arg = { client } };

	sim_client_call(&xce->conn, &msg, NULL, NULL);
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	struct sim_msg msg = { .op = SIM_OP_EVENTS };
	struct xenevtchn_handle *xce;
	int err = sim_fail("xenevtchn_open");

	(void)logger;
	if (err || (flags & ~(unsigned int)XENEVTCHN_NO_CLOEXEC)) {
		errno = err ? err : EINVAL;
		return NULL;
	}
	xce = calloc(1, sizeof(*xce));
	if (!xce)
		return NULL;
	xce->fd = -1;
	err = sim_client_open(&xce->conn, false);
	if (!err)
		err = sim_client_call(&xce->conn, &msg, NULL, &xce->fd);
	if (!err)
		err = peer_fetch(xce, xce->conn.id);
	if (!err) {
		xce->dom = sim_dom_find(xce->conn.shm, xce->conn.domid);
		err = xce->dom ? 0 : -ENOENT;
	}
	if (err) {
		xenevtchn_close(xce);
		errno = -err;
		return NULL;
	}
	if (flags & XENEVTCHN_NO_CLOEXEC)
		fcntl(xce->fd, F_SETFD, 0);
	return xce;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned int flags)
{
	(void)logger;
	(void)fd;
	(void)flags;
	errno = ENOSYS; /* a descriptor alone does not say which ports are its own */
	return NULL;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	if (!xce)
		return 0;
	for (uint32_t i = 0; i < SIM_MAX_CLIENTS; i++)
		if (xce->peer[i].id)
			close(xce->peer[i].fd);
	/* The ports close now, not only when the hypervisor sees us gone. */
	if (xce->dom) {
		sim_lock(&xce->conn.shm->lock);
		for (uint32_t i = 1; i < SIM_MAX_PORTS; i++)
			if (xce->dom->port[i].client == xce->conn.id)
				sim_port_close(xce->conn.shm, xce->dom, i);
		sim_unlock(&xce->conn.shm->lock);
	}
	if (xce->fd >= 0)
		close(xce->fd);
	sim_client_close(&xce->conn);
	free(xce);
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return xce->fd;
}

/* The port, if it belongs to this handle; the kernel checks the same. */
static struct sim_port *own_port(struct xenevtchn_handle *xce, evtchn_port_t port)
{
	struct sim_port *p = sim_port_get(xce->dom, port);

	return p && p->client == xce->conn.id ? p : NULL;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct sim_shm *shm = xce->conn.shm;
	uint32_t want = 0;
	enum sim_raised raised = SIM_RAISED;
	bool done = true;
	int err = sim_fail("xenevtchn_notify");

	if (err)
		return fail_with(err);
	do {
		struct sim_port *p, *q = NULL;
		struct sim_dom *other = NULL;

		if (want && peer_fetch(xce, want))
			return 0; /* the receiver has just gone: the event is lost */
		sim_lock(&shm->lock);
		p = own_port(xce, port);
		err = p ? 0 : ENOTCONN;
		if (p && p->state == SIM_PORT_INTERDOMAIN)
			other = sim_dom_find(shm, p->remote_dom);
		if (other)
			q = sim_port_get(other, p->remote_port);
		want = q ? q->client : 0;
		done = !want || peer_fd(xce, want) >= 0;
		if (want && done)
			raised = sim_port_raise(shm, other, p->remote_port, peer_fd(xce, want));
		if (raised == SIM_RAISED_LATE && shm->client[SIM_CLIENT_INDEX(want)].hv_unmasks)
			raised = SIM_RAISED;
		shm->stats.notifies += done;
		sim_unlock(&shm->lock);
	} while (!done);
	if (raised != SIM_RAISED)
		retry_later(xce, want, raised);
	return err ? fail_with(err) : 0;
}

/* As in the kernel: a restricted handle binds ports of its one domain only, and keeps what it had. */
static uint32_t *restriction(struct xenevtchn_handle *xce)
{
	return &xce->conn.shm->client[SIM_CLIENT_INDEX(xce->conn.id)].restricted_to;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
	struct sim_shm *shm = xce->conn.shm;
	int port, err = sim_fail("xenevtchn_bind_unbound_port");

	if (!err && *restriction(xce))
		err = EACCES;
	if (err)
		return fail_with(err);
	sim_lock(&shm->lock);
	port = sim_port_alloc(xce->dom, xce->conn.id, domid);
	sim_unlock(&shm->lock);
	return port < 0 ? fail_with(-port) : port;
}

/* Under the lock. Returns the local port or -errno. */
static int bind_interdomain(struct xenevtchn_handle *xce, uint32_t domid, uint32_t remote_port)
{
	struct sim_dom *other = sim_dom_find(xce->conn.shm, domid);
	struct sim_port *q;
	int port;

	if (!other)
		return -ESRCH;
	q = sim_port_get(other, remote_port);
	if (!q || q->state != SIM_PORT_UNBOUND || q->remote_dom != xce->dom->domid)
		return -EINVAL;
	port = sim_port_alloc(xce->dom, xce->conn.id, domid);
	if (port < 0)
		return port;
	xce->dom->port[port].state = q->state = SIM_PORT_INTERDOMAIN;
	xce->dom->port[port].remote_port = remote_port;
	q->remote_port = (uint32_t)port;
	/* Xen: events sent while unbound may be lost, so there is always one now. */
	sim_port_raise(xce->conn.shm, xce->dom, (uint32_t)port, peer_fd(xce, xce->conn.id));
	return port;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
						     evtchn_port_t remote_port)
{
	struct sim_shm *shm = xce->conn.shm;
	int port, err = sim_fail("xenevtchn_bind_interdomain");

	if (!err && *restriction(xce) && *restriction(xce) != domid)
		err = EACCES;
	if (err)
		return fail_with(err);
	sim_lock(&shm->lock);
	port = bind_interdomain(xce, domid, remote_port);
	sim_unlock(&shm->lock);
	return port < 0 ? fail_with(-port) : port;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	(void)virq;
	return fail_with(*restriction(xce) ? EACCES : ENOSYS);
}

/* Does any own port lead to @client? */
static bool peer_in_use(struct xenevtchn_handle *xce, uint32_t client)
{
	for (uint32_t i = 1; i < SIM_MAX_PORTS; i++) {
		struct sim_port *p = own_port(xce, i), *q = NULL;
		struct sim_dom *other = NULL;

		if (p && p->state == SIM_PORT_INTERDOMAIN)
			other = sim_dom_find(xce->conn.shm, p->remote_dom);
		if (other)
			q = sim_port_get(other, p->remote_port);
		if (q && q->client == client)
			return true;
	}
	return client == xce->conn.id;
}

/* Close descriptors that are kept for speed, so that they do not look like a leak of the program. */
static void peers_sweep(struct xenevtchn_handle *xce)
{
	for (uint32_t i = 0; i < SIM_MAX_CLIENTS; i++) {
		struct peer *p = &xce->peer[i];

		if (p->id && !peer_in_use(xce, p->id)) {
			close(p->fd);
			p->id = 0;
		}
	}
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct sim_shm *shm = xce->conn.shm;
	int err = sim_fail("xenevtchn_unbind");

	if (err)
		return fail_with(err);
	sim_lock(&shm->lock);
	if (own_port(xce, port))
		sim_port_close(shm, xce->dom, port);
	else
		err = ENOTCONN;
	peers_sweep(xce);
	sim_unlock(&shm->lock);
	return err ? fail_with(err) : 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	uint32_t port;
	int err = sim_fail("xenevtchn_pending");

	if (err)
		return fail_with(err);
	return read(xce->fd, &port, sizeof(port)) == sizeof(port) ? (int)port : -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct sim_shm *shm = xce->conn.shm;
	bool sent = true;
	int err = sim_fail("xenevtchn_unmask");

	if (err)
		return fail_with(err);
	sim_lock(&shm->lock);
	if (own_port(xce, port)) {
		shm->stats.unmasks++;
		sent = sim_port_unmask(xce->dom, port, peer_fd(xce, xce->conn.id));
	} else {
		err = EINVAL;
	}
	sim_unlock(&shm->lock);
	if (!sent)
		retry_later(xce, xce->conn.id, SIM_RAISED_FULL);
	return err ? fail_with(err) : 0;
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
	int err = sim_fail("xenevtchn_restrict");

	if (!err && *restriction(xce))
		err = EACCES; /* for good */
	if (!err && (domid == 0 || domid >= DOMID_FIRST_RESERVED))
		err = EINVAL;
	if (err)
		return fail_with(err);
	*restriction(xce) = domid;
	return 0;
}
