/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/opener.h"
#include "control/spawn.h"
#include "core/fdpass.h"

#define CHILD_FD  SPAWN_FIRST_FD
#define LATE_NS   20000000ull   /* when a question takes longer, the next one gets another child */
#define LINGER_NS 1000000000ull /* a child without a question ends after so long */

/*
 * Messages of the child: READY at first and after each answer, ANSWER before an answer. A question begins with its
 * kind.
 */
enum { READY, ANSWER };

struct opener {
	struct loop *loop;                      /* borrowed */
	const struct opener_kind *const *kinds; /* borrowed */
	TAILQ_HEAD(, opener_request) todo;
	TAILQ_HEAD(, opener_child) children; /* owned */
};

enum child_state {
	CHILD_STARTING,
	CHILD_READY,
	CHILD_ASKED,
	CHILD_ANSWERED, /* it closes what it has opened, which may block, too */
	CHILD_LEFT,     /* it was killed, and is gone when the kernel has ended its calls */
};

struct opener_child {
	TAILQ_ENTRY(opener_child) link;
	struct opener *opener; /* borrowed */
	enum child_state state;
	struct opener_request *req; /* borrowed; while it is asked */
	bool late;
	pid_t pid;
	int fd, pidfd; /* owned */
	struct loop_watch *watch, *end_watch;
	struct loop_timer timer; /* READY: until it goes; ASKED, ANSWERED: until it is late */
};

/* --- the end of a child --- */

/* Kill the child, and do not wait: it may be in a call that cannot be interrupted. */
static void leave(struct opener_child *child)
{
	if (child->state == CHILD_LEFT)
		return;
	child->state = CHILD_LEFT;
	loop_timer_cancel(&child->timer);
	child->watch = loop_remove(child->opener->loop, child->watch);
	if (child->fd >= 0)
		close(child->fd);
	if (child->pid)
		kill(child->pid, SIGKILL); /* the pid is still the child's: we have not reaped it */
	if (child->req)
		child->req->child = NULL;
	child->req = NULL;
}

static void drop(struct opener_child *child)
{
	leave(child);
	TAILQ_REMOVE(&child->opener->children, child, link);
	child->end_watch = loop_remove(child->opener->loop, child->end_watch);
	if (child->pidfd >= 0)
		close(child->pidfd);
	free(child);
}

static void finish(struct opener_request *req, int err, int fd)
{
	req->child = NULL;
	req->done(req, err, fd);
}

static struct opener_request *take_first(struct opener *opener)
{
	struct opener_request *req = TAILQ_FIRST(&opener->todo);

	if (req)
		TAILQ_REMOVE(&opener->todo, req, link);
	if (req)
		req->waits = false;
	return req;
}

static void hand_out(struct opener *opener);

/* The child has died or sent nonsense: its question fails. */
static void failed(struct opener_child *child)
{
	struct opener *opener = child->opener;
	struct opener_request *req = child->req;

	if (child->state == CHILD_STARTING)
		req = take_first(opener);
	leave(child);
	if (req)
		finish(req, -ECHILD, -1);
	hand_out(opener);
}

static void ended(void *user, uint32_t events)
{
	struct opener_child *child = user;

	(void)events;
	if (waitpid(child->pid, NULL, WNOHANG) == 0)
		return; /* it is about to be over, and we are told again */
	child->pid = 0;
	failed(child);
	drop(child);
}

/* --- messages from a child --- */

static void too_long_idle(void *user)
{
	leave(user);
}

static void ready(struct opener_child *child)
{
	child->state = CHILD_READY;
	child->late = false;
	loop_timer_set(child->opener->loop, &child->timer, LINGER_NS, too_long_idle, child);
	hand_out(child->opener);
}

static void answered(struct opener_child *child, int fd)
{
	struct opener_request *req = child->req;

	child->req = NULL;
	child->state = CHILD_ANSWERED;
	finish(req, 0, fd);
}

static void spoke(void *user, uint32_t events)
{
	struct opener_child *child = user;
	const struct opener_request *req = child->req;
	size_t bytes = req ? req->kind->bytes : 0;
	uint32_t what = READY;
	struct iovec iov[] = { { &what, sizeof(what) }, { req ? req->question : NULL, bytes } };
	unsigned int nr_fds = 1;
	int fd = -1;
	ssize_t n = fdpass_receive(child->fd, iov, 2, &fd, &nr_fds, MSG_DONTWAIT);
	bool starts = child->state == CHILD_STARTING || child->state == CHILD_ANSWERED;

	(void)events;
	if (n == -EAGAIN)
		return;
	if (req && what == ANSWER && n == (ssize_t)(sizeof(what) + bytes))
		answered(child, fd);
	else if (starts && what == READY && n == (ssize_t)sizeof(what))
		ready(child);
	else
		failed(child);
}

/* --- the start of a child --- */

/* The child inherits nothing but the socket and standard error. */
static int spawn(int fd, pid_t *ret_pid)
{
	char name[] = "pvbackd", argument[] = OPENER_ARGUMENT;
	char *argv[] = { name, argument, NULL };

	return spawn_again(&(struct spawn){ .argv = argv, .fds = { fd }, .nr_fds = 1 }, ret_pid);
}

static int begin(struct opener_child *child)
{
	struct loop *loop = child->opener->loop;
	int fds[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	child->fd = fds[0];
	err = spawn(fds[1], &child->pid);
	close(fds[1]);
	if (err)
		return err;
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd < 0)
		return -errno;
	child->watch = loop_add(loop, child->fd, EPOLLIN, spoke, child);
	child->end_watch = loop_add(loop, child->pidfd, EPOLLIN, ended, child);
	return child->watch && child->end_watch ? 0 : -errno;
}

