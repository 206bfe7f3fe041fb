/* SPDX-License-Identifier: MIT */
/*
 * The clients that are connected to one of our sockets (listener.h). There is a maximum of them. Each is watched, and is
 * closed when it takes too long. Control thread only.
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
	void (*done)(struct client *client); /* the client is closed: free what embeds it */
	TAILQ_HEAD(, client) list;           /* the oldest is the first; client_heard() */
};

/* Embedded in the struct that the socket has for each client. */
struct client {
	TAILQ_ENTRY(client) link;
	struct clients *clients; /* borrowed */
	int fd;                  /* owned */
	struct loop_watch *watch;
	struct loop_timer patience;
};

/* Begin with no client. */
void clients_init(struct clients *clients, struct loop *loop, unsigned int max,
		  void (*done)(struct client *client));
/* Close all. Idempotent. */
void clients_close(struct clients *clients);
static inline bool clients_are_full(const struct clients *clients)
{
	return clients->nr >= clients->max;
}

/* Add a client and watch it: `ready` is called with `user` when it sends something. 0, and it owns `fd`; or -errno. */
int client_add(struct clients *clients, struct client *client, int fd, loop_fd_fn ready,
	       void *user);
void client_close(struct client *client);
/* The client has said something: move it to the end of the list. */
void client_heard(struct client *client);
/* Close it in ten seconds, unless client_relax() is called before. */
void client_hurry(struct client *client);
void client_relax(struct client *client);

#endif
