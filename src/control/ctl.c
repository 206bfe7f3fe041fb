/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/clients.h"
#include "control/ctl.h"
#include "control/listener.h"
#include "core/container_of.h"
#include "core/fdpass.h"
#include "core/log.h"

#define MAX_CLIENTS 16u
#define MAX_REQUEST 65536u /* with the end of its line */
#define LOOK_NS     (100ull * 1000000ull)
#define MAX_FDS     4u /* one is allowed; with room for more we can refuse them in words */

struct ctl_client {
	struct client client; /* has a time limit for sending and for reading */
	struct ctl *ctl;      /* borrowed */
	char *request; /* owned: what has come so far, perhaps more than one request; NULL: nothing */
	size_t used;
	int passed;                 /* owned: the descriptor that came with the request; -1: none */
	struct json_object *answer; /* owned; NULL: none is being sent */
	size_t sent;                /* bytes of its text */
	struct ctl_wait wait;       /* `look` is NULL: no request waits */
	struct ctl_hold hold;       /* `look` is NULL: none */
	struct loop_timer looking, next;
	bool over; /* close it after the answer */
};

struct ctl {
	struct ctl_setup setup;
	struct listener listener;
	struct clients clients; /* the one that has been silent for longest is the first */
	struct loop_tick tick;
};

/* --- answers --- */

struct json_object *ctl_result(struct json_object *result)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "ok", json_object_new_boolean(true));
	json_object_object_add(answer, "result", result);
	return answer;
}

struct json_object *ctl_error(const char *code, const char *fmt, ...)
{
	struct json_object *answer = json_object_new_object();
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_object_add(answer, "ok", json_object_new_boolean(false));
	json_object_object_add(answer, "code", json_object_new_string(code));
	json_object_object_add(answer, "error", json_object_new_string(text));
	return answer;
}

/* --- the end of a client --- */

static void drop_passed(struct ctl_client *client)
{
	if (client->passed >= 0)
		close(client->passed);
	client->passed = -1;
}

static void end_wait(struct ctl_client *client)
{
	struct ctl_wait wait = client->wait;

	loop_timer_cancel(&client->looking);
	client->wait = (struct ctl_wait){ 0 };
	if (wait.forget)
		wait.forget(wait.user);
}

void ctl_release(struct ctl_client *client)
{
	struct ctl_hold hold = client->hold;

	client->hold = (struct ctl_hold){ 0 };
	if (hold.look)
		hold.forget(hold.user);
}

static struct ctl_client *ctl_client_of(struct client *client)
{
	return container_of(client, struct ctl_client, client);
}

static void is_closed(struct client *closed)
{
	struct ctl_client *client = ctl_client_of(closed);

	end_wait(client);
	ctl_release(client);
	loop_timer_cancel(&client->next);
	drop_passed(client);
	json_object_put(client->answer);
	free(client->request);
	free(client);
}

static void close_client(struct ctl_client *client)
{
	client_close(&client->client);
}

/* --- a request and its answer --- */

static void go_on(struct ctl_client *client);

static bool has_line(const struct ctl_client *client)
{
	return client->used && memchr(client->request, '\n', client->used);
}

static void hear_next(void *user)
{
	go_on(user);
}

/* The client's next request waits until all other clients had their turn. */
static void answered(struct ctl_client *client)
{
	struct loop *loop = client->ctl->setup.loop;

	json_object_put(client->answer);
	client->answer = NULL;
	client->sent = 0;
	client_relax(&client->client);
	if (client->over) {
		close_client(client);
		return;
	}
	loop_modify(loop, client->client.watch, has_line(client) ? 0 : EPOLLIN);
	if (has_line(client))
		loop_timer_set(loop, &client->next, 0, hear_next, client);
	else if (client->used)
		client_hurry(&client->client);
}

/* False when the client is gone. */
static bool send_text(struct ctl_client *client, const char *text, size_t len)
{
	ssize_t n = send(client->client.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		client->sent += (size_t)n;
	return n > 0 || errno == EAGAIN || errno == EINTR;
}

static void send_answer(struct ctl_client *client)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
		client->answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	bool there = client->sent < len ? send_text(client, text + client->sent, len - client->sent)
					: true;

	if (there && client->sent == len)
		there = send_text(client, "\n", 1);
	if (!there)
		close_client(client);
	else if (client->sent > len)
		answered(client);
	else
		loop_modify(client->ctl->setup.loop, client->client.watch, EPOLLOUT);
}

static void give(struct ctl_client *client, struct json_object *answer)
{
	client->answer = answer;
	client_hurry(&client->client); /* it has to read the answer in time */
	send_answer(client);
}

/* Send this answer, and then close the connection. */
static void end_with(struct ctl_client *client, struct json_object *answer)
{
	client->over = true;
	client->used = 0;
	give(client, answer);
}

static struct json_object *parse(const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *request;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	request = json_tokener_parse_ex(tokener, text, (int)len);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    !json_object_is_type(request, json_type_object)) {
		json_object_put(request);
		request = NULL;
	}
	json_tokener_free(tokener);
	return request;
}

/* Answer the first line of what has come. NULL when the answer comes later. */
static struct json_object *ask(struct ctl_client *client, const char *line, size_t len)
{
	const struct ctl_setup *setup = &client->ctl->setup;
	struct json_object *request = parse(line, len), *answer;

	if (!request)
		return ctl_error("usage", "a request is a JSON object in one line");
	answer = setup->ask(setup->user, client, request);
	json_object_put(request);
	return answer;
}

