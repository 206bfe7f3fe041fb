/* SPDX-License-Identifier: MIT */
/* util.c - allocation, numbers, and the event loop of xensim's servers. */
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define LOOP_BATCH 64

struct sim_watch {
	int fd; /* borrowed */
	sim_watch_fn *fn;
	void *arg;
	bool dead;
	struct sim_watch *next; /* in the list of the dead */
};

struct sim_loop {
	int epfd;
	struct sim_watch *dead;
};

/*
 * xs_close() cancels libxenstore's reader thread, which may be holding a
 * message just then. That is not ours to mend: tell LeakSanitizer so.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libxenstore.so\n";
}

/*
 * Attacks race on purpose: functions called flip_...() in threads of their own,
 * and the two that start them.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:flip_\nrace:changing_slots\nrace:revoked_grants\n";
}

void *sim_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *sim_realloc(void *ptr, size_t size)
{
	void *p = realloc(ptr, size ? size : 1);

	if (!p)
		abort();
	return p;
}

char *sim_memdup(const void *data, size_t len)
{
	char *p = sim_alloc(len + 1);

	if (len)
		memcpy(p, data, len);
	return p;
}

char *sim_strdup(const char *str)
{
	return sim_memdup(str, strlen(str));
}

char *sim_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *str;

	va_start(ap, fmt);
	if (vasprintf(&str, fmt, ap) < 0)
		abort();
	va_end(ap);
	return str;
}

void sim_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

int sim_parse_u32(const char *str, uint32_t min, uint32_t max, uint32_t *ret)
{
	unsigned long val;
	char *end;

	if (!str || str[0] < '0' || str[0] > '9')
		return -EINVAL;
	errno = 0;
	val = strtoul(str, &end, 10);
	if (errno || *end || val < min || val > max)
		return -EINVAL;
	*ret = (uint32_t)val;
	return 0;
}

uint32_t sim_number(const char *usage, const char *str, uint32_t min, uint32_t max)
{
	uint32_t n;

	if (!sim_parse_u32(str, min, max, &n))
		return n;
	fputs(usage, stderr);
	exit(2);
}

int sim_slowness(void)
{
	uint32_t factor;

	return sim_parse_u32(getenv("XENSIM_SLOW"), 1, 100, &factor) ? 1 : (int)factor;
}

int64_t sim_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct sim_loop *sim_loop_new(void)
{
	struct sim_loop *loop = sim_alloc(sizeof(*loop));

	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		sim_die("epoll: %s", strerror(errno));
	return loop;
}

static void loop_reap(struct sim_loop *loop)
{
	while (loop->dead) {
		struct sim_watch *w = loop->dead;

		loop->dead = w->next;
		free(w);
	}
}

void sim_loop_free(struct sim_loop *loop)
{
	if (!loop)
		return;
	loop_reap(loop);
	close(loop->epfd);
	free(loop);
}

struct sim_watch *sim_loop_add(struct sim_loop *loop, int fd, uint32_t events, sim_watch_fn *fn,
			       void *arg)
{
	struct sim_watch *w = sim_alloc(sizeof(*w));
	struct epoll_event ev = { .events = events, .data.ptr = w };

	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev))
		sim_die("epoll_ctl: %s", strerror(errno));
	return w;
}

void sim_loop_modify(struct sim_loop *loop, struct sim_watch *watch, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = watch };

	epoll_ctl(loop->epfd, EPOLL_CTL_MOD, watch->fd, &ev);
}

void sim_loop_remove(struct sim_loop *loop, struct sim_watch *watch)
{
	if (!watch || watch->dead)
		return;
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->dead = true;
	watch->next = loop->dead;
	loop->dead = watch;
}

void sim_loop_turn(struct sim_loop *loop, int timeout_ms)
{
	struct epoll_event ev[LOOP_BATCH];
	int n = epoll_wait(loop->epfd, ev, LOOP_BATCH, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct sim_watch *w = ev[i].data.ptr;

		if (!w->dead)
			w->fn(w->arg, ev[i].events);
	}
	loop_reap(loop);
}
