/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "blkback/nbd_conn.h"
#include "ring/blkif.h"

void nbd_conn_init(struct nbd_conn *conn)
{
	conn->fd = -1;
	TAILQ_INIT(&conn->sent);
	TAILQ_INIT(&conn->completed);
}

bool nbd_conn_is_open(const struct nbd_conn *conn)
{
	return conn->h != NULL;
}

/* --- events --- */

static uint32_t wanted_events(const struct nbd_conn *conn)
{
	unsigned int direction = nbd_aio_get_direction(conn->h);

	return (direction & LIBNBD_AIO_DIRECTION_READ ? (uint32_t)EPOLLIN : 0u) |
	       (direction & LIBNBD_AIO_DIRECTION_WRITE ? (uint32_t)EPOLLOUT : 0u);
}

static void arm(struct nbd_conn *conn)
{
	uint32_t events = wanted_events(conn);

	if (events != conn->events && loop_modify(conn->loop, conn->watch, events) == 0)
		conn->events = events;
}

static void learn(struct nbd_conn *conn, struct nbd_facts *facts)
{
	int64_t bytes = nbd_get_size(conn->h);
	int64_t block = nbd_get_block_size(conn->h, LIBNBD_SIZE_MINIMUM);

	*facts = (struct nbd_facts){
		.bytes = bytes > 0 ? (uint64_t)bytes : 0,
		.block = block > BLKIF_SECTOR_SIZE ? (uint32_t)block : BLKIF_SECTOR_SIZE,
		.read_only = nbd_is_read_only(conn->h) == 1,
		.flush = nbd_can_flush(conn->h) == 1,
		.fua = nbd_can_fua(conn->h) == 1,
		.trim = nbd_can_trim(conn->h) == 1,
	};
}

static bool is_over(const struct nbd_conn *conn)
{
	return nbd_aio_is_dead(conn->h) == 1 || nbd_aio_is_closed(conn->h) == 1;
}

/* libnbd's error text without its function's name. libnbd forgets the text at the next call. */
static void copy_words(char *buf, size_t size)
{
	const char *text = nbd_get_error(), *colon = text ? strstr(text, ": ") : NULL;

	if (text)
		snprintf(buf, size, "%s", colon ? colon + 2 : text);
}

static void pass_on(struct nbd_conn *conn)
{
	struct image_request *req;

	while ((req = TAILQ_FIRST(&conn->completed))) {
		TAILQ_REMOVE(&conn->completed, req, nbd.link);
		nbd_aio_command_completed(conn->h, req->nbd.cookie);
		conn->ops->done(conn->user, req, req->nbd.error);
	}
}

/*
 * Called after libnbd may have made progress. Passes on the answers, then reports whether the connection is up or over.
 * A callback may send more requests, or close the connection.
 */
static void settle(struct nbd_conn *conn, const char *why)
{
	struct nbd_facts facts;

	pass_on(conn);
	if (!conn->h)
		return;
	if (is_over(conn)) {
		conn->ops->down(conn->user, why);
		return;
	}
	if (!conn->up && nbd_aio_is_ready(conn->h) == 1) {
		conn->up = true;
		learn(conn, &facts);
		conn->ops->up(conn->user, &facts);
	}
	if (conn->h)
		arm(conn);
}

static void socket_moved(void *user, uint32_t events)
{
	struct nbd_conn *conn = user;
	const uint32_t in = EPOLLIN | EPOLLHUP | EPOLLERR;
	unsigned int direction = nbd_aio_get_direction(conn->h);
	char why[160] = "the server closed the connection";
	int ret = 0;

	if ((events & in) && (direction & LIBNBD_AIO_DIRECTION_READ))
		ret = nbd_aio_notify_read(conn->h);
	else if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) &&
		 (direction & LIBNBD_AIO_DIRECTION_WRITE))
		ret = nbd_aio_notify_write(conn->h);
	if (ret < 0)
		copy_words(why, sizeof(why));
	settle(conn, why);
}

static void kicked(void *user)
{
	settle(user, "the connection broke");
}

/* --- requests --- */

/* libnbd calls this with its lock held, so the request is only queued. */
static int answered(void *user, int *error)
{
	struct image_request *req = user;

	req->nbd.error = *error;
	TAILQ_REMOVE(&req->nbd.conn->sent, req, nbd.link);
	TAILQ_INSERT_TAIL(&req->nbd.conn->completed, req, nbd.link);
	return 0; /* settle() retires the command: libnbd may still be looking at it */
}

