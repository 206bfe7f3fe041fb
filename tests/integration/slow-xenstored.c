/* SPDX-License-Identifier: MIT */
/*
 * slow-xenstored SOCKET XENSTORED - a proxy between a program and xenstored.
 *
 * It passes on what comes to SOCKET and to XENSTORED. After SIGUSR1 it holds back the program's requests, like a xenstored that
 * does not answer; after SIGUSR2 it passes them on again. At SIGHUP it closes all connections, as when xenstored is replaced.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_LINKS = 64, SIGNALS, LISTENER, FIRST };

static struct pollfd fds[FIRST + 2 * MAX_LINKS]; /* a program's end, then xenstored's; -1: free */
static bool holding;

static int unix_socket(const char *path, int (*fn)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || fn(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void accept_one(const char *xenstored)
{
	int fd = accept(fds[LISTENER].fd, NULL, NULL);

	for (int i = FIRST; fd >= 0 && i < FIRST + 2 * MAX_LINKS; i += 2)
		if (fds[i].fd < 0) {
			fds[i].fd = fd;
			fds[i + 1].fd = unix_socket(xenstored, connect);
			return;
		}
}

static void end(int i)
{
	close(fds[i].fd);
	close(fds[i + 1].fd);
	fds[i].fd = fds[i + 1].fd = -1;
}

/* False when the connection has ended. */
static bool pass_on(int from, int to)
{
	char buf[65536];
	ssize_t n = read(from, buf, sizeof(buf));

	return n > 0 && send(to, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void serve_link(int i)
{
	if (fds[i].fd >= 0 && fds[i].revents && !pass_on(fds[i].fd, fds[i + 1].fd))
		end(i);
	if (fds[i].fd >= 0 && fds[i + 1].revents && !pass_on(fds[i + 1].fd, fds[i].fd))
		end(i);
}

static void hear_signal(void)
{
	struct signalfd_siginfo info;

	if (read(fds[SIGNALS].fd, &info, sizeof(info)) != sizeof(info))
		return;
	holding = info.ssi_signo == SIGUSR1;
	for (int i = FIRST; info.ssi_signo == SIGHUP && i < FIRST + 2 * MAX_LINKS; i += 2)
		if (fds[i].fd >= 0)
			end(i);
}

int main(int argc, char **argv)
{
	sigset_t set;

	if (argc != 3)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < FIRST + 2 * MAX_LINKS; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	fds[SIGNALS].fd = signalfd(-1, &set, SFD_CLOEXEC);
	unlink(argv[1]);
	fds[LISTENER].fd = unix_socket(argv[1], bind);
	if (listen(fds[LISTENER].fd, 16) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (int i = 0; i < FIRST + 2 * MAX_LINKS; i++)
			fds[i].events = holding && i >= FIRST && (i - FIRST) % 2 == 0 ? 0 : POLLIN;
		if (poll(fds, FIRST + 2 * MAX_LINKS, -1) < 0 && errno != EINTR)
			return 1;
		for (int i = FIRST; i < FIRST + 2 * MAX_LINKS; i += 2)
			serve_link(i);
		if (fds[LISTENER].revents)
			accept_one(argv[2]);
		if (fds[SIGNALS].revents)
			hear_signal();
	}
}
