/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/fdpass.h"
#include "ctl/conn.h"

#define ANSWER_MAX ((size_t)256 << 20) /* far more than the figures of the largest host */

int conn_open(struct conn *conn, const char *runtime_dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int len = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ctl", runtime_dir);
	int err;

	if (len < 0 || (size_t)len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return -errno;
	if (connect(conn->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return 0;
	err = -errno;
	conn_close(conn);
	return err;
}

void conn_close(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
}

int64_t conn_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A request is small, and all earlier ones have been answered. So the socket has room, and takes it in one piece. */
static int send_request(const struct conn *conn, struct json_object *request, int fd)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	char end[] = "\n";
	const struct iovec iov[] = { { (void *)(uintptr_t)text, strlen(text) }, { end, 1 } };
	int err = fdpass_send(conn->fd, iov, 2, &fd, fd >= 0, 0);

	return err == -EPIPE ? -ECONNRESET : err;
}

/* Wait until there is something to read, or the time is over. */
static int wait_for(const struct conn *conn, int64_t until_ms)
{
	struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };
	int64_t left = until_ms - conn_now_ms();
	int nr;

	if (left <= 0)
		return -ETIMEDOUT;
	nr = poll(&pfd, 1, (int)left);
	if (nr < 0)
		return errno == EINTR ? 0 : -errno;
	return nr == 0 ? -ETIMEDOUT : 0;
}

struct line {
	char *text; /* owned */
	size_t len, room;
};

static int make_room(struct line *line)
{
	size_t room = line->room ? line->room * 2 : 64 << 10;
	char *text = line->len < line->room ? line->text : realloc(line->text, room);

	if (!text)
		return -ENOMEM;
	if (line->len == line->room)
		line->room = room;
	line->text = text;
	return line->room > ANSWER_MAX ? -EBADMSG : 0;
}

/* Read what is there, but nothing behind the end of the line. Returns as recv() does. */
static ssize_t take(const struct conn *conn, char *to, size_t room)
{
	ssize_t there = recv(conn->fd, to, room, MSG_DONTWAIT | MSG_PEEK);
	const char *end = there > 0 ? memchr(to, '\n', (size_t)there) : NULL;

	if (there <= 0)
		return there;
	return recv(conn->fd, to, end ? (size_t)(end - to) + 1 : (size_t)there, MSG_DONTWAIT);
}

/* Read one line, without its newline. */
static int read_line(const struct conn *conn, struct line *line, int64_t until_ms)
{
	for (;;) {
		int err = make_room(line);
		ssize_t got;

		if (!err)
			err = wait_for(conn, until_ms);
		if (err)
			return err;
		got = take(conn, line->text + line->len, line->room - line->len);
		if (got == 0)
			return -ECONNRESET;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (got < 0)
			continue;
		line->len += (size_t)got;
		if (line->text[line->len - 1] == '\n') {
			line->text[line->len - 1] = '\0';
			return 0;
		}
	}
}

int conn_hear(struct conn *conn, unsigned int seconds, struct json_object **ret)
{
	struct line line = { 0 };
	struct json_object *answer;
	int err = read_line(conn, &line, conn_now_ms() + (int64_t)seconds * 1000);

	answer = err ? NULL : json_tokener_parse(line.text);
	free(line.text);
	if (err)
		return err;
	if (!json_object_is_type(answer, json_type_object)) {
		json_object_put(answer);
		return -EBADMSG;
	}
	*ret = answer;
	return 0;
}

int conn_ask(struct conn *conn, struct json_object *request, int fd, unsigned int seconds,
	     struct json_object **ret)
{
	int err = send_request(conn, request, fd);

	return err ? err : conn_hear(conn, seconds, ret);
}
