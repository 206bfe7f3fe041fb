/* SPDX-License-Identifier: MIT */
/*
 * The admin's socket, RUNTIME_DIR/ctl: a line of JSON is a request, and a line of JSON is its answer. It is root's, and
 * the user's that the daemon runs as. Clients are strangers all the same: what each may hold is bounded, nobody waits
 * for one, and the loop has its turn after each request. Control thread only.
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
	 * The answer to a request, which the socket then owns: ctl_result(), ctl_error(); NULL after ctl_wait(). `request` is
	 * an object, and borrowed.
	 */
	struct json_object *(*ask)(void *user, struct ctl_client *client,
				   struct json_object *request);
	void *user; /* borrowed */
};

/* 0 with *ret, or -errno. */
int ctl_new(const struct ctl_setup *setup, struct ctl **ret);
/* Close all connections, and remove the socket. NULL is fine; returns NULL. */
struct ctl *ctl_free(struct ctl *ctl);

/* --- for who answers --- */

/* {"ok": true, "result": RESULT}; RESULT is taken. */
struct json_object *ctl_result(struct json_object *result);
/* {"ok": false, "code": CODE, "error": a line for the admin} */
struct json_object *ctl_error(const char *code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The descriptor that came with the request: the caller's from now on; -1: none. */
int ctl_take_fd(struct ctl_client *client);

/* Something that a request has begun, and that has no end yet. */
struct ctl_wait {
	/* Ten times a second: the answer when there is one, else NULL. */
	struct json_object *(*look)(void *user);
	/* It is answered, or its client is gone. May be NULL. */
	void (*forget)(void *user);
	void *user;
};
/* The answer comes later; nothing else of this client is heard until then. For use in ask(). */
void ctl_wait(struct ctl_client *client, const struct ctl_wait *wait);

/*
 * Something that a request has begun, and that goes on while the client stays connected: once a second it is asked
 * whether it has ended, and what it says then is the last that the client hears. One for each client: the one before ends.
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
