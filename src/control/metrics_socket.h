/* SPDX-License-Identifier: MIT */
/*
 * RUNTIME_DIR/metrics: a Unix socket that answers as Prometheus wants it: GET /metrics by HTTP/1.1 (RFC 9110 and 9112), one
 * question for each connection. Clients are not trusted: what they may hold is bounded, and we wait for none. Control
 * thread only.
 */
#ifndef PVB_METRICS_SOCKET_H
#define PVB_METRICS_SOCKET_H

#include "control/metrics.h"
#include "core/loop.h"

struct metrics_socket;

struct metrics_socket_setup {
	struct loop *loop;       /* borrowed */
	const char *runtime_dir; /* borrowed; no other daemon has it */
	void (*write)(void *user, const struct metrics *metrics);
	void *user; /* borrowed */
};

/* 0 with *ret, or -errno. */
int metrics_socket_new(const struct metrics_socket_setup *setup, struct metrics_socket **ret);
/* Close all connections, and remove the socket. NULL is fine; returns NULL. */
struct metrics_socket *metrics_socket_free(struct metrics_socket *server);

#endif
