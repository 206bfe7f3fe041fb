/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/clients.h"
#include "control/listener.h"
#include "control/metrics_socket.h"
#include "core/container_of.h"

#define MAX_CLIENTS 8u
#define MAX_REQUEST 8192u
#define OPEN_TYPE   "application/openmetrics-text"

struct asker {
	struct client client; /* has a time limit for its question, and for reading the answer */
	struct metrics_socket *server; /* borrowed */
	char request[MAX_REQUEST];
	size_t used;
	char *answer; /* owned; NULL: the question is not complete yet */
	size_t len, sent;
};

struct metrics_socket {
	struct metrics_socket_setup setup;
	struct listener listener;
	struct clients clients;
};

static void is_closed(struct client *closed)
{
	struct asker *client = container_of(closed, struct asker, client);

	free(client->answer);
	free(client);
}

/* --- the answer --- */

/* Whether the client accepts OpenMetrics. Field names may be in upper or lower case. A weight (q=) is not looked at. */
static bool accepts_open(const char *request)
{
	static const char field[] = "accept:";
	const char *line = strstr(request, "\r\n");

	for (; line; line = strstr(line, "\r\n")) {
		const char *end;

		line += 2;
		end = strstr(line, "\r\n");
		if (end && !strncasecmp(line, field, sizeof(field) - 1))
			return memmem(line, (size_t)(end - line), OPEN_TYPE, strlen(OPEN_TYPE));
	}
	return false;
}

static bool asks_for(const char *request, const char *what)
{
	size_t len = strlen(what);

	return !strncmp(request, what, len) && (request[len] == ' ' || request[len] == '?');
}

static char *write_body(const struct metrics_socket *server, enum metrics_format format,
			size_t *ret_len)
{
	char *body = NULL;
	FILE *out = open_memstream(&body, ret_len);
	const struct metrics metrics = { out, format };

	if (!out)
		return NULL;
	server->setup.write(server->setup.user, &metrics);
	return fclose(out) ? (free(body), NULL) : body;
}

/* 0 or -ENOMEM. */
static int compose(struct asker *client, const char *status, const char *type, const char *body,
		   size_t len)
{
	FILE *out = open_memstream(&client->answer, &client->len);

	if (!out)
		return -ENOMEM;
	fprintf(out,
		"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
		"close\r\n\r\n",
		status, type, len);
	fwrite(body, 1, len, out);
	return fclose(out) ? -ENOMEM : 0;
}

static int give_metrics(struct asker *client)
{
	enum metrics_format format = accepts_open(client->request) ? METRICS_OPEN : METRICS_TEXT;
	size_t len = 0;
	char *body = write_body(client->server, format, &len);
	int err =
		body ? compose(client, "200 OK",
			       format == METRICS_OPEN ? OPEN_TYPE "; version=1.0.0; charset=utf-8"
						      : "text/plain; version=0.0.4; charset=utf-8",
			       body, len)
		     : -ENOMEM;

	free(body);
	return err;
}

static int refuse(struct asker *client, const char *status, const char *text)
{
	return compose(client, status, "text/plain; charset=utf-8", text, strlen(text));
}

static int answer(struct asker *client)
{
	if (asks_for(client->request, "GET /metrics"))
		return give_metrics(client);
	if (strncmp(client->request, "GET ", 4) != 0)
		return refuse(client, "501 Not Implemented", "only GET is understood\n");
	return refuse(client, "404 Not Found", "the metrics are at /metrics\n");
}

/* --- a connection --- */

/* False when the client has the whole answer, or is gone. */
static bool send_more(struct asker *client)
{
	ssize_t n = send(client->client.fd, client->answer + client->sent,
			 client->len - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	client->sent += (size_t)n;
	return client->sent < client->len;
}

/* False when the question cannot become complete. A zero byte ends the text that we look at. */
static bool receive(struct asker *client)
{
	ssize_t n = recv(client->client.fd, client->request + client->used,
			 MAX_REQUEST - 1 - client->used, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	client->used += (size_t)n;
	client->request[client->used] = '\0';
	return true;
}

static bool go_on(struct asker *client)
{
	bool whole;

	if (client->answer)
		return send_more(client);
	if (!receive(client))
		return false;
	whole = memmem(client->request, client->used, "\r\n\r\n", 4);
	if (!whole && client->used < MAX_REQUEST - 1)
		return true;
	if (whole ? answer(client)
		  : refuse(client, "431 Request Header Fields Too Large", "too long a question\n"))
		return false;
	client_hurry(&client->client);
	loop_modify(client->server->setup.loop, client->client.watch, EPOLLOUT);
	return true;
}

static void client_ready(void *user, uint32_t events)
{
	struct asker *client = user;

	(void)events;
	if (!go_on(client))
		client_close(&client->client);
}

/* Close the oldest client to make room. Prometheus asks again; others may only be holding connections open. */
static void somebody_came(void *user, int fd)
{
	struct metrics_socket *server = user;
	struct asker *client = calloc(1, sizeof(*client));

	if (clients_are_full(&server->clients))
		client_close(TAILQ_FIRST(&server->clients.list));
	if (!client || client_add(&server->clients, &client->client, fd, client_ready, client)) {
		close(fd);
		free(client);
		return;
	}
	client->server = server;
	client_hurry(&client->client);
}

int metrics_socket_new(const struct metrics_socket_setup *setup, struct metrics_socket **ret)
{
	struct metrics_socket *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	server->setup = *setup;
	clients_init(&server->clients, setup->loop, MAX_CLIENTS, is_closed);
	err = listener_open(&server->listener, setup->loop, setup->runtime_dir, "metrics",
			    somebody_came, server);
	if (err)
		metrics_socket_free(server);
	else
		*ret = server;
	return err;
}

struct metrics_socket *metrics_socket_free(struct metrics_socket *server)
{
	if (!server)
		return NULL;
	clients_close(&server->clients);
	listener_close(&server->listener);
	free(server);
	return NULL;
}
