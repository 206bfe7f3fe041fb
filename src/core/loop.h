/* SPDX-License-Identifier: MIT */
/*
 * One epoll loop: file descriptors, timers, and a mailbox for other threads.
 *
 * A watch may be removed inside any callback, its own included: it is only
 * flagged, and freed once the batch that epoll returned is through. A loop and
 * everything in it belongs to the thread that runs it; loop_post() and loop_sleeps() alone may be
 * called from another.
 */
#ifndef PVB_LOOP_H
#define PVB_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;
struct loop_watch;

typedef void (*loop_fd_fn)(void *user, uint32_t events);
typedef void (*loop_fn)(void *user);

/* Zero-initialise; armed state belongs to the loop. */
struct loop_timer {
	LIST_ENTRY(loop_timer) link;
	uint64_t due_ns;
	loop_fn fn;
	void *user; /* borrowed */
	bool armed;
};

/*
 * A function that is called once a second. All ticks of a loop come in one wake-up, so that a thousand idle devices cost no
 * more wake-ups than one. Zero-initialise.
 */
struct loop_tick {
	LIST_ENTRY(loop_tick) link;
	struct loop *loop; /* borrowed; NULL when not added */
	loop_fn fn;
	void *user; /* borrowed */
};

/* Work for the thread that runs the loop. Owned by the poster until it ran. */
struct loop_task {
	STAILQ_ENTRY(loop_task) link;
	void (*run)(struct loop_task *task);
};

/*
 * A call that something outside may hold up, though it seldom does. Owned by the caller until `done` has run. `work` touches
 * nothing that other callbacks of the loop do: it may run beside them.
 */
struct loop_call {
	struct loop_task task;                   /* first */
	void (*prepare)(struct loop_call *call); /* in the loop, right before `work` */
	void (*work)(struct loop_call *call);
	/* In the loop, while `work` is still under way: it takes so long that another thread runs the loop now. */
	void (*late)(struct loop_call *call);
	void (*done)(struct loop_call *call); /* in the loop */
};

struct loop *loop_new(void);
/* NULL is fine; returns NULL. Nobody runs it. */
struct loop *loop_free(struct loop *loop);

/* Watch `fd` for EPOLLIN, EPOLLOUT, EPOLLET. NULL with errno set on failure. `user` is borrowed. */
struct loop_watch *loop_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *user);
/* Change the events of a watch. 0 or -errno. */
int loop_modify(struct loop *loop, struct loop_watch *watch, uint32_t events);
/* Forget a watch; NULL is fine. The fd must still be open. Returns NULL. */
struct loop_watch *loop_remove(struct loop *loop, struct loop_watch *watch);

/*
 * (Re-)arm a timer `delay_ns` from now; one of more than a tenth of a second may be 10 ms late. It is called after the
 * watches and tasks that are ready with it, so they can cancel it.
 */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns, loop_fn fn,
		    void *user);
void loop_timer_cancel(struct loop_timer *timer);

/* Call `fn` every second from now on, until it is removed, in any callback. Both are idempotent. */
void loop_tick_add(struct loop *loop, struct loop_tick *tick, loop_fn fn, void *user);
void loop_tick_remove(struct loop_tick *tick);

/* Any thread: hand a task to the loop's thread. */
void loop_post(struct loop *loop, struct loop_task *task);
/* Whether the loop waits for events, so that no callback hangs. Any thread. */
bool loop_sleeps(const struct loop *loop);

/*
 * Make a call at the end of this turn, on the loop's own thread. When it takes longer than some milliseconds (5 to 10), a
 * thread that stands by runs the loop from there on, and this one ends with the call. 0 or -errno: no thread could stand by.
 */
int loop_call(struct loop *loop, struct loop_call *call);

/*
 * Called once per turn, after the callbacks of that turn: the place where a
 * batch is worked on. It returns true when it wants another turn at once.
 */
void loop_set_pass(struct loop *loop, bool (*pass)(void *user), void *user);

/* Run until loop_quit(); 0, or -errno when epoll itself fails. 0 too when another thread runs it: see loop_call(). */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

/*
 * A thread that runs a loop. Zero-initialise. Signals stay the main thread's.
 */
struct loop_thread {
	struct loop *loop; /* borrowed */
	bool running;
};

/* Run `loop` in a new thread. 0 or -errno. */
int loop_thread_start(struct loop_thread *thread, struct loop *loop);
/* Quit its loop and wait for its end. Idempotent. */
void loop_thread_stop(struct loop_thread *thread);

/* Monotonic time. */
uint64_t loop_now_ns(void);
/* The same, up to 10 ms behind, without a system call on Xen: for what counts in seconds. */
uint64_t loop_lately_ns(void);

#endif
