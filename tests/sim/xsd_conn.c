/* SPDX-License-Identifier: MIT */
/* xsd_conn.c - sockets, messages in and out, and the server's life cycle. */
#include "xsd_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Ask epoll for what is wanted now, when that has changed. */
static void conn_watch(struct xsd_conn *c)
{
	uint32_t events = c->out.len ? EPOLLOUT : 0;

	if (xsd_conn_is_privileged(c) || c->out.len < XSD_QUOTA_OUT_BYTES)
		events |= EPOLLIN;
	if (events != c->events)
		sim_loop_modify(c->xs->loop, c->io, events);
	c->events = events;
}

static void conn_flush(struct xsd_conn *c)
{
	size_t done = 0;

	while (done < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + done, c->out.len - done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			xsd_conn_drop(c);
			return;
		}
		done += (size_t)n;
	}
	c->out.len -= done;
	if (done)
		memmove(c->out.data, c->out.data + done, c->out.len);
	conn_watch(c);
}

void xsd_flush(struct xsd *xs)
{
	struct xsd_conn *c;

	while ((c = xs->unsent)) {
		xs->unsent = c->next_unsent;
		c->is_unsent = false;
		if (!c->dead)
			conn_flush(c);
	}
}

static void *conn_room(struct xsd_conn *c, size_t len)
{
	void *at;

	while (c->out.room - c->out.len < len) {
		c->out.room = c->out.room ? c->out.room * 2 : 1024;
		c->out.data = sim_realloc(c->out.data, c->out.room);
	}
	at = c->out.data + c->out.len;
	c->out.len += len;
	return at;
}

void xsd_conn_send(struct xsd_conn *conn, uint32_t type, uint32_t req_id, uint32_t tx_id,
		   const void *data, size_t len)
{
	struct xsd_sockmsg hdr = {
		.type = type, .req_id = req_id, .tx_id = tx_id, .len = (uint32_t)len
	};

	if (conn->dead || conn->fd < 0)
		return;
	memcpy(conn_room(conn, sizeof(hdr)), &hdr, sizeof(hdr));
	if (len)
		memcpy(conn_room(conn, len), data, len);
	if (conn->is_unsent)
		return;
	conn->is_unsent = true;
	conn->next_unsent = conn->xs->unsent;
	conn->xs->unsent = conn;
}

void xsd_conn_send_event(struct xsd_conn *conn, const char *path, const char *token)
{
	size_t path_len = strlen(path) + 1, token_len = strlen(token) + 1;
	char *body = sim_alloc(path_len + token_len);

	memcpy(body, path, path_len);
	memcpy(body + path_len, token, token_len);
	xsd_conn_send(conn, XS_WATCH_EVENT, 0, 0, body, path_len + token_len);
	free(body);
}

void xsd_reply(struct xsd_req *q, const void *data, size_t len)
{
	xsd_conn_send(q->conn, q->type, q->req_id, q->tx_id, data, len);
}

void xsd_reply_ok(struct xsd_req *q)
{
	xsd_reply(q, "OK", 3);
}

static void reply_errno(struct xsd_req *q, int err)
{
	const char *name = "EINVAL";

	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (xsd_errors[i].errnum == err)
			name = xsd_errors[i].errstring;
	xsd_conn_send(q->conn, XS_ERROR, q->req_id, q->tx_id, name, strlen(name) + 1);
}

/* A whole message: find its transaction, serve it, answer errors. */
static void conn_serve(struct xsd_conn *c, const struct xsd_sockmsg *hdr, char *body)
{
	struct xsd_req q = { .xs = c->xs,
			     .conn = c,
			     .type = hdr->type,
			     .req_id = hdr->req_id,
			     .tx_id = hdr->tx_id,
			     .data = body,
			     .len = hdr->len };
	char behind = body[q.len]; /* the next message's, perhaps */
	int err;

	body[q.len] = '\0';
	if (q.tx_id)
		q.tx = xsd_tx_find(c, q.tx_id);
	err = q.tx_id && !q.tx ? ENOENT : xsd_serve(&q);
	if (err)
		reply_errno(&q, err);
	body[q.len] = behind;
}

