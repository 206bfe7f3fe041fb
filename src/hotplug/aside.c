/* SPDX-License-Identifier: MIT */
/* Calls that may never return; see aside.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hotplug/aside.h"
#include "hotplug/target.h"

#define AT_ONCE     64u /* children */
#define ASK_LIMIT_S 3

/* --- time --- */

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

unsigned int hotplug_seconds_left(unsigned int most)
{
	static long long end;
	long long left;

	if (!end)
		end = now_ms() + HOTPLUG_LIMIT_S * 1000ll;
	left = (end - now_ms()) / 1000;
	return left < 1 ? 1 : left < most ? (unsigned int)left : most;
}

/* --- children --- */

void *hotplug_aside_alloc(size_t size, size_t nr)
{
	void *items =
		mmap(NULL, size * nr, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return items == MAP_FAILED ? NULL : items;
}

void hotplug_aside_free(void *items, size_t size, size_t nr)
{
	if (items)
		munmap(items, size * nr);
}

/* Children that run at the same time. */
struct children {
	size_t nr;
	pid_t pids[AT_ONCE];
	struct pollfd ended[AT_ONCE];
};

static void start(struct children *c, void (*run)(void *item), void *item)
{
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (pid == 0) {
		syscall(SYS_close_range, 0u, ~0u, 0u); /* a stuck child holds nothing open */
		run(item);
		_exit(EXIT_SUCCESS);
	}
	c->pids[c->nr] = pid;
	c->ended[c->nr++] =
		(struct pollfd){ .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
}

/* Leave a child, whether it has ended or not. Nobody has reaped it, so its pid is still its own. */
static void leave(struct children *c, size_t i)
{
	kill(c->pids[i], SIGKILL);
	waitpid(c->pids[i], NULL, WNOHANG);
	if (c->ended[i].fd >= 0)
		close(c->ended[i].fd);
	c->nr--;
	c->pids[i] = c->pids[c->nr];
	c->ended[i] = c->ended[c->nr];
}

void hotplug_aside(void (*run)(void *item), void *items, size_t size, size_t nr,
		   unsigned int limit_s)
{
	long long left = limit_s * 1000ll, end = now_ms() + left;
	struct children c = { 0 };
	size_t next = 0;

	while ((next < nr || c.nr) && left > 0) {
		while (next < nr && c.nr < AT_ONCE)
			start(&c, run, (char *)items + next++ * size);
		if (poll(c.ended, c.nr, (int)left) > 0)
			for (size_t i = c.nr; i-- > 0;)
				if (c.ended[i].revents)
					leave(&c, i);
		left = end - now_ms();
	}
	while (c.nr)
		leave(&c, 0);
}

/* --- the book --- */

int hotplug_book_look(struct hotplug_book *book, const char *path, bool in_loop,
		      struct hotplug_identity *ret)
{
	struct hotplug_asked *more;

	for (size_t i = 0; i < book->nr; i++) {
		const struct hotplug_asked *asked = &book->asked[i];

		if (asked->in_loop != in_loop || strcmp(asked->path, path) != 0)
			continue;
		if (!asked->done)
			return -EINPROGRESS;
		if (!asked->err)
			*ret = asked->identity;
		return asked->err;
	}
	more = reallocarray(book->asked, book->nr + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	book->asked = more;
	more = &more[book->nr++];
	*more = (struct hotplug_asked){ .in_loop = in_loop, .err = -ETIMEDOUT };
	snprintf(more->path, sizeof(more->path), "%s", path);
	return -EINPROGRESS;
}

/* This may block: the kernel asks the file's server. */
static int look_into_loop(const char *path, struct hotplug_identity *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct loop_info64 info;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
		err = -errno;
	else if (info.lo_rdevice)
		*ret = (struct hotplug_identity){ .is_block = true, .dev = (dev_t)info.lo_rdevice };
	else
		*ret = (struct hotplug_identity){ .dev = (dev_t)info.lo_device,
						  .ino = (ino_t)info.lo_inode };
	close(fd);
	return err;
}

static void ask(void *item)
{
	struct hotplug_asked *asked = item;

	asked->err = asked->in_loop ? look_into_loop(asked->path, &asked->identity)
				    : hotplug_target_identify(asked->path, &asked->identity);
}

static size_t gather(const struct hotplug_book *book, struct hotplug_asked *open)
{
	size_t nr = 0;

	for (size_t i = 0; i < book->nr; i++)
		if (!book->asked[i].done)
			open[nr++] = book->asked[i];
	return nr;
}

void hotplug_book_ask(struct hotplug_book *book)
{
	struct hotplug_asked *open = hotplug_aside_alloc(sizeof(*open), book->nr + 1);
	size_t nr = open ? gather(book, open) : 0;

	hotplug_aside(ask, open, sizeof(*open), nr, hotplug_seconds_left(ASK_LIMIT_S));
	nr = 0;
	for (size_t i = 0; i < book->nr; i++) {
		if (!book->asked[i].done && open)
			book->asked[i] = open[nr++];
		book->asked[i].done = true;
	}
	hotplug_aside_free(open, sizeof(*open), book->nr + 1);
}

void hotplug_book_free(struct hotplug_book *book)
{
	free(book->asked);
	*book = (struct hotplug_book){ 0 };
}
