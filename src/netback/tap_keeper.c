/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fdpass.h"
#include "core/log.h"
#include "netback/tap_keeper.h"

#define SOCKET_NAME "taps"
#define PATIENCE_S  2

/* A daemon may find an older one's keeper, so this protocol must not change. */
enum op { OP_KEEP = 1, OP_TAKE = 2, OP_DROP = 3 };
/* A message is answered by one with the same `op`. The answer to TAKE has the descriptors. */
struct message {
	uint32_t op;
	uint32_t domid;
	uint32_t devid;
	uint32_t nr_fds; /* that come with the message */
};

/* --- messages with descriptors --- */

static int send_message(int fd, const struct message *message, const int *fds)
{
	const struct iovec iov = { (void *)(uintptr_t)message, sizeof(*message) };

	return fdpass_send(fd, &iov, 1, fds, message->nr_fds, 0);
}

static void close_all(const int *fds, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		close(fds[i]);
}

/* 0 with `nr_fds` descriptors, which the caller owns, or -errno: -ECONNRESET when the other side is gone. */
static int receive_message(int fd, struct message *ret, int ret_fds[TAP_MAX_QUEUES])
{
	const struct iovec iov = { ret, sizeof(*ret) };
	unsigned int nr = TAP_MAX_QUEUES;
	ssize_t n = fdpass_receive(fd, &iov, 1, ret_fds, &nr, 0);

	if (n <= 0)
		return n ? (int)n : -ECONNRESET;
	if (n == (ssize_t)sizeof(*ret) && ret->nr_fds == nr)
		return 0;
	close_all(ret_fds, nr);
	return -EPROTO;
}

/* --- the keeper --- */

struct kept {
	LIST_ENTRY(kept) link;
	struct message of;
	int fds[TAP_MAX_QUEUES];
};

static LIST_HEAD(, kept) all_kept;

static struct kept *find(const struct message *of)
{
	struct kept *kept;

	LIST_FOREACH(kept, &all_kept, link)
		if (kept->of.domid == of->domid && kept->of.devid == of->devid)
			return kept;
	return NULL;
}

static void drop(struct kept *kept)
{
	if (!kept)
		return;
	LIST_REMOVE(kept, link);
	close_all(kept->fds, kept->of.nr_fds);
	free(kept);
}

static void keep(const struct message *message, const int *fds)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept) {
		close_all(fds, message->nr_fds);
		return;
	}
	drop(find(message));
	kept->of = *message;
	memcpy(kept->fds, fds, message->nr_fds * sizeof(int));
	LIST_INSERT_HEAD(&all_kept, kept, link);
}

static int answer(int fd)
{
	struct message message, reply;
	int fds[TAP_MAX_QUEUES];
	const struct kept *kept = NULL;
	int err = receive_message(fd, &message, fds);

	if (err)
		return err;
	if (message.op == OP_KEEP)
		keep(&message, fds);
	else
		close_all(fds, message.nr_fds);
	if (message.op == OP_DROP)
		drop(find(&message));
	if (message.op == OP_TAKE)
		kept = find(&message);
	reply = message;
	reply.nr_fds = kept ? kept->of.nr_fds : 0;
	return send_message(fd, &reply, kept ? kept->fds : NULL);
}

/* Serve one daemon after the other. */
static void serve(int listener)
{
	int daemon = -1;

	for (;;) {
		struct pollfd polls[2] = { { .fd = listener, .events = POLLIN },
					   { .fd = daemon, .events = POLLIN } };

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return;
		if (polls[1].revents && answer(daemon)) {
			close(daemon);
			daemon = -1;
			if (LIST_EMPTY(&all_kept) && !polls[0].revents)
				return;
		}
		if (polls[0].revents) {
			close(daemon);
			daemon = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		}
	}
}

/*
 * The keeper must not keep the daemon's descriptors open: its lock, for one. The daemon's other threads do not exist
 * here, and locks that they held stay locked. So nothing is logged.
 */
static void become_keeper(int listener)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	setsid();
	prctl(PR_SET_NAME, "pvbackd-taps");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	dup2(listener, 3);
	closefrom(4);
	if (chdir("/") == 0)
		serve(3);
	_exit(0);
}

/* --- the daemon --- */

static int keeper = -1; /* the socket; -1: no keeper */

static int address_of(const char *dir, struct sockaddr_un *ret)
{
	ret->sun_family = AF_UNIX;
	return snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/" SOCKET_NAME, dir) <
			       (int)sizeof(ret->sun_path)
		       ? 0
		       : -ENAMETOOLONG;
}

static int connect_to(const struct sockaddr_un *address)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
		keeper = fd;
		return 0;
	}
	close(fd);
	return -errno;
}

/* The keeper is nobody's child, as the daemon never waits for its end. */
static int fork_detached(int listener)
{
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		if (fork() == 0)
			become_keeper(listener);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return 0;
}

static int fork_keeper(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	unlink(address->sun_path);
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, 1) < 0)
		err = -errno;
	if (!err)
		err = fork_detached(fd);
	close(fd);
	return err;
}

void tap_keeper_start(const char *dir)
{
	struct sockaddr_un address = { 0 };
	int err = address_of(dir, &address);

	if (!err && connect_to(&address)) {
		err = fork_keeper(&address);
		if (!err)
			err = connect_to(&address);
	}
	if (err)
		log_warning("a restart of pvbackd will take the carrier of guests' network cards "
			    "away for a moment: no process to hold their taps: %s",
			    strerror(-err));
}

void tap_keeper_stop(void)
{
	if (keeper >= 0)
		close(keeper);
	keeper = -1;
}

/* Send one question and wait for its answer. */
static int ask(struct message *message, const int *fds, int ret_fds[TAP_MAX_QUEUES])
{
	struct message asked = *message;
	int err;

	if (keeper < 0)
		return -ENOTCONN;
	err = send_message(keeper, message, fds);
	if (!err)
		err = receive_message(keeper, message, ret_fds);
	if (!err && (message->op != asked.op || message->domid != asked.domid ||
		     message->devid != asked.devid)) {
		close_all(ret_fds, message->nr_fds);
		err = -EPROTO;
	}
	if (!err)
		return 0;
	log_warning("the process that holds the taps is not used any more: %s", strerror(-err));
	tap_keeper_stop();
	return err;
}

static void tell(enum op op, const struct vif_id *id, const int *fds, uint32_t nr_fds)
{
	struct message message = {
		.op = op, .domid = id->domid, .devid = id->devid, .nr_fds = nr_fds
	};
	int none[TAP_MAX_QUEUES];

	if (ask(&message, fds, none) == 0)
		close_all(none, message.nr_fds);
}

void tap_keeper_keep(const struct vif_id *id, const struct tap *tap)
{
	tell(OP_KEEP, id, tap->fds, tap->nr_fds);
}

void tap_keeper_drop(const struct vif_id *id)
{
	tell(OP_DROP, id, NULL, 0);
}

unsigned int tap_keeper_take(const struct vif_id *id, int ret_fds[TAP_MAX_QUEUES])
{
	struct message message = { .op = OP_TAKE, .domid = id->domid, .devid = id->devid };

	return ask(&message, NULL, ret_fds) ? 0 : message.nr_fds;
}
