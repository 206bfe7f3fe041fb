/* SPDX-License-Identifier: MIT */
/*
 * One end of the socket between control and the side that serves the rings: whole messages (messages.h) with their
 * descriptors, in order. Sending never blocks: messages that the socket has no room for are kept, up to a limit, and are
 * sent later. Belongs to the thread of its loop.
 */
#ifndef PVB_LINK_H
#define PVB_LINK_H

#include <stdbool.h>

#include "core/loop.h"
#include "core/messages.h"

struct link;

struct link_setup {
	struct loop *loop; /* borrowed */
	int fd; /* a connected SOCK_SEQPACKET socket: the link's from now on, also on failure */
	enum message_from other;
	/*
	 * A message has come that message_check() finds right. Its descriptors are closed afterwards, unless the callee has put
	 * -1 in their place. The callee may end the link (link_free()).
	 */
	void (*received)(void *user, const struct message *message, int *fds, unsigned int nr_fds);
	/* The other end is gone, does not read, or has sent something that is no message (-EPROTO). Nothing follows. */
	void (*ended)(void *user, int err);
	void *user; /* borrowed */
};

/* NULL with errno set. */
struct link *link_new(const struct link_setup *setup);
/* Close the link; messages that are kept are lost. Allowed in any callback. NULL is fine; returns NULL. */
struct link *link_free(struct link *link);

/*
 * Send a message, now or later; message->type determines its size. The descriptors stay the caller's: a kept message has
 * copies. Does nothing on a link that has ended.
 */
void link_send(struct link *link, const struct message *message, const int *fds,
	       unsigned int nr_fds);

/* Read nothing from the other end while `rests` is true. Its messages wait in the socket. */
void link_rest(struct link *link, bool rest);

/* A connected pair for both ends. 0 or -errno. */
int link_pair(int ret_fds[2]);

#endif
