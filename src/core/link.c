/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fdpass.h"
#include "core/link.h"

#define MAX_KEPT 4096u /* messages; an end that reads so few hangs */
#define MAX_KEPT_FDS                                                                               \
	256u /* descriptors that are kept with messages: other guests need descriptors, too */
#define TAKEN_IN_A_ROW 64u /* then other watches of the loop have their turn */

struct kept {
	STAILQ_ENTRY(kept) link;
	int fds[MESSAGE_MAX_FDS]; /* owned */
	unsigned int nr_fds;
	size_t size;
	uint8_t bytes[];
};

struct link {
	struct link_setup setup;
	struct loop_watch *watch;
	STAILQ_HEAD(, kept) kept;
	unsigned int nr_kept, nr_kept_fds;
	bool rests; /* link_rest() */
	bool ended; /* ended() was called, or will be */
	bool busy;  /* in a callback of ours: link_free() only marks it */
	bool freed;
	int end_err;
	struct loop_timer end_timer; /* so that ended() is never called from within link_send() */
};

static void close_fds(const int *fds, unsigned int nr_fds)
{
	for (unsigned int i = 0; i < nr_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void watch_socket(struct link *link)
{
	uint32_t events = link->rests ? 0 : EPOLLIN;

	loop_modify(link->setup.loop, link->watch, link->nr_kept ? events | EPOLLOUT : events);
}

/* --- the end --- */

static void forget_first(struct link *link)
{
	struct kept *kept = STAILQ_FIRST(&link->kept);

	STAILQ_REMOVE_HEAD(&link->kept, link);
	link->nr_kept--;
	link->nr_kept_fds -= kept->nr_fds;
	close_fds(kept->fds, kept->nr_fds);
	free(kept);
}

static void forget_kept(struct link *link)
{
	while (!STAILQ_EMPTY(&link->kept))
		forget_first(link);
}

static void say_ended(void *user)
{
	struct link *link = user;

	link->setup.ended(link->setup.user, link->end_err);
}

static void end(struct link *link, int err)
{
	if (link->ended)
		return;
	link->ended = true;
	link->end_err = err;
	link->watch = loop_remove(link->setup.loop, link->watch);
	forget_kept(link);
	loop_timer_set(link->setup.loop, &link->end_timer, 0, say_ended, link);
}

/* --- sending --- */

/* 0 or -errno. */
static int send_now(int fd, const void *bytes, size_t size, const int *fds, unsigned int nr_fds)
{
	const struct iovec iov = { (void *)(uintptr_t)bytes, size };

	return fdpass_send(fd, &iov, 1, fds, nr_fds, MSG_DONTWAIT);
}

static void keep(struct link *link, const struct message *message, size_t size, const int *fds,
		 unsigned int nr_fds)
{
	bool fits = link->nr_kept < MAX_KEPT && link->nr_kept_fds + nr_fds <= MAX_KEPT_FDS;
	struct kept *kept = fits ? malloc(sizeof(*kept) + size) : NULL;

	if (!kept) {
		end(link, -ENOBUFS);
		return;
	}
	kept->size = size;
	memcpy(kept->bytes, message, size);
	for (kept->nr_fds = 0; kept->nr_fds < nr_fds; kept->nr_fds++)
		kept->fds[kept->nr_fds] = fcntl(fds[kept->nr_fds], F_DUPFD_CLOEXEC, 0);
	STAILQ_INSERT_TAIL(&link->kept, kept, link);
	link->nr_kept_fds += nr_fds;
	if (link->nr_kept++ == 0)
		watch_socket(link);
}

void link_send(struct link *link, const struct message *message, const int *fds,
	       unsigned int nr_fds)
{
	size_t size = message_bytes(message->type);
	int err = -EAGAIN;

	if (link->ended)
		return;
	if (STAILQ_EMPTY(&link->kept))
		err = send_now(link->setup.fd, message, size, fds, nr_fds);
	if (err == -EAGAIN)
		keep(link, message, size, fds, nr_fds);
	else if (err)
		end(link, err);
}

static void send_kept(struct link *link)
{
	struct kept *kept;
	int err = 0;

	while (!err && (kept = STAILQ_FIRST(&link->kept))) {
		err = send_now(link->setup.fd, kept->bytes, kept->size, kept->fds, kept->nr_fds);
		if (!err)
			forget_first(link);
	}
	if (!err)
		watch_socket(link);
	else if (err != -EAGAIN)
		end(link, err);
}

/* --- receiving --- */

/* One message. 0; -EAGAIN when there is none; else -errno. */
static int receive(struct link *link)
{
	struct message message;
	const struct iovec iov = { &message, sizeof(message) };
	int fds[MESSAGE_MAX_FDS];
	unsigned int nr_fds = MESSAGE_MAX_FDS;
	ssize_t n = fdpass_receive(link->setup.fd, &iov, 1, fds, &nr_fds, MSG_DONTWAIT);
	int err;

	if (n <= 0)
		return n ? (int)n : -EPIPE;
	err = message_check(&message, (size_t)n, nr_fds, link->setup.other);
	if (!err)
		link->setup.received(link->setup.user, &message, fds, nr_fds);
	close_fds(fds, nr_fds);
	return err;
}

static bool may_take(const struct link *link)
{
	return !link->rests && !link->ended && !link->freed;
}

static void socket_ready(void *user, uint32_t events)
{
	struct link *link = user;
	int err = 0;

	link->busy = true;
	if (events & EPOLLOUT)
		send_kept(link);
	if (link->rests && events & EPOLLHUP)
		err = -EPIPE;
	for (unsigned int i = 0; i < TAKEN_IN_A_ROW && !err && may_take(link); i++)
		err = receive(link);
	link->busy = false;
	if (err && err != -EAGAIN && err != -EINTR)
		end(link, err);
	if (link->freed)
		link_free(link);
}

void link_rest(struct link *link, bool rest)
{
	if (link->ended || link->rests == rest)
		return;
	link->rests = rest;
	watch_socket(link);
}

/* --- life --- */

struct link *link_new(const struct link_setup *setup)
{
	struct link *link = calloc(1, sizeof(*link));

	if (link) {
		link->setup = *setup;
		STAILQ_INIT(&link->kept);
		link->watch = loop_add(setup->loop, setup->fd, EPOLLIN, socket_ready, link);
	}
	if (link && link->watch)
		return link;
	free(link);
	close(setup->fd);
	return NULL;
}

struct link *link_free(struct link *link)
{
	if (!link)
		return NULL;
	loop_timer_cancel(&link->end_timer);
	link->ended = true;
	if (link->busy) {
		link->freed = true;
		return NULL;
	}
	link->watch = loop_remove(link->setup.loop, link->watch);
	forget_kept(link);
	close(link->setup.fd);
	free(link);
	return NULL;
}

int link_pair(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}
