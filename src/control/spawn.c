/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/spawn.h"

#define STACK_BYTES (64u << 10)

#ifdef __SANITIZE_THREAD__ /* ThreadSanitizer takes clone() for fork(), and would forbid us new threads */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

#define BLOCK 64 /* the kernel copies a block of this many numbers, or none of it */

/*
 * All numbers below BLOCK that were free at the start hold /dev/null, so that no image gets one of them. The last ones
 * hold what the child is given.
 */
static int null_fd = -1;

static int lent_fd(unsigned int nr)
{
	return BLOCK - (int)SPAWN_MAX_FDS + (int)nr;
}

int spawn_reserve(void)
{
	int fd = null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	while (fd >= 0 && fd < BLOCK - 1)
		fd = fcntl(null_fd, F_DUPFD_CLOEXEC, fd);
	return fd < 0 ? -errno : 0;
}

/* --- the child: it shares our memory and, at first, our descriptors --- */

struct start {
	const struct spawn *spawn;
	int err;
};

/* After the first call the child has its own copies of the lowest block, which it may close. */
static int take_descriptors(unsigned int nr)
{
	if (close_range(BLOCK, UINT_MAX, CLOSE_RANGE_UNSHARE) < 0)
		return -errno;
	for (unsigned int i = 0; i < nr; i++) {
		int fd = SPAWN_FIRST_FD + (int)i;

		if (dup2(lent_fd(i), fd) < 0 || fcntl(fd, F_SETFD, 0) < 0)
			return -errno;
	}
	return close_range(SPAWN_FIRST_FD + nr, UINT_MAX, 0) < 0 ? -errno : 0;
}

static void reset_signals(void)
{
	const struct sigaction fresh = { .sa_handler = SIG_DFL };

	for (int signal = 1; signal < NSIG; signal++)
		sigaction(signal, &fresh, NULL); /* some cannot be changed */
}

__attribute__((no_sanitize("thread", "address"))) static int run_child(void *user)
{
	struct start *start = user;
	sigset_t none;

	start->err = take_descriptors(start->spawn->nr_fds);
	if (!start->err && start->spawn->apart) {
		setpgid(0, 0);
		reset_signals();
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
	}
	if (!start->err) {
		execve("/proc/self/exe", start->spawn->argv, environ);
		start->err = -errno;
	}
	_exit(127);
}

/* --- the parent, which waits until the child has executed its program --- */

static int lend(const struct spawn *spawn)
{
	for (unsigned int i = 0; i < spawn->nr_fds; i++)
		if (dup3(spawn->fds[i], lent_fd(i), O_CLOEXEC) < 0)
			return -errno;
	return 0;
}

static void take_back(const struct spawn *spawn)
{
	for (unsigned int i = 0; i < spawn->nr_fds; i++)
		dup3(null_fd, lent_fd(i), O_CLOEXEC);
}

int spawn_again(const struct spawn *spawn, pid_t *ret_pid)
{
	static _Alignas(16) char stack[STACK_BYTES];
	struct start start = { .spawn = spawn };
	pid_t pid = -1;

	start.err = lend(spawn);
	if (!start.err) {
		pid = clone(run_child, stack + sizeof(stack),
			    CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &start);
		if (pid < 0)
			start.err = -errno;
	}
	take_back(spawn);
	if (start.err && pid > 0)
		waitpid(pid, NULL, 0);
	if (start.err)
		return start.err;
	*ret_pid = pid;
	return 0;
}
