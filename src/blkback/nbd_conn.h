/* SPDX-License-Identifier: MIT */
/* One connection to an NBD server, by libnbd, in a worker's loop. It never connects itself. Worker thread only. */
#ifndef PVB_NBD_CONN_H
#define PVB_NBD_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "blkback/image.h"
#include "core/nbd_name.h"
#include "core/loop.h"

struct nbd_handle;

/* What the server says of the export. */
struct nbd_facts {
	uint64_t bytes;
	uint32_t block; /* smallest request that it wants; 512 when it does not say */
	bool read_only, flush, fua, trim;
	bool fenced; /* earlier connections are over; the link's */
};

struct nbd_conn_ops {
	/* The handshake is done. */
	void (*up)(void *user, const struct nbd_facts *facts);
	/* It cannot be, or is no more; `why` is for the admin. What was sent came back with ENOTCONN. */
	void (*down)(void *user, const char *why);
	/* The server's answer, or ENOTCONN. */
	void (*done)(void *user, struct image_request *req, int error);
};

struct nbd_conn {
	struct loop *loop;              /* borrowed */
	const struct nbd_conn_ops *ops; /* borrowed */
	void *user;                     /* borrowed */
	/* private */
	struct nbd_handle *h; /* owned */
	int fd;               /* owned: a second name of libnbd's, for epoll */
	struct loop_watch *watch;
	uint32_t events;
	struct loop_timer kick;
	bool up;
	TAILQ_HEAD(, image_request) sent;      /* and not answered; the oldest first */
	TAILQ_HEAD(, image_request) completed; /* answered; not yet passed on */
};

/* `loop`, `ops` and `user` are set; the rest is zero. */
void nbd_conn_init(struct nbd_conn *conn);

/*
 * Begin to speak over a connected socket, which is the connection's from now on, also on failure; up() or down()
 * follows, never from within. `ask_block`: let the server say what requests it wants; then it may insist. 0 or -errno.
 */
int nbd_conn_open(struct nbd_conn *conn, int fd, const char *export_name, bool ask_block);
bool nbd_conn_is_open(const struct nbd_conn *conn);
/* Idempotent; nothing may be under way unless down() was called. */
void nbd_conn_close(struct nbd_conn *conn);

/* What the server has not answered for the longest time; NULL when it owes nothing. */
const struct image_request *nbd_conn_oldest(const struct nbd_conn *conn);
/* Believe no more in this server: what it owes comes back with ENOTCONN, and down() says `why`, from within. */
void nbd_conn_give_up(struct nbd_conn *conn, const char *why);

/*
 * Send a request as its `op`, or as a flush when `as_flush`; done() follows, never from within. 0; or
 * -ENOTCONN with down() to follow; or another -errno when libnbd refuses it.
 */
int nbd_conn_send(struct nbd_conn *conn, struct image_request *req, bool as_flush, bool fua);

#endif
