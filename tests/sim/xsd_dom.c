/* SPDX-License-Identifier: MIT */
/* xsd_dom.c - the domains that the store knows, and their quotas. */
#include "xsd_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOMID_LIMIT 0x7ff0u /* DOMID_FIRST_RESERVED */

struct xsd_domain *xsd_domain_find(struct xsd *xs, uint32_t domid)
{
	struct xsd_domain *d = xs->domains;

	while (d && d->domid != domid)
		d = d->next;
	return d;
}

void xsd_domain_count(struct xsd_req *q, uint32_t domid, int delta)
{
	struct xsd_domain *d;

	if (q->tx) {
		if (domid == q->conn->domid)
			q->tx->new_nodes += delta;
		return;
	}
	d = xsd_domain_find(q->xs, domid);
	if (d)
		d->nr_nodes += delta;
}

bool xsd_domain_over_quota(struct xsd_req *q)
{
	struct xsd_domain *d = xsd_domain_find(q->xs, q->conn->domid);
	int used = (d ? d->nr_nodes : 0) + (q->tx ? q->tx->new_nodes : 0);

	return !xsd_conn_is_privileged(q->conn) && used >= XSD_QUOTA_NODES;
}

static void guest_arrives(void *arg, uint32_t events)
{
	struct xsd_domain *d = arg;

	(void)events;
	xsd_conn_accept(d->xs, d->listen_fd, d->domid, d->target);
}

static int domain_add(struct xsd *xs, uint32_t domid)
{
	struct xsd_domain *d = sim_alloc(sizeof(*d));
	int err;

	d->xs = xs;
	d->domid = d->target = domid;
	d->socket_path = sim_asprintf("%s.%u", xs->socket_path, domid);
	err = xsd_listen(xs, d->socket_path, guest_arrives, d, &d->listen_fd, &d->listen_watch);
	if (err) {
		free(d->socket_path);
		free(d);
		return -err;
	}
	d->next = xs->domains;
	xs->domains = d;
	return 0;
}

static void domain_free(struct xsd *xs, struct xsd_domain *d)
{
	struct xsd_domain **at = &xs->domains;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	for (struct xsd_conn *c = xs->conns; c; c = c->next)
		if (c->domid == d->domid)
			xsd_conn_drop(c);
	sim_loop_remove(xs->loop, d->listen_watch);
	close(d->listen_fd);
	unlink(d->socket_path);
	free(d->socket_path);
	free(d);
}

void xsd_domain_free_all(struct xsd *xs)
{
	while (xs->domains)
		domain_free(xs, xs->domains);
}

void xsd_domain_gone(struct xsd *xs, uint32_t domid)
{
	struct xsd_domain *d = xsd_domain_find(xs, domid);

	if (!d)
		return;
	domain_free(xs, d);
	xsd_store_purge_owner(xs, domid);
	xsd_fire_special(xs, "@releaseDomain");
	xsd_flush(xs);
}

void xsd_domain_shutdown(struct xsd *xs, uint32_t domid)
{
	struct xsd_domain *d = xsd_domain_find(xs, domid);

	if (!d || d->shutdown)
		return;
	d->shutdown = true;
	xsd_fire_special(xs, "@releaseDomain");
	xsd_flush(xs);
}

/* The first string of the body as a domain id. 0 or an errno. */
static int req_domid(struct xsd_req *q, uint32_t *ret)
{
	const char *str[1];

	if (xsd_req_strings(q, str, 1) < 1)
		return EINVAL;
	return -sim_parse_u32(str[0], 0, 0xffff, ret);
}

static int req_domain(struct xsd_req *q, struct xsd_domain **ret)
{
	uint32_t domid;
	int err;

	if (!xsd_conn_is_privileged(q->conn))
		return EACCES;
	err = req_domid(q, &domid);
	if (err)
		return err;
	*ret = xsd_domain_find(q->xs, domid);
	return *ret ? 0 : ENOENT;
}

int xsd_op_introduce(struct xsd_req *q)
{
	const char *str[3];
	uint32_t domid, port;
	int err;

	if (!xsd_conn_is_privileged(q->conn))
		return EACCES;
	if (xsd_req_strings(q, str, 3) < 3 || sim_parse_u32(str[0], 1, DOMID_LIMIT - 1, &domid) ||
	    sim_parse_u32(str[2], 1, 0x7fffffff, &port))
		return EINVAL;
	if (!xsd_domain_find(q->xs, domid)) {
		err = domain_add(q->xs, domid);
		if (err)
			return err;
		xsd_fire_special(q->xs, "@introduceDomain");
	}
	xsd_reply_ok(q);
	return 0;
}

int xsd_op_release(struct xsd_req *q)
{
	struct xsd_domain *d;
	int err = req_domain(q, &d);

	if (err)
		return err;
	xsd_domain_gone(q->xs, d->domid);
	xsd_reply_ok(q);
	return 0;
}

int xsd_op_resume(struct xsd_req *q)
{
	struct xsd_domain *d;
	int err = req_domain(q, &d);

	if (err)
		return err;
	d->shutdown = false;
	xsd_reply_ok(q);
	return 0;
}

int xsd_op_set_target(struct xsd_req *q)
{
	struct xsd_domain *d;
	const char *str[2];
	uint32_t target;
	int err = req_domain(q, &d);

	if (err)
		return err;
	if (xsd_req_strings(q, str, 2) < 2 || sim_parse_u32(str[1], 1, DOMID_LIMIT - 1, &target))
		return EINVAL;
	if (!xsd_domain_find(q->xs, target))
		return ENOENT;
	d->target = target;
	for (struct xsd_conn *c = q->xs->conns; c; c = c->next)
		if (c->domid == d->domid)
			c->target = target;
	xsd_reply_ok(q);
	return 0;
}

int xsd_op_is_introduced(struct xsd_req *q)
{
	uint32_t domid;
	int err = req_domid(q, &domid);

	if (err)
		return err;
	if (domid == 0 || domid == DOMID_LIMIT || xsd_domain_find(q->xs, domid))
		xsd_reply(q, "T", 2);
	else
		xsd_reply(q, "F", 2);
	return 0;
}

int xsd_op_domain_path(struct xsd_req *q)
{
	char path[40];
	uint32_t domid;
	int err = req_domid(q, &domid);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	xsd_reply(q, path, strlen(path) + 1);
	return 0;
}
