/* SPDX-License-Identifier: MIT */
/*
 * One connection to an NBD server, through libnbd, in a worker's loop. It uses a socket that is already connected.
 * Worker thread only.
 */
#ifndef PVB_NBD_CONN_H
#define PVB_NBD_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "blkback/image.h"
#include "core/nbd_name.h"
#include "core/loop.h"

struct nbd_handle;

/* What the server says about the export. */
struct nbd_facts {
	uint64_t bytes;
	uint32_t block; /* the smallest request that it wants; 512 when it does not say */
	bool read_only, flush, fua, trim;
	bool fenced; /* no earlier connection is left; set by the link */
};

struct nbd_conn_ops {
	/* The handshake is done. */
	void (*up)(void *user, const struct nbd_facts *facts);
	/*
	 * The handshake failed, or the connection has ended; `why` is for the admin. Requests that were sent came back
	 * with ENOTCONN.
	 */
	void (*down)(void *user, const char *why);
	/* The server's answer to a request, or ENOTCONN. */
	void (*done)(void *user, struct image_request *req, int error);
};

struct nbd_conn {
	struct loop *loop;              /* borrowed */
	const struct nbd_conn_ops *ops; /* borrowed */
	void *user;                     /* borrowed */
	/* private */
	struct nbd_handle *h; /* owned */
	int fd;               /* owned: a copy of libnbd's descriptor, for epoll */
	struct loop_watch *watch;
	uint32_t events;
	struct loop_timer kick;
	bool up;
	TAILQ_HEAD(, image_request) sent;      /* not answered; the oldest first */
	TAILQ_HEAD(, image_request) completed; /* answered, but not passed on */
};

/* `loop`, `ops` and `user` are set; the rest is zero. */
void nbd_conn_init(struct nbd_conn *conn);

/*
 * Begin to use a connected socket, which the connection owns from now on, also after a failure. up() or down() follows,
 * never from within this call. `ask_block`: ask the server for its block sizes; then it may insist on them. 0 or
 * -errno.
 */
int nbd_conn_open(struct nbd_conn *conn, int fd, const char *export_name, bool ask_block);
bool nbd_conn_is_open(const struct nbd_conn *conn);
/* Idempotent. No request may be under way unless down() was called. */
void nbd_conn_close(struct nbd_conn *conn);

/* The request that waits longest for the server's answer; NULL: none waits. */
const struct image_request *nbd_conn_oldest(const struct nbd_conn *conn);
/*
 * Give up this server: open requests come back with ENOTCONN, and down() is called with `why`, both from within this
 * call.
 */
void nbd_conn_give_up(struct nbd_conn *conn, const char *why);

/*
 * Send a request as its `op`, or as a flush if `as_flush`. done() follows, never from within this call. 0; -ENOTCONN,
 * and down() follows; or another -errno when libnbd refuses it.
 */
int nbd_conn_send(struct nbd_conn *conn, struct image_request *req, bool as_flush, bool fua);

#endif