/* Serve the message at `at`. Returns its size, 0 when it is not whole yet. */
static size_t conn_take(struct xsd_conn *c, char *at, size_t have)
{
	struct xsd_sockmsg hdr;

	if (have < sizeof(hdr))
		return 0;
	memcpy(&hdr, at, sizeof(hdr));
	if (hdr.len > XENSTORE_PAYLOAD_MAX)
		xsd_conn_drop(c);
	else if (have >= sizeof(hdr) + hdr.len)
		conn_serve(c, &hdr, at + sizeof(hdr));
	else
		return 0;
	return sizeof(hdr) + hdr.len;
}

/* Read once, a buffer full at most, so that no client can starve the others. */
static void conn_read(struct xsd_conn *c)
{
	ssize_t n = recv(c->fd, c->in.data + c->in.have, XSD_IN_BYTES - c->in.have, MSG_DONTWAIT);
	size_t at = 0, step;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		xsd_conn_drop(c);
		return;
	}
	c->in.have += (size_t)n;
	while (!c->dead && (step = conn_take(c, c->in.data + at, c->in.have - at)))
		at += step;
	if (c->dead)
		return;
	c->in.have -= at;
	memmove(c->in.data, c->in.data + at, c->in.have);
}

static void conn_io(void *arg, uint32_t events)
{
	struct xsd_conn *c = arg;

	if (c->dead)
		return;
	if (events & EPOLLOUT)
		conn_flush(c);
	if (!c->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		conn_read(c);
	xsd_flush(c->xs);
}

void xsd_conn_accept(struct xsd *xs, int listen_fd, uint32_t domid, uint32_t target)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct xsd_conn *c;

	if (fd < 0)
		return;
	c = sim_alloc(sizeof(*c));
	c->xs = xs;
	c->fd = fd;
	c->domid = domid;
	c->target = target;
	c->next = xs->conns;
	xs->conns = c;
	c->events = EPOLLIN;
	c->io = sim_loop_add(xs->loop, fd, EPOLLIN, conn_io, c);
}

void xsd_conn_drop(struct xsd_conn *conn)
{
	if (conn->dead)
		return;
	conn->dead = true;
	sim_loop_remove(conn->xs->loop, conn->io);
	close(conn->fd);
	conn->fd = -1;
	xsd_watch_free_all(conn);
	xsd_tx_free_all(conn);
	free(conn->out.data);
	conn->out = (struct xsd_outbuf){ 0 };
}

static void conns_reap(struct xsd *xs)
{
	struct xsd_conn **at = &xs->conns;

	while (*at) {
		struct xsd_conn *c = *at;

		if (!c->dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}

static void dom0_arrives(void *arg, uint32_t events)
{
	struct xsd *xs = arg;

	(void)events;
	/* No connection is being served now: a safe place to free the dead. */
	conns_reap(xs);
	xsd_conn_accept(xs, xs->listen_fd, 0, 0);
}

int xsd_listen(struct xsd *xs, const char *path, sim_watch_fn *fn, void *arg, int *ret_fd,
	       struct sim_watch **ret_watch)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 64)) {
		int err = -errno;

		close(fd);
		return err;
	}
	*ret_fd = fd;
	*ret_watch = sim_loop_add(xs->loop, fd, EPOLLIN, fn, arg);
	return 0;
}

struct xsd *xsd_new(struct sim_loop *loop, const char *socket_path)
{
	struct xsd *xs = sim_alloc(sizeof(*xs));
	int err;

	xs->loop = loop;
	xs->socket_path = sim_strdup(socket_path);
	err = xsd_listen(xs, socket_path, dom0_arrives, xs, &xs->listen_fd, &xs->listen_watch);
	if (err) {
		free(xs->socket_path);
		free(xs);
		errno = -err;
		return NULL;
	}
	xsd_store_init(xs);
	return xs;
}

void xsd_free(struct xsd *xs)
{
	if (!xs)
		return;
	xsd_domain_free_all(xs);
	for (struct xsd_conn *c = xs->conns; c; c = c->next)
		xsd_conn_drop(c);
	conns_reap(xs);
	sim_loop_remove(xs->loop, xs->listen_watch);
	close(xs->listen_fd);
	unlink(xs->socket_path);
	xsd_table_clear(&xs->nodes);
	free(xs->socket_path);
	free(xs);
}
