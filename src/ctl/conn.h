/* SPDX-License-Identifier: MIT */
/* The way to the daemon: its socket in the runtime directory, a line of JSON for a request and one for its answer. */
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

/* 0 or -errno: -ENOENT and -ECONNREFUSED when no daemon runs there, -EACCES when it is not for us. */
int conn_open(struct conn *conn, const char *runtime_dir);
/* Idempotent. */
void conn_close(struct conn *conn);

/*
 * The next line that the daemon says. 0 with it, which becomes the caller's; or as conn_ask().
 */
int conn_hear(struct conn *conn, unsigned int seconds, struct json_object **ret);

/*
 * Send a request, and a descriptor with it unless that is -1, which stays the caller's. 0 with what the daemon
 * answered, which becomes the caller's; -ETIMEDOUT when it did not for so many seconds, -ECONNRESET when it closed the
 * connection, -EBADMSG when it said what is no answer, or -errno.
 */
int conn_ask(struct conn *conn, struct json_object *request, int fd, unsigned int seconds,
	     struct json_object **ret);

#endif
