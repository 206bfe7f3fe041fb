/* SPDX-License-Identifier: MIT */
/* Captures and traces: they last as long as the command does. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/cli.h"
#include "ctl/json.h"
#include "ctl/text.h"

#define NONE        (-1)
#define TRACE_MAX   4096u /* longer than any line */
#define TRACE_BATCH 256u
#define TRACE_ROOM  (4 << 20)

/* Block the signals. They are then read from the returned descriptor. */
static int hear_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void say_member(struct json_object *result, const char *name)
{
	char *text = strdup(json_text(result, name));

	text_clean(text);
	if (*text)
		warnx("%s", text);
	free(text);
}

/* The daemon has ended the capture or trace, and says why. */
static int hear_end(struct cli *cli)
{
	struct json_object *result;
	int status = cli_hear(cli, &result);

	if (status)
		return status;
	say_member(result, "text");
	json_object_put(result);
	return CLI_OK;
}

/*
 * Wait until a signal comes, the time is over, nobody reads `to` (a descriptor or NONE) any more, or the daemon ends
 * it. Only in the last case *ret_over is true.
 */
static int wait_for_end(struct cli *cli, int signals, int to, bool *ret_over)
{
	struct pollfd pfds[] = { { .fd = cli->conn.fd, .events = POLLIN },
				 { .fd = signals, .events = POLLIN },
				 { .fd = to } };
	int nr = poll(pfds, 3, cli->seconds ? (int)cli->seconds * 1000 : -1);

	if (nr < 0)
		warn("poll");
	*ret_over = nr > 0 && pfds[0].revents;
	return nr < 0 ? CLI_FAILED : *ret_over ? hear_end(cli) : CLI_OK;
}

static int turn_on(struct cli *cli, int fd)
{
	struct json_object *request = cli_request(cli), *result;
	int status;

	json_object_object_add(request, "on", json_object_new_boolean(true));
	status = cli_ask_with(cli, request, fd, CLI_PATIENCE_S, &result);
	if (status)
		return status;
	say_member(result, "note");
	json_object_put(result);
	return CLI_OK;
}

/* A trace ends for all devices. */
static int turn_off(struct cli *cli)
{
	struct json_object *request = json_object_new_object(), *result;
	int status;

	json_object_object_add(request, "command", json_object_new_string(cli->command->name));
	if (cli->command->run == cli_capture)
		json_object_object_add(request, "device", json_object_new_string(cli->words[0]));
	json_object_object_add(request, "on", json_object_new_boolean(false));
	status = cli_ask(cli, request, &result);
	if (!status)
		json_object_put(result);
	return status;
}

/* Turn it on, wait for the end, and turn it off. */
static int watch(struct cli *cli, int fd, const char *notice)
{
	int signals = hear_signals(), status = turn_on(cli, fd);
	bool over;

	if (!status) {
		if (isatty(STDERR_FILENO))
			warnx("%s", notice);
		status = wait_for_end(cli, signals, fd, &over);
		if (!status && !over)
			status = turn_off(cli);
	}
	close(signals);
	return status;
}

/* --- captures --- */

/* The admin's path may lead to storage that hangs. The daemon must not hang, so pvbackctl opens the file. */
static int open_capture(const struct cli *cli, int *ret)
{
	const char *path = cli->nr_words > 1 ? cli->words[1] : "-";

	*ret = STDOUT_FILENO;
	if (strcmp(path, "-")) {
		*ret = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (*ret < 0)
			warn("%s", path);
		return *ret < 0 ? CLI_FAILED : CLI_OK;
	}
	if (!isatty(STDOUT_FILENO))
		return CLI_OK;
	warnx("a capture is nothing for a terminal: name a file, or let a program read it: "
	      "pvbackctl "
	      "capture %s | tshark -i -",
	      cli->words[0]);
	return CLI_USAGE;
}

int cli_capture(struct cli *cli)
{
	int fd, status = open_capture(cli, &fd);

	if (status)
		return status;
	status = watch(cli, fd, "capturing; Ctrl-C ends it");
	if (fd != STDOUT_FILENO)
		close(fd);
	return status;
}

/* --- traces --- */

/* Make a socket pair. The daemon and the guests' processes write lines to one end, and pvbackctl reads the other. */
static int make_line(int ret[2])
{
	const int room = TRACE_ROOM;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0) {
		warn("no socket for the traces");
		return CLI_FAILED;
	}
	/* Room for the lines that come while we print. */
	if (setsockopt(ret[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(ret[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return CLI_OK;
}

/* Print the lines that have come. False at the end. */
static bool print_traces(const struct cli *cli, int from)
{
	char text[TRACE_MAX + 1];
	unsigned int nr = TRACE_BATCH;
	ssize_t len = 0;

	while (nr-- && (len = recv(from, text, TRACE_MAX, MSG_DONTWAIT)) > 0) {
		text[len] = '\0';
		text_clean(text);
		fprintf(cli->out, "%s\n", text);
	}
	return fflush(cli->out) == 0 && (len > 0 || (len < 0 && errno == EAGAIN));
}

static int print_until_end(struct cli *cli, int signals, int from)
{
	int64_t until_ms = cli->seconds ? conn_now_ms() + (int64_t)cli->seconds * 1000 : INT64_MAX;
	struct pollfd pfds[] = { { .fd = cli->conn.fd, .events = POLLIN },
				 { .fd = signals, .events = POLLIN },
				 { .fd = from, .events = POLLIN } };
	int64_t left;

	while ((left = until_ms - conn_now_ms()) > 0) {
		if (poll(pfds, 3, left < INT_MAX ? (int)left : -1) < 0 && errno != EINTR)
			break;
		if (pfds[0].revents)
			return hear_end(cli);
		if (pfds[1].revents)
			break;
		if (!print_traces(cli, from))
			pfds[2].fd = NONE; /* the daemon then says why */
	}
	print_traces(cli, from);
	return CLI_OK;
}

static int trace_here(struct cli *cli)
{
	int signals = hear_signals(), line[2], status = make_line(line);

	if (!status) {
		status = turn_on(cli, line[1]);
		close(line[1]);
	}
	if (!status)
		status = print_until_end(cli, signals, line[0]);
	close(line[0]);
	close(signals);
	return status;
}

int cli_trace(struct cli *cli)
{
	if (cli->given & CLI_OFF)
		return turn_off(cli);
	if (!(cli->given & CLI_LOG))
		return trace_here(cli);
	return watch(cli, NONE,
		     "tracing into the daemon's log (journalctl -fu pvbackd); Ctrl-C ends it");
}