static void take_request(struct ctl_client *client)
{
	const char *end = memchr(client->request, '\n', client->used);
	size_t len = (size_t)(end - client->request);
	struct json_object *answer = ask(client, client->request, len);

	drop_passed(client);
	client->used -= len + 1;
	memmove(client->request, end + 1, client->used);
	if (answer)
		give(client, answer);
	else /* watch only for the client's end */
		loop_modify(client->ctl->setup.loop, client->client.watch, 0);
}

/* Answer one request at most. */
static void go_on(struct ctl_client *client)
{
	if (client->answer || client->wait.look || !client->used)
		return;
	client_relax(&client->client);
	if (has_line(client))
		take_request(client);
	else if (client->used == MAX_REQUEST)
		end_with(client, ctl_error("usage", "a request has at most %u bytes", MAX_REQUEST));
	else
		client_hurry(&client->client);
}

/* --- waiting --- */

static void look(void *user)
{
	struct ctl_client *client = user;
	struct json_object *answer = client->wait.look(client->wait.user);

	if (!answer) {
		loop_timer_set(client->ctl->setup.loop, &client->looking, LOOK_NS, look, client);
		return;
	}
	end_wait(client);
	give(client, answer);
}

void ctl_wait(struct ctl_client *client, const struct ctl_wait *wait)
{
	client->wait = *wait;
	loop_timer_set(client->ctl->setup.loop, &client->looking, 0, look, client);
}

void ctl_hold(struct ctl_client *client, const struct ctl_hold *hold)
{
	ctl_release(client);
	client->hold = *hold;
}

/* A client that still waits for an answer gets that one first. */
static void look_at_hold(struct ctl_client *client)
{
	struct json_object *last;

	if (!client->hold.look || client->answer || client->wait.look)
		return;
	last = client->hold.look(client->hold.user);
	if (!last)
		return;
	ctl_release(client);
	end_with(client, last);
}

static void look_at_holds(void *user)
{
	struct ctl *ctl = user;
	struct client *client, *next;

	for (client = TAILQ_FIRST(&ctl->clients.list); client; client = next) {
		next = TAILQ_NEXT(client, link);
		look_at_hold(ctl_client_of(client));
	}
}

int ctl_take_fd(struct ctl_client *client)
{
	int fd = client->passed;

	client->passed = -1;
	return fd;
}

/* --- receiving --- */

/* Keep one descriptor, and close any other. */
static void keep_passed(struct ctl_client *client, const int *fds, unsigned int nr_fds)
{
	for (unsigned int i = 0; i < nr_fds; i++)
		if (client->passed < 0)
			client->passed = fds[i];
		else
			close(fds[i]);
}

/* False when the client can send nothing more. */
static bool receive(struct ctl_client *client)
{
	const struct iovec iov = { client->request + client->used, MAX_REQUEST - client->used };
	unsigned int nr_fds = MAX_FDS;
	int fds[MAX_FDS];
	ssize_t n = fdpass_receive(client->client.fd, &iov, 1, fds, &nr_fds, MSG_DONTWAIT);

	if (n <= 0)
		return n == -EAGAIN || n == -EINTR;
	keep_passed(client, fds, nr_fds);
	client->used += (size_t)n;
	return true;
}

static void client_ready(void *user, uint32_t events)
{
	struct ctl_client *client = user;

	client_heard(&client->client);
	if (client->answer) {
		send_answer(client);
		return;
	}
	if (!client->request)
		client->request = malloc(MAX_REQUEST);
	if (!client->request || client->wait.look || events & EPOLLERR ||
	    (client->used < MAX_REQUEST && !receive(client)))
		close_client(client);
	else
		go_on(client);
}

/* --- new clients --- */

/* Close a client that asks nothing to make room: the one that has been silent for longest. */
static bool make_room(struct ctl *ctl)
{
	struct client *each;

	if (!clients_are_full(&ctl->clients))
		return true;
	TAILQ_FOREACH(each, &ctl->clients.list, link) {
		const struct ctl_client *client = ctl_client_of(each);

		if (client->answer || client->wait.look || client->hold.look || client->used)
			continue;
		client_close(each);
		return true;
	}
	return false;
}

static void somebody_came(void *user, int fd)
{
	struct ctl *ctl = user;
	struct ctl_client *client = make_room(ctl) ? calloc(1, sizeof(*client)) : NULL;

	if (!client || client_add(&ctl->clients, &client->client, fd, client_ready, client)) {
		free(client);
		close(fd);
		return;
	}
	client->ctl = ctl;
	client->passed = -1;
}

/* --- life --- */

int ctl_new(const struct ctl_setup *setup, struct ctl **ret)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int err;

	if (!ctl)
		return -ENOMEM;
	ctl->setup = *setup;
	clients_init(&ctl->clients, setup->loop, MAX_CLIENTS, is_closed);
	loop_tick_add(setup->loop, &ctl->tick, look_at_holds, ctl);
	err = listener_open(&ctl->listener, setup->loop, setup->runtime_dir, "ctl", somebody_came,
			    ctl);
	if (err)
		ctl_free(ctl);
	else
		*ret = ctl;
	return err;
}

struct ctl *ctl_free(struct ctl *ctl)
{
	if (!ctl)
		return NULL;
	loop_tick_remove(&ctl->tick);
	clients_close(&ctl->clients);
	listener_close(&ctl->listener);
	free(ctl);
	return NULL;
}
