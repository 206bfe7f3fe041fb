/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "blkback/nbd_dial.h"
#include "blkback/nbd_fence.h"

#define DEAD_PEER_MS 20000 /* TCP data may stay unacknowledged this long */

static int __attribute__((format(printf, 3, 4)))
say(struct nbd_dial *dial, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(dial->why, sizeof(dial->why), fmt, ap);
	va_end(ap);
	return err;
}

/* If the server's host vanishes, only TCP can find out. */
static void watch_peer(int fd)
{
	const int on = 1, idle_s = 10, limit_ms = DEAD_PEER_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms));
}

/* 0 with *ret_fd, or -errno. */
static int connect_to(int family, const struct sockaddr *address, socklen_t len, int *ret_fd)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (connect(fd, address, len) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int connect_unix(struct nbd_dial *dial, int *ret_fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int err;

	strcpy(un.sun_path, dial->name.where);
	err = connect_to(AF_UNIX, (const struct sockaddr *)&un, sizeof(un), ret_fd);
	return err ? say(dial, err, "%s", strerror(-err)) : 0;
}

/* Connect to the first of the host's addresses that answers. */
static int connect_tcp(struct nbd_dial *dial, int *ret_fd)
{
	const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *all;
	char port[8];
	int ret, err = -EHOSTUNREACH;

	snprintf(port, sizeof(port), "%u", dial->name.port);
	ret = getaddrinfo(dial->name.where, port, &wanted, &all);
	if (ret)
		return say(dial, err, "%s cannot be looked up: %s", dial->name.where,
			   gai_strerror(ret));
	for (const struct addrinfo *at = all; at && err; at = at->ai_next)
		err = connect_to(at->ai_family, at->ai_addr, at->ai_addrlen, ret_fd);
	freeaddrinfo(all);
	if (err)
		return say(dial, err, "%s", strerror(-err));
	watch_peer(*ret_fd);
	return 0;
}

static int answer(void *question)
{
	struct nbd_dial *dial = question;
	int fence = nbd_fence(&dial->name), fd = -1;

	dial->fenced = fence == 0;
	if (fence == -EBUSY)
		dial->err = say(dial, fence, "an earlier connection is not over");
	else
		dial->err = (dial->name.is_unix ? connect_unix : connect_tcp)(dial, &fd);
	return fd;
}

const struct opener_kind nbd_dial_kind = { sizeof(struct nbd_dial), answer };
