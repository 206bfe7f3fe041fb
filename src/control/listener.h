/* SPDX-License-Identifier: MIT */
/*
 * A named Unix socket in the runtime directory, for clients of the daemon. Only root and the user that the daemon runs
 * as may connect. Control thread only.
 */
#ifndef PVB_LISTENER_H
#define PVB_LISTENER_H

#include "core/log.h"
#include "core/loop.h"

/* Zero: closed. */
struct listener {
	struct loop *loop; /* borrowed */
	const char *name;  /* borrowed */
	int fd, dir;       /* owned, while `watch` is set */
	struct loop_watch *watch;
	struct log_limit refusals;
	/* A client with the right to ask has connected. The descriptor is non-blocking, and the callee owns it. */
	void (*came)(void *user, int fd);
	void *user;
};

/* Make the socket. An old one of this name is removed: the caller knows that no other daemon runs. 0 or -errno. */
int listener_open(struct listener *listener, struct loop *loop, const char *dir, const char *name,
		  void (*came)(void *user, int fd), void *user);
/* Close the socket and remove its file. Idempotent. */
void listener_close(struct listener *listener);

#endif
