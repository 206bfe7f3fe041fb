/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "control/clients.h"

#define PATIENCE_NS (10ull * 1000000000ull)

void clients_init(struct clients *clients, struct loop *loop, unsigned int max,
		  void (*done)(struct client *client))
{
	*clients = (struct clients){ .loop = loop, .max = max, .done = done };
	TAILQ_INIT(&clients->list);
}

void clients_close(struct clients *clients)
{
	while (!TAILQ_EMPTY(&clients->list))
		client_close(TAILQ_FIRST(&clients->list));
}

int client_add(struct clients *clients, struct client *client, int fd, loop_fd_fn ready, void *user)
{
	client->watch = loop_add(clients->loop, fd, EPOLLIN, ready, user);
	if (!client->watch)
		return -errno;
	client->clients = clients;
	client->fd = fd;
	TAILQ_INSERT_TAIL(&clients->list, client, link);
	clients->nr++;
	return 0;
}

void client_close(struct client *client)
{
	struct clients *clients = client->clients;

	loop_timer_cancel(&client->patience);
	client->watch = loop_remove(clients->loop, client->watch);
	close(client->fd);
	TAILQ_REMOVE(&clients->list, client, link);
	clients->nr--;
	clients->done(client);
}

void client_heard(struct client *client)
{
	TAILQ_REMOVE(&client->clients->list, client, link);
	TAILQ_INSERT_TAIL(&client->clients->list, client, link);
}

static void lost_patience(void *user)
{
	client_close(user);
}

void client_hurry(struct client *client)
{
	loop_timer_set(client->clients->loop, &client->patience, PATIENCE_NS, lost_patience,
		       client);
}

void client_relax(struct client *client)
{
	loop_timer_cancel(&client->patience);
}
