/* SPDX-License-Identifier: MIT */
/* qemu-nbd for a disk; see server.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hotplug/aside.h"
#include "hotplug/server.h"

#define SOCKET_MAX     108 /* sizeof(sun_path) */
#define EXIT_NO_BINARY 127

const char *hotplug_server_driver(const char *format, size_t len)
{
	static const struct {
		const char *format;
		const char *driver;
	} formats[] = {
		{ "qcow2", "qcow2" }, { "vhd", "vpc" },   { "vpc", "vpc" },
		{ "vhdx", "vhdx" },   { "vmdk", "vmdk" },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strlen(formats[i].format) == len &&
		    strncmp(formats[i].format, format, len) == 0)
			return formats[i].driver;
	return NULL;
}

struct places {
	char socket[PATH_MAX];
	char pid_file[PATH_MAX];
};

static void places_of(const struct hotplug_request *req, struct places *ret)
{
	snprintf(ret->socket, sizeof(ret->socket), "%s/%s-%u-%u.nbd", req->runtime_dir, req->kind,
		 req->domid, req->devid);
	snprintf(ret->pid_file, sizeof(ret->pid_file), "%s/%s-%u-%u.pid", req->runtime_dir,
		 req->kind, req->domid, req->devid);
}

void hotplug_server_name(const struct hotplug_request *req, char *buf, size_t size)
{
	struct places places;

	places_of(req, &places);
	snprintf(buf, size, "%s%s",
		 strcmp(req->kind, "vbd3") == 0 ? "" : "nbd:unix:", places.socket);
}

/* --- stopping --- */

/* Whether the process is the server on that socket: pids are used again. */
static bool is_server(pid_t pid, const char *socket)
{
	char path[64], text[2 * PATH_MAX], wanted[PATH_MAX + 16];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	snprintf(wanted, sizeof(wanted), "--socket=%s", socket);
	return memmem(text, (size_t)n, wanted, strlen(wanted) + 1) != NULL;
}

static pid_t read_pid(const char *path)
{
	FILE *file = fopen(path, "re");
	int pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

/* True when it has ended, or did not exist. */
static bool end_process(pid_t pid, const char *socket)
{
	struct pollfd ended = { .events = POLLIN };
	bool gone = true;

	ended.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ended.fd < 0)
		return true;
	/* The descriptor is of this process only, so the signal cannot hit another one. */
	if (is_server(pid, socket)) {
		syscall(SYS_pidfd_send_signal, ended.fd, SIGTERM, NULL, 0);
		gone = poll(&ended, 1, (int)hotplug_seconds_left(HOTPLUG_SERVER_LIMIT_S) * 1000) ==
		       1;
	}
	close(ended.fd);
	return gone;
}

int hotplug_server_stop(const struct hotplug_request *req, struct hotplug_failure *failure)
{
	struct places places;
	pid_t pid;

	places_of(req, &places);
	pid = read_pid(places.pid_file);
	if (pid > 0 && !end_process(pid, places.socket))
		return hotplug_fail(
			failure, -ETIMEDOUT,
			"qemu-nbd (process %d) does not end; its storage may hang: look at it, "
			"then kill it",
			(int)pid);
	unlink(places.pid_file);
	unlink(places.socket);
	return 0;
}

/* --- starting --- */

static bool takes_direct(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Does not return. The server's error messages go to `said`. */
static void exec_server(const struct places *places, const char *driver, const char *path,
			bool read_only, int said)
{
	bool direct = takes_direct(path);
	char socket[PATH_MAX + 16], pid_file[PATH_MAX + 16], format[32];
	char *argv[] = { (char *)"qemu-nbd",
			 (char *)"--fork",
			 (char *)"--persistent",
			 (char *)"--shared=0", /* QEMU's emulated disk is a second client */
			 (char *)"--discard=unmap",
			 (char *)(direct ? "--cache=none" : "--cache=writeback"),
			 (char *)(direct ? "--aio=native" : "--aio=threads"),
			 format,
			 socket,
			 pid_file,
			 (char *)(read_only ? "--read-only" : "--"),
			 (char *)(read_only ? "--" : path),
			 (char *)(read_only ? path : NULL),
			 NULL };

	snprintf(format, sizeof(format), "--format=%s", driver);
	snprintf(socket, sizeof(socket), "--socket=%s", places->socket);
	snprintf(pid_file, sizeof(pid_file), "--pid-file=%s", places->pid_file);
	if (dup2(said, STDERR_FILENO) < 0)
		_exit(EXIT_FAILURE);
	syscall(SYS_close_range, 3u, ~0u, 0u); /* the server must not inherit our lock */
	execvp(argv[0], argv);
	_exit(errno == ENOENT ? EXIT_NO_BINARY : EXIT_FAILURE);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/*
 * qemu-nbd --fork ends when its server can be connected to, or after it has said why not. Returns its exit status, or
 * -errno.
 */
static int wait_for(pid_t pid)
{
	const struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART */
	int status, err = 0;

	sigaction(SIGALRM, &action, NULL);
	alarm(hotplug_seconds_left(HOTPLUG_SERVER_LIMIT_S));
	if (waitpid(pid, &status, 0) < 0) {
		err = -ETIMEDOUT;
		kill(pid, SIGKILL); /* it ends when its storage allows */
	}
	alarm(0);
	return err ? err : WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* The first line of its messages, without its name. */
static void read_words(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);
	static const char name[] = "qemu-nbd: ";

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (strncmp(buf, name, strlen(name)) == 0)
		memmove(buf, buf + strlen(name), strlen(buf + strlen(name)) + 1);
}

static int judge(int status, int said, const char *path, struct hotplug_failure *failure)
{
	char words[400];

	if (status == 0)
		return 0;
	if (status == EXIT_NO_BINARY)
		return hotplug_fail(failure, -ENOENT,
				    "%s needs qemu-nbd, which is not there; install qemu-utils",
				    path);
	if (status == -ETIMEDOUT)
		return hotplug_fail(failure, -ETIMEDOUT,
				    "qemu-nbd does not come to open %s; is its storage there?",
				    path);
	read_words(said, words, sizeof(words));
	return hotplug_fail(failure, -EIO, "qemu-nbd cannot serve %s: %s", path,
			    *words ? words : "it does not say why");
}

int hotplug_server_start(const struct hotplug_request *req, const char *driver, const char *path,
			 bool read_only, struct hotplug_failure *failure)
{
	struct hotplug_failure ignored;
	struct places places;
	pid_t pid;
	int said, err = hotplug_server_stop(req, failure);

	if (err)
		return err;
	places_of(req, &places);
	if (strlen(places.socket) >= SOCKET_MAX)
		return hotplug_fail(failure, -ENAMETOOLONG,
				    "%s is too long for a socket; use a shorter --runtime-dir",
				    places.socket);
	said = memfd_create("qemu-nbd", MFD_CLOEXEC);
	pid = said < 0 ? -1 : fork();
	if (pid == 0)
		exec_server(&places, driver, path, read_only, said);
	if (pid < 0)
		err = hotplug_fail(failure, -errno, "qemu-nbd cannot be started: %s",
				   strerror(errno));
	else
		err = judge(wait_for(pid), said, path, failure);
	if (said >= 0)
		close(said);
	if (err)
		hotplug_server_stop(req, &ignored); /* its socket may be there already */
	return err;
}
