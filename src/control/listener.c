/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/listener.h"

#define BACKLOG 16

static bool may_ask(struct listener *listener, int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	    (peer.uid == 0 || peer.uid == geteuid()))
		return true;
	if (log_allow(&listener->refusals, listener->name))
		log_warning("user %u has asked at the socket %s, and is not answered", peer.uid,
			    listener->name);
	return false;
}

static void somebody_came(void *user, uint32_t events)
{
	struct listener *listener = user;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (may_ask(listener, fd))
		listener->came(listener->user, fd);
	else
		close(fd);
}

static int listen_at(struct listener *listener, const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	listener->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->dir < 0 || listener->fd < 0)
		return -errno;
	/* The directory's own path may be too long for a socket's address. */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", listener->dir,
		 listener->name);
	unlinkat(listener->dir, listener->name, 0);
	if (fchmod(listener->fd, 0600) < 0 ||
	    bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener->fd, BACKLOG) < 0)
		return -errno;
	listener->watch = loop_add(listener->loop, listener->fd, EPOLLIN, somebody_came, listener);
	return listener->watch ? 0 : -errno;
}

int listener_open(struct listener *listener, struct loop *loop, const char *dir, const char *name,
		  void (*came)(void *user, int fd), void *user)
{
	int err;

	*listener = (struct listener){
		.loop = loop, .name = name, .fd = -1, .dir = -1, .came = came, .user = user
	};
	err = listen_at(listener, dir);
	if (err)
		listener_close(listener);
	return err;
}

void listener_close(struct listener *listener)
{
	if (!listener->loop)
		return;
	if (listener->watch)
		unlinkat(listener->dir, listener->name, 0);
	listener->watch = loop_remove(listener->loop, listener->watch);
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->dir >= 0)
		close(listener->dir);
	listener->loop = NULL;
}
