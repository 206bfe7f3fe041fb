/* SPDX-License-Identifier: MIT */
/*
 * A Unix socket by its name in the runtime directory, for who asks the daemon something. It is root's, and the user's that
 * the daemon runs as. Control thread only.
 */
#ifndef PVB_LISTENER_H
#define PVB_LISTENER_H

#include "core/log.h"
#include "core/loop.h"

/* Zero: closed. */
struct listener {
	struct loop *loop; /* borrowed */
	const char *name;  /* borrowed */
	int fd, dir;       /* owned, while `watch` is */
	struct loop_watch *watch;
	struct log_limit refusals;
	/* Somebody who may ask; the descriptor, which does not block, is the callee's. */
	void (*came)(void *user, int fd);
	void *user;
};

/* One with that name is of a daemon that was killed: the caller knows that there is no other. 0 or -errno. */
int listener_open(struct listener *listener, struct loop *loop, const char *dir, const char *name,
		  void (*came)(void *user, int fd), void *user);
/* Remove it, too. Idempotent. */
void listener_close(struct listener *listener);

#endif