static int64_t issue(struct nbd_conn *conn, struct image_request *req, bool as_flush, bool fua)
{
	nbd_completion_callback done = { .callback = answered, .user_data = req };
	uint32_t flags = fua ? LIBNBD_CMD_FLAG_FUA : 0;

	if (as_flush)
		return nbd_aio_flush(conn->h, done, 0);
	switch (req->op) {
	case IMAGE_READ:
		return nbd_aio_pread(conn->h, req->buf, req->bytes, req->offset, done, 0);
	case IMAGE_WRITE:
		return nbd_aio_pwrite(conn->h, req->buf, req->bytes, req->offset, done, flags);
	case IMAGE_FLUSH:
		return nbd_aio_flush(conn->h, done, 0);
	case IMAGE_DISCARD:
		return nbd_aio_trim(conn->h, req->nbd.chunk, req->offset + req->nbd.progress, done,
				    0);
	}
	return -1;
}

int nbd_conn_send(struct nbd_conn *conn, struct image_request *req, bool as_flush, bool fua)
{
	int64_t cookie;
	int err;

	req->nbd.conn = conn;
	TAILQ_INSERT_TAIL(&conn->sent, req, nbd.link); /* the answer may come from within issue() */
	cookie = issue(conn, req, as_flush, fua);
	if (cookie >= 0) {
		req->nbd.cookie = (uint64_t)cookie;
		arm(conn);
		/* Sending can break the connection. Then the requests are complete already. */
		if (!TAILQ_EMPTY(&conn->completed))
			loop_timer_set(conn->loop, &conn->kick, 0, kicked, conn);
		return 0;
	}
	err = nbd_get_errno();
	TAILQ_REMOVE(&conn->sent, req, nbd.link);
	if (!is_over(conn))
		return err ? -err : -EIO;
	loop_timer_set(conn->loop, &conn->kick, 0, kicked, conn);
	return -ENOTCONN;
}

const struct image_request *nbd_conn_oldest(const struct nbd_conn *conn)
{
	return TAILQ_FIRST(&conn->sent);
}

void nbd_conn_give_up(struct nbd_conn *conn, const char *why)
{
	struct image_request *req;

	pass_on(conn);
	while ((req = TAILQ_FIRST(&conn->sent))) {
		TAILQ_REMOVE(&conn->sent, req, nbd.link);
		conn->ops->done(conn->user, req, ENOTCONN);
	}
	if (conn->h)
		conn->ops->down(conn->user, why);
}

/* --- life --- */

/* Once past its first state, libnbd owns the socket, even if the call failed. */
static int begin(struct nbd_conn *conn, int fd, const char *export_name, bool ask_block)
{
	int err;

	if (nbd_set_export_name(conn->h, export_name) == 0 &&
	    nbd_set_request_block_size(conn->h, ask_block) == 0 &&
	    nbd_set_strict_mode(conn->h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_ALIGN) == 0 &&
	    nbd_aio_connect_socket(conn->h, fd) == 0)
		return 0;
	err = nbd_get_errno();
	if (nbd_aio_is_created(conn->h) == 1)
		close(fd);
	return err ? -err : -EIO;
}

static int start(struct nbd_conn *conn, int fd, const char *export_name, bool ask_block)
{
	int err;

	conn->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = conn->fd < 0 ? -errno : 0;
	conn->h = err ? NULL : nbd_create();
	if (!conn->h) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	err = begin(conn, fd, export_name, ask_block);
	if (err)
		return err;
	conn->events = wanted_events(conn);
	conn->watch = loop_add(conn->loop, conn->fd, conn->events, socket_moved, conn);
	if (!conn->watch)
		return -ENOMEM;
	/* All that the server has to say may have arrived already: then no event follows. */
	loop_timer_set(conn->loop, &conn->kick, 0, kicked, conn);
	return 0;
}

int nbd_conn_open(struct nbd_conn *conn, int fd, const char *export_name, bool ask_block)
{
	int err = start(conn, fd, export_name, ask_block);

	if (err)
		nbd_conn_close(conn);
	return err;
}

void nbd_conn_close(struct nbd_conn *conn)
{
	loop_timer_cancel(&conn->kick);
	conn->watch = loop_remove(conn->loop, conn->watch);
	if (conn->h && conn->up && !is_over(conn))
		nbd_aio_disconnect(conn->h, 0);
	nbd_close(conn->h);
	conn->h = NULL;
	conn->up = false;
	conn->events = 0;
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
}
