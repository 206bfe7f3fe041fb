/* SPDX-License-Identifier: MIT */
/* xsd_watch.c - watches and their events. */
#include "xsd_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct xsd_watch **watch_bucket(struct xsd *xs, const char *path, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 16777619u;
	return &xs->watch_bucket[h % XSD_WATCH_BUCKETS];
}

static bool perms_readable(const struct xsd_conn *conn, const struct xs_permissions *perms,
			   unsigned int nr_perms)
{
	return nr_perms && (xsd_perm_of(conn, perms, nr_perms) & XS_PERM_READ);
}

/* A guest hears of a node only if it can, or before the change could, read it. */
static bool event_is_visible(struct xsd_conn *conn, const struct xsd_event *ev)
{
	struct xsd_node *n = xsd_table_find(&conn->xs->nodes, ev->path);
	char *up;
	bool seen;

	if (xsd_conn_is_privileged(conn) || perms_readable(conn, ev->perms, ev->nr_perms))
		return true;
	if (ev->path[0] == '@')
		return false;
	if (n && perms_readable(conn, n->perms, n->nr_perms))
		return true;
	up = xsd_path_parent(ev->path);
	n = up ? xsd_table_find(&conn->xs->nodes, up) : NULL;
	seen = n && perms_readable(conn, n->perms, n->nr_perms);
	free(up);
	return seen;
}

static const char *shown_path(const struct xsd_watch *w, const char *path)
{
	path += w->strip;
	return w->strip && path[0] == '/' ? path + 1 : path;
}

/* Send the event to the watches on exactly the first `len` bytes of its path. */
static void deliver_at(struct xsd *xs, const struct xsd_event *ev, size_t len)
{
	for (struct xsd_watch *w = *watch_bucket(xs, ev->path, len); w; w = w->next_in_bucket)
		if (w->len == len && !memcmp(w->path, ev->path, len) && !w->conn->dead &&
		    event_is_visible(w->conn, ev))
			xsd_conn_send_event(w->conn, shown_path(w, ev->path), w->token);
}

void xsd_event_deliver(struct xsd *xs, const struct xsd_event *ev)
{
	size_t len = strlen(ev->path);

	deliver_at(xs, ev, len);
	if (ev->exact)
		return;
	for (size_t up = len; --up > 0;)
		if (ev->path[up] == '/')
			deliver_at(xs, ev, up);
	if (len > 1 && ev->path[0] == '/')
		deliver_at(xs, ev, 1);
}

void xsd_event_free(struct xsd_event *ev)
{
	free(ev->path);
	free(ev->perms);
	free(ev);
}

void xsd_fire(struct xsd_req *q, const char *path, bool exact, const struct xsd_node *before)
{
	struct xsd_event *ev;

	if (q->type == XS_INVALID) /* nodes of a dead domain go silently */
		return;
	ev = sim_alloc(sizeof(*ev));
	ev->path = sim_strdup(path);
	ev->exact = exact;
	if (before) {
		ev->nr_perms = before->nr_perms;
		ev->perms = (void *)sim_memdup(before->perms,
					       before->nr_perms * sizeof(*before->perms));
	}
	if (q->tx) {
		*q->tx->events_tail = ev;
		q->tx->events_tail = &ev->next;
		return;
	}
	xsd_event_deliver(q->xs, ev);
	xsd_event_free(ev);
}

void xsd_fire_special(struct xsd *xs, const char *name)
{
	struct xsd_event ev = { .path = sim_strdup(name) };

	xsd_event_deliver(xs, &ev);
	free(ev.path);
}

static struct xsd_watch **watch_find(struct xsd_conn *conn, const char *path, const char *token)
{
	struct xsd_watch **at = &conn->watches;

	while (*at && (strcmp((*at)->path, path) || strcmp((*at)->token, token)))
		at = &(*at)->next;
	return at;
}

static void watch_add(struct xsd_watch *w)
{
	struct xsd *xs = w->conn->xs;
	struct xsd_watch **at = watch_bucket(xs, w->path, w->len);

	w->next_in_bucket = *at;
	*at = w;
	w->conn->nr_watches++;
	xs->nr_dom0_watches += w->conn->domid == 0;
}

static void watch_free(struct xsd_watch *w)
{
	struct xsd *xs = w->conn->xs;
	struct xsd_watch **at = watch_bucket(xs, w->path, w->len);

	while (*at != w)
		at = &(*at)->next_in_bucket;
	*at = w->next_in_bucket;
	w->conn->nr_watches--;
	xs->nr_dom0_watches -= w->conn->domid == 0;
	free(w->path);
	free(w->token);
	free(w);
}

int xsd_op_watch(struct xsd_req *q)
{
	const char *str[2];
	struct xsd_watch **at, *w;
	char *path;

	if (xsd_req_strings(q, str, 2) != 2)
		return EINVAL;
	path = xsd_path_canonical(q->conn, str[0]);
	if (!path)
		return EINVAL;
	at = watch_find(q->conn, path, str[1]);
	if (*at || (!xsd_conn_is_privileged(q->conn) && q->conn->nr_watches >= XSD_QUOTA_WATCHES)) {
		free(path);
		return *at ? EEXIST : E2BIG;
	}
	w = sim_alloc(sizeof(*w));
	w->path = path;
	w->len = strlen(path);
	w->token = sim_strdup(str[1]);
	if (str[0][0] != '/' && str[0][0] != '@')
		w->strip = strlen(path) - strlen(str[0]) - 1;
	*at = w;
	w->conn = q->conn;
	watch_add(w);
	xsd_reply_ok(q);
	xsd_conn_send_event(q->conn, shown_path(w, path), w->token);
	return 0;
}

int xsd_op_unwatch(struct xsd_req *q)
{
	const char *str[2];
	struct xsd_watch **at, *w;
	char *path;

	if (xsd_req_strings(q, str, 2) != 2)
		return EINVAL;
	path = xsd_path_canonical(q->conn, str[0]);
	if (!path)
		return EINVAL;
	at = watch_find(q->conn, path, str[1]);
	free(path);
	w = *at;
	if (!w)
		return ENOENT;
	*at = w->next;
	watch_free(w);
	xsd_reply_ok(q);
	return 0;
}

unsigned int xsd_nr_watches(const struct xsd *xs)
{
	return xs->nr_dom0_watches;
}

void xsd_watch_free_all(struct xsd_conn *conn)
{
	while (conn->watches) {
		struct xsd_watch *w = conn->watches;

		conn->watches = w->next;
		watch_free(w);
	}
}
