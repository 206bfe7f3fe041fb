/* SPDX-License-Identifier: MIT */
/*
 * like-systemd SOCKET LIMIT_MS COMMAND... - run a service as systemd does with Type=notify,
 * WatchdogSec= and Restart=always.
 *
 * The command gets NOTIFY_SOCKET and WATCHDOG_USEC. Each message that it sends there is printed as a line. When it has not sent
 * WATCHDOG=1 for LIMIT_MS, it is killed. It is started again, without XENSIM_FAIL, until it ends with status 0. SIGTERM is
 * passed on to it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static void pass_on(int sig)
{
	kill(child, sig);
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static void start(char **command)
{
	child = fork();
	if (child)
		return;
	execv(command[0], command);
	perror(command[0]);
	_exit(127);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Read one message; true if it is for the watchdog. */
static bool hear(int fd)
{
	char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	printf("%s%s", text, text[n - 1] == '\n' ? "" : "\n");
	return strstr(text, "WATCHDOG=1") != NULL;
}

/* Wait until the command ends, or kill it when it has been silent for too long. Returns its status. */
static int attend(int fd, int limit_ms)
{
	int64_t fed = now_ms();
	int status;

	while (waitpid(child, &status, WNOHANG) != child) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 20) > 0 && hear(fd))
			fed = now_ms();
		if (now_ms() - fed < limit_ms)
			continue;
		puts("it hangs, and is killed");
		kill(child, SIGKILL);
		fed = now_ms();
	}
	return status;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	char usec[32];
	int fd;

	if (argc < 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = listen_at(argv[1]);
	snprintf(usec, sizeof(usec), "%d000", atoi(argv[2]));
	setenv("NOTIFY_SOCKET", argv[1], 1);
	setenv("WATCHDOG_USEC", usec, 1);
	sigaction(SIGTERM, &sa, NULL);
	do {
		start(argv + 3);
		unsetenv("XENSIM_FAIL");
	} while (attend(fd, atoi(argv[2])) != 0);
	return 0;
}
