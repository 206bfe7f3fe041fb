/* SPDX-License-Identifier: MIT */
/*
 * The admin's socket, RUNTIME_DIR/ctl: a request is a line of JSON, and so is its answer. Root and the user that the
 * daemon runs as may connect. Clients are not trusted all the same: what each may hold is bounded, the daemon waits for
 * none of them, and it returns to its loop after each request. Control thread only.
 */
#ifndef PVB_CONTROL_CTL_H
#define PVB_CONTROL_CTL_H

#include <json-c/json.h>
#include <stdbool.h>

#include "core/loop.h"

struct ctl;
struct ctl_client;

struct ctl_setup {
	struct loop *loop;       /* borrowed */
	const char *runtime_dir; /* borrowed; no other daemon has it */
	/*
	 * Return the answer to a request, made by ctl_result() or ctl_error(); the socket owns it. NULL after ctl_wait().
	 * `request` is a JSON object, and borrowed.
	 */
	struct json_object *(*ask)(void *user, struct ctl_client *client,
				   struct json_object *request);
	void *user; /* borrowed */
};

/* 0 with *ret, or -errno. */
int ctl_new(const struct ctl_setup *setup, struct ctl **ret);
/* Close all connections, and remove the socket. NULL is fine; returns NULL. */
struct ctl *ctl_free(struct ctl *ctl);

/* --- for the code that answers --- */

/* {"ok": true, "result": RESULT}; RESULT is taken. */
struct json_object *ctl_result(struct json_object *result);
/* {"ok": false, "code": CODE, "error": a line for the admin} */
struct json_object *ctl_error(const char *code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The descriptor that came with the request: the caller's from now on; -1: none. */
int ctl_take_fd(struct ctl_client *client);

/* A request that has begun something and is answered when that has ended. */
struct ctl_wait {
	/* Called ten times a second: returns the answer, or NULL while there is none. */
	struct json_object *(*look)(void *user);
	/* The request is answered, or its client is gone. May be NULL. */
	void (*forget)(void *user);
	void *user;
};
/* The answer comes later. Until then nothing else is read from this client. For use in ask(). */
void ctl_wait(struct ctl_client *client, const struct ctl_wait *wait);

/*
 * Something that a request has begun and that goes on while the client stays connected. look() is called once a second.
 * When it returns something that is sent, and the connection ends. A client has one at a time: a new one ends the old.
 */
struct ctl_hold {
	struct json_object *(*look)(void *user); /* NULL while it goes on */
	void (*forget)(void *user);
	void *user;
};
void ctl_hold(struct ctl_client *client, const struct ctl_hold *hold);
/* End it. Idempotent. */
void ctl_release(struct ctl_client *client);

#endif
