/* SPDX-License-Identifier: MIT */
/*
 * One end of the socket between control and whoever serves the rings: whole messages (messages.h) with their
 * descriptors, in order. Nobody waits for the other end: what the socket does not take now is kept, up to a limit, and
 * goes when it does. Belongs to the thread of its loop.
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
	 * A message that message_check() has let pass. The descriptors are closed afterwards, unless the taker has put -1
	 * in their place. It may end the link (link_free()).
	 */
	void (*received)(void *user, const struct message *message, int *fds, unsigned int nr_fds);
	/* The other end is gone, does not read, or has sent what is no message (-EPROTO): nothing follows. */
	void (*ended)(void *user, int err);
	void *user; /* borrowed */
};

/* NULL with errno set. */
struct link *link_new(const struct link_setup *setup);
/* Close it; what is kept is lost. In any callback too. NULL is fine; returns NULL. */
struct link *link_free(struct link *link);

/*
 * Send it, now or later; message->type says how many bytes of it. The descriptors stay the caller's (what is kept has
 * copies). Nothing happens on a link that has ended.
 */
void link_send(struct link *link, const struct message *message, const int *fds,
	       unsigned int nr_fds);

/* Take nothing from the other end, until it is let go on: what it says meanwhile waits in the socket. */
void link_rest(struct link *link, bool rest);

/* A connected pair for both ends. 0 or -errno. */
int link_pair(int ret_fds[2]);

#endif
