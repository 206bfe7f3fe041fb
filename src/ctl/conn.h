/* SPDX-License-Identifier: MIT */
/*
 * The connection to the daemon, by its socket in the runtime directory. A request is a line of JSON, and so is its
 * answer.
 */
#ifndef PVB_CTL_CONN_H
#define PVB_CTL_CONN_H

#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

struct conn {
	int fd; /* owned; -1: not connected */
};

/* Monotonic. */
int64_t conn_now_ms(void);

/* 0 or -errno: -ENOENT and -ECONNREFUSED when no daemon runs there, -EACCES when we may not ask it. */
int conn_open(struct conn *conn, const char *runtime_dir);
/* Idempotent. */
void conn_close(struct conn *conn);

/* Receive the next line from the daemon. 0 with the line, which the caller owns; or as conn_ask(). */
int conn_hear(struct conn *conn, unsigned int seconds, struct json_object **ret);

/*
 * Send a request, and with it the descriptor `fd` (borrowed) unless it is -1. 0 with the daemon's answer, which the
 * caller owns. -ETIMEDOUT when none came within `seconds`, -ECONNRESET when the daemon closed the connection, -EBADMSG
 * when the answer is invalid, or -errno.
 */
int conn_ask(struct conn *conn, struct json_object *request, int fd, unsigned int seconds,
	     struct json_object **ret);

#endif