static int start_child(struct opener *opener)
{
	struct opener_child *child = calloc(1, sizeof(*child));
	int err;

	if (!child)
		return -ENOMEM;
	*child = (struct opener_child){ .opener = opener, .fd = -1, .pidfd = -1 };
	TAILQ_INSERT_TAIL(&opener->children, child, link);
	err = begin(child);
	if (!err)
		return 0;
	leave(child);
	if (child->pid)
		waitpid(child->pid, NULL, 0); /* it has made no call yet that may block */
	drop(child);
	return err;
}

/* --- questions --- */

static void too_late(void *user)
{
	struct opener_child *child = user;

	child->late = true;
	hand_out(child->opener);
}

static uint32_t number_of(const struct opener *opener, const struct opener_kind *kind)
{
	uint32_t number = 0;

	while (opener->kinds[number] != kind)
		number++;
	return number;
}

static int give(struct opener_child *child, struct opener_request *req)
{
	uint32_t kind = number_of(child->opener, req->kind);
	const struct iovec iov[] = { { &kind, sizeof(kind) }, { req->question, req->kind->bytes } };
	int err = fdpass_send(child->fd, iov, 2, NULL, 0, MSG_DONTWAIT);

	if (err)
		return err;
	child->state = CHILD_ASKED;
	child->req = req;
	req->child = child;
	loop_timer_set(child->opener->loop, &child->timer, LATE_NS, too_late, child);
	return 0;
}

static struct opener_child *find(struct opener *opener, enum child_state state)
{
	struct opener_child *child;

	TAILQ_FOREACH(child, &opener->children, link)
		if (child->state == state && !child->late)
			return child;
	return NULL;
}

/* A child will be ready soon: no other need be started. */
static bool is_near(struct opener *opener)
{
	return find(opener, CHILD_STARTING) || find(opener, CHILD_ASKED) ||
	       find(opener, CHILD_ANSWERED);
}

/* See that a child takes the next question. 0; -errno when none can be started. */
static int serve(struct opener *opener)
{
	struct opener_request *req;
	struct opener_child *child;

	while ((req = TAILQ_FIRST(&opener->todo))) {
		child = find(opener, CHILD_READY);
		if (!child)
			return is_near(opener) ? 0 : start_child(opener);
		if (give(child, req))
			leave(child); /* it has just died */
		else
			take_first(opener);
	}
	return 0;
}

static void hand_out(struct opener *opener)
{
	struct opener_request *req;
	int err;

	while ((err = serve(opener)) && (req = take_first(opener)))
		finish(req, err, -1);
}

int opener_ask(struct opener *opener, struct opener_request *req)
{
	int err;

	TAILQ_INSERT_TAIL(&opener->todo, req, link);
	req->waits = true;
	req->child = NULL;
	err = serve(opener);
	if (err)
		opener_give_up(opener, req);
	return err;
}

void opener_give_up(struct opener *opener, struct opener_request *req)
{
	if (req->waits)
		TAILQ_REMOVE(&opener->todo, req, link);
	req->waits = false;
	if (!req->child)
		return;
	leave(req->child);
	hand_out(opener);
}

/* --- life --- */

struct opener *opener_new(struct loop *loop, const struct opener_kind *const *kinds)
{
	struct opener *opener = calloc(1, sizeof(*opener));

	if (!opener)
		return NULL;
	opener->loop = loop;
	opener->kinds = kinds;
	TAILQ_INIT(&opener->todo);
	TAILQ_INIT(&opener->children);
	return opener;
}

struct opener *opener_free(struct opener *opener)
{
	struct opener_child *child;

	if (!opener)
		return NULL;
	while ((child = TAILQ_FIRST(&opener->children)))
		drop(child);
	free(opener);
	return NULL;
}

/* --- the child --- */

static int say(uint32_t what, void *answer, size_t bytes, int fd)
{
	const struct iovec iov[] = { { &what, sizeof(what) }, { answer, bytes } };

	return fdpass_send(CHILD_FD, iov, bytes ? 2 : 1, &fd, fd >= 0 ? 1 : 0, 0);
}

/* Answer one question. 0, or -errno, for instance when control is gone. */
static int answer_next(const struct opener_kind *const *kinds, uint32_t nr_kinds)
{
	static _Alignas(max_align_t) char question[OPENER_BYTES_MAX];
	uint32_t kind;
	const struct iovec iov[] = { { &kind, sizeof(kind) }, { question, sizeof(question) } };
	unsigned int nr_fds = 0;
	ssize_t n = fdpass_receive(CHILD_FD, iov, 2, NULL, &nr_fds, 0);
	int fd, err;

	if (n <= 0)
		return n ? (int)n : -ECONNRESET;
	if (n < (ssize_t)sizeof(kind) || kind >= nr_kinds ||
	    n != (ssize_t)(sizeof(kind) + kinds[kind]->bytes))
		return -EPROTO;
	fd = kinds[kind]->answer(question);
	err = say(ANSWER, question, kinds[kind]->bytes, fd);
	if (fd >= 0)
		close(fd); /* may block, so control is told when it is done */
	return err;
}

int opener_serve(const struct opener_kind *const *kinds)
{
	const struct rlimit none = { 0 };
	uint32_t nr_kinds = 0;

	while (kinds[nr_kinds])
		nr_kinds++;
	prctl(PR_SET_NAME, "pvbackd-opener");
	setrlimit(RLIMIT_CORE, &none);
	while (!say(READY, NULL, 0, -1) && !answer_next(kinds, nr_kinds))
		;
	return EXIT_SUCCESS;
}
