/* SPDX-License-Identifier: MIT */
/*
 * Who is connected to one of our sockets (listener.h): so many at most, each of them watched, and closed when it takes too
 * long. Control thread only.
 */
#ifndef PVB_CLIENTS_H
#define PVB_CLIENTS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "core/loop.h"

struct client;

struct clients {
	struct loop *loop; /* borrowed */
	unsigned int max, nr;
	void (*done)(struct client *client); /* it is closed: release the rest of it */
	TAILQ_HEAD(, client) list;           /* the oldest is the first; client_heard() */
};

/* Embedded in what its socket knows of it. */
struct client {
	TAILQ_ENTRY(client) link;
	struct clients *clients; /* borrowed */
	int fd;                  /* owned */
	struct loop_watch *watch;
	struct loop_timer patience;
};

/* There are none so far. */
void clients_init(struct clients *clients, struct loop *loop, unsigned int max,
		  void (*done)(struct client *client));
/* Close all. Idempotent. */
void clients_close(struct clients *clients);
static inline bool clients_are_full(const struct clients *clients)
{
	return clients->nr >= clients->max;
}

/* One more, which is heard from now on: `ready` gets `user`. 0 with `fd` its own, or -errno. */
int client_add(struct clients *clients, struct client *client, int fd, loop_fd_fn ready,
	       void *user);
void client_close(struct client *client);
/* It is the last of the list now. */
void client_heard(struct client *client);
/* It is closed in ten seconds; or it is not, after all. */
void client_hurry(struct client *client);
void client_relax(struct client *client);

#endif
