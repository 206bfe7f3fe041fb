/* SPDX-License-Identifier: MIT */
/*
 * util.h - what every part of xensim needs: allocation that cannot fail and a
 * small event loop.
 *
 * xensim is a test tool: it ends the process when memory runs out, so that no
 * caller has an error path which no test can ever reach.
 */
#ifndef SIM_UTIL_H
#define SIM_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, owned by the caller; aborts when there is none. */
void *sim_alloc(size_t size);
/* A copy of @len bytes followed by a zero byte, owned by the caller. */
char *sim_memdup(const void *data, size_t len);
char *sim_strdup(const char *str);
/* realloc() that aborts instead of failing. */
void *sim_realloc(void *ptr, size_t size);
/* A formatted string, owned by the caller. */
char *sim_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print "program: message" to stderr and exit with status 1. */
void sim_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Parse a decimal number in min..max. Returns 0 or -EINVAL. */
int sim_parse_u32(const char *str, uint32_t min, uint32_t max, uint32_t *ret);
/* The same for the command line: with anything else it prints @usage and exits with 2. */
uint32_t sim_number(const char *usage, const char *str, uint32_t min, uint32_t max);

/*
 * How many times longer than usual to wait before calling it a hang: 1, or
 * $XENSIM_SLOW (sanitizers, valgrind, a busy machine).
 */
int sim_slowness(void);
/* Milliseconds of the monotonic clock. */
int64_t sim_now_ms(void);

struct sim_loop;
struct sim_watch;
/* @events are EPOLL* bits. The watch may be removed inside any callback. */
typedef void sim_watch_fn(void *arg, uint32_t events);

struct sim_loop *sim_loop_new(void);
void sim_loop_free(struct sim_loop *loop);
/* Watch @fd (borrowed) for EPOLL* bits. */
struct sim_watch *sim_loop_add(struct sim_loop *loop, int fd, uint32_t events, sim_watch_fn *fn,
			       void *arg);
void sim_loop_modify(struct sim_loop *loop, struct sim_watch *watch, uint32_t events);
/* Stop watching; the object itself goes away after the current batch. */
void sim_loop_remove(struct sim_loop *loop, struct sim_watch *watch);
/* One epoll_wait and its callbacks; @timeout_ms -1 waits for ever. */
void sim_loop_turn(struct sim_loop *loop, int timeout_ms);

/* A full barrier; ThreadSanitizer knows no stand-alone fence, and a locked word is one on x86. */
static inline void sim_fence(void)
{
	static int word;

	__atomic_fetch_add(&word, 0, __ATOMIC_SEQ_CST);
}

#endif
