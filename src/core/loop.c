/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/thread.h"

#define BATCH     64
#define NS_PER_S  1000000000ull
#define TICK_NS   NS_PER_S
#define LONG_NS   (NS_PER_S / 10)
#define LATELY_NS (NS_PER_S / 100) /* a tick of a kernel with HZ=100 */
#define RELIEF_MS                                                                                  \
	5 /* a call that takes longer than one to two of these costs its thread the loop */

struct loop_watch {
	LIST_ENTRY(loop_watch) link; /* on the loop's list of removed ones */
	loop_fd_fn fn;
	void *user; /* borrowed */
	int fd;     /* borrowed */
	bool removed;
};

struct loop {
	int epfd;
	int mailfd;
	int timerfd;
	bool quit;
	atomic_bool sleeps;
	LIST_HEAD(, loop_watch) removed; /* freed after the batch */
	LIST_HEAD(, loop_timer) timers;  /* soonest first */
	uint64_t alarm_ns;               /* when the kernel's timer is due; 0: it is off */
	LIST_HEAD(, loop_tick) ticks;
	struct loop_tick *next_tick; /* of the walk under way */
	struct loop_timer tick_timer;
	struct loop_watch *mail_watch, *timer_watch;
	bool (*pass)(void *user);
	void *pass_user;
	pthread_mutex_t mail_lock;
	STAILQ_HEAD(mail, loop_task) mail;
	struct mail calls;       /* struct loop_call: of this turn */
	struct loop_call *call;  /* under way */
	atomic_ulong turn;       /* odd: a call is under way; who changes it to even has the loop */
	atomic_bool rests;       /* the thread that stands by */
	pthread_mutex_t lock;    /* of what follows */
	pthread_cond_t changed;  /* any of it */
	unsigned int nr_threads; /* which may touch the loop */
	bool stands_by, ends;    /* there is such a thread; it is to end */
};

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t loop_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t loop_lately_ns(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}

static void run_mail(void *user, uint32_t events)
{
	struct loop *loop = user;
	struct mail todo = STAILQ_HEAD_INITIALIZER(todo);
	struct loop_task *task;
	uint64_t count;

	(void)events;
	if (read(loop->mailfd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&loop->mail_lock);
	STAILQ_CONCAT(&todo, &loop->mail);
	pthread_mutex_unlock(&loop->mail_lock);
	while ((task = STAILQ_FIRST(&todo))) {
		STAILQ_REMOVE_HEAD(&todo, link);
		task->run(task); /* may free the task */
	}
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	uint64_t one = 1;
	bool was_empty;

	pthread_mutex_lock(&loop->mail_lock);
	was_empty = STAILQ_EMPTY(&loop->mail);
	STAILQ_INSERT_TAIL(&loop->mail, task, link);
	pthread_mutex_unlock(&loop->mail_lock);
	/* The counter cannot overflow: one write per emptied mailbox. */
	while (was_empty && write(loop->mailfd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/*
 * A timer of the kernel tells when the first timer is due. So a busy loop need not read the clock, which is a system call
 * on Xen. The kernel's timer may be too early, when the timer that it was for was cancelled.
 */
static void set_alarm(struct loop *loop)
{
	const struct loop_timer *first = LIST_FIRST(&loop->timers);
	struct itimerspec at = { 0 };

	if (!first || (loop->alarm_ns && loop->alarm_ns <= first->due_ns))
		return;
	loop->alarm_ns = first->due_ns;
	at.it_value.tv_sec = (time_t)(first->due_ns / NS_PER_S);
	at.it_value.tv_nsec = (long)(first->due_ns % NS_PER_S);
	if (timerfd_settime(loop->timerfd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
		log_error("a timer cannot be set: %s", strerror(errno));
}

/* Only timers that were due at the start: one that re-arms itself cannot hold the loop. */
static void run_timers(struct loop *loop)
{
	uint64_t now = loop_now_ns();
	struct loop_timer *timer;

	loop->alarm_ns = 0;
	while ((timer = LIST_FIRST(&loop->timers)) && timer->due_ns <= now) {
		loop_timer_cancel(timer);
		timer->fn(timer->user);
	}
	set_alarm(loop);
}

static void init_locks(struct loop *loop)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&loop->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&loop->lock, NULL);
	pthread_mutex_init(&loop->mail_lock, NULL);
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	init_locks(loop);
	STAILQ_INIT(&loop->mail);
	STAILQ_INIT(&loop->calls);
	loop->mailfd = loop->timerfd = -1;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		return loop_free(loop);
	loop->mailfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loop->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->mailfd < 0 || loop->timerfd < 0)
		return loop_free(loop);
	loop->mail_watch = loop_add(loop, loop->mailfd, EPOLLIN, run_mail, loop);
	loop->timer_watch = loop_add(loop, loop->timerfd, EPOLLIN | EPOLLET, NULL, NULL);
	return loop->mail_watch && loop->timer_watch ? loop : loop_free(loop);
}

static void free_removed(struct loop *loop)
{
	struct loop_watch *watch;

	while ((watch = LIST_FIRST(&loop->removed))) {
		LIST_REMOVE(watch, link);
		free(watch);
	}
}

static void enter(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->nr_threads++;
	pthread_mutex_unlock(&loop->lock);
}

static void leave(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->nr_threads--;
	pthread_cond_broadcast(&loop->changed);
	pthread_mutex_unlock(&loop->lock);
}

/* Until no thread touches the loop: who runs it has been told to quit. */
static void end_threads(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->ends = true;
	pthread_cond_broadcast(&loop->changed);
	while (loop->nr_threads)
		pthread_cond_wait(&loop->changed, &loop->lock);
	loop->ends = false;
	pthread_mutex_unlock(&loop->lock);
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	end_threads(loop);
	loop_remove(loop, loop->mail_watch);
	loop_remove(loop, loop->timer_watch);
	free_removed(loop);
	if (loop->mailfd >= 0)
		close(loop->mailfd);
	if (loop->timerfd >= 0)
		close(loop->timerfd);
	if (loop->epfd >= 0)
		close(loop->epfd);
	pthread_mutex_destroy(&loop->mail_lock);
	pthread_mutex_destroy(&loop->lock);
	pthread_cond_destroy(&loop->changed);
	free(loop);
	return NULL;
}

struct loop_watch *loop_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *user)
{
	struct loop_watch *watch = calloc(1, sizeof(*watch));
	struct epoll_event ev = { .events = events, .data.ptr = watch };

	if (!watch)
		return NULL;
	watch->fd = fd;
	watch->fn = fn;
	watch->user = user;
	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(watch);
		return NULL;
	}
	return watch;
}

int loop_modify(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epfd, EPOLL_CTL_MOD, watch->fd, &ev) < 0 ? -errno : 0;
}

struct loop_watch *loop_remove(struct loop *loop, struct loop_watch *watch)
{
	if (!watch || watch->removed)
		return NULL;
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->removed = true;
	LIST_INSERT_HEAD(&loop->removed, watch, link);
	return NULL;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns, loop_fn fn,
		    void *user)
{
	struct loop_timer *at, *before = NULL;

	loop_timer_cancel(timer);
	timer->due_ns =
		delay_ns + (delay_ns > LONG_NS ? loop_lately_ns() + LATELY_NS : loop_now_ns());
	timer->fn = fn;
	timer->user = user;
	timer->armed = true;
	LIST_FOREACH(at, &loop->timers, link) {
		if (at->due_ns > timer->due_ns)
			break;
		before = at;
	}
	if (before)
		LIST_INSERT_AFTER(before, timer, link);
	else
		LIST_INSERT_HEAD(&loop->timers, timer, link);
	set_alarm(loop);
}

void loop_timer_cancel(struct loop_timer *timer)
{
	if (timer->armed)
		LIST_REMOVE(timer, link);
	timer->armed = false;
}

static void run_ticks(void *user)
{
	struct loop *loop = user;
	struct loop_tick *tick;

	loop_timer_set(loop, &loop->tick_timer, TICK_NS, run_ticks, loop);
	loop->next_tick = LIST_FIRST(&loop->ticks);
	while ((tick = loop->next_tick)) {
		loop->next_tick = LIST_NEXT(tick, link);
		tick->fn(tick->user);
	}
}

void loop_tick_add(struct loop *loop, struct loop_tick *tick, loop_fn fn, void *user)
{
	if (LIST_EMPTY(&loop->ticks))
		loop_timer_set(loop, &loop->tick_timer, TICK_NS, run_ticks, loop);
	if (!tick->loop)
		LIST_INSERT_HEAD(&loop->ticks, tick, link);
	tick->loop = loop;
	tick->fn = fn;
	tick->user = user;
}

void loop_tick_remove(struct loop_tick *tick)
{
	struct loop *loop = tick->loop;

	if (!loop)
		return;
	if (loop->next_tick == tick)
		loop->next_tick = LIST_NEXT(tick, link);
	LIST_REMOVE(tick, link);
	tick->loop = NULL;
	if (LIST_EMPTY(&loop->ticks))
		loop_timer_cancel(&loop->tick_timer);
}

void loop_set_pass(struct loop *loop, bool (*pass)(void *user), void *user)
{
	loop->pass = pass;
	loop->pass_user = user;
}

/* --- calls that may be held up --- */

static void call_is_done(struct loop_task *task)
{
	struct loop_call *call = (struct loop_call *)(void *)task;

	call->done(call);
}

static unsigned long begin_call(struct loop *loop)
{
	unsigned long turn = atomic_fetch_add(&loop->turn, 1) + 1;

	if (!atomic_load(&loop->rests))
		return turn;
	pthread_mutex_lock(&loop->lock);
	atomic_store(&loop->rests, false);
	pthread_cond_broadcast(&loop->changed);
	pthread_mutex_unlock(&loop->lock);
	return turn;
}

/* The loop is another thread's since, and this one has nothing left to do. */
static void end_late_call(struct loop *loop, struct loop_call *call)
{
	call->task.run = call_is_done;
	loop_post(loop, &call->task);
	leave(loop); /* and the loop may be freed */
}

/* False: the loop is another thread's. */
static bool make_call(struct loop *loop, struct loop_call *call)
{
	unsigned long turn;

	call->prepare(call);
	loop->call = call;
	turn = begin_call(loop);
	call->work(call);
	if (!atomic_compare_exchange_strong(&loop->turn, &turn, turn + 1)) {
		end_late_call(loop, call);
		return false;
	}
	call->done(call);
	return true;
}

static bool make_calls(struct loop *loop)
{
	struct loop_task *task;

	while ((task = STAILQ_FIRST(&loop->calls))) {
		STAILQ_REMOVE_HEAD(&loop->calls, link);
		if (!make_call(loop, (struct loop_call *)(void *)task))
			return false;
	}
	return true;
}

/* What the calls have brought is worked on at once. False: the loop is another thread's. */
static bool end_turn(struct loop *loop, bool *ret_again)
{
	*ret_again = loop->pass && loop->pass(loop->pass_user);
	if (STAILQ_EMPTY(&loop->calls))
		return true;
	if (!make_calls(loop))
		return false;
	*ret_again = loop->pass && loop->pass(loop->pass_user);
	return true;
}

/* --- turns --- */

/*
 * Timers come last. A thread that was held up for longer than they wait finds them due together with the answers that they
 * wait for, and must not give up what has come.
 */
static int take_turn(struct loop *loop, bool again)
{
	struct epoll_event batch[BATCH];
	bool due = false;
	int n;

	atomic_store_explicit(&loop->sleeps, !again, memory_order_relaxed);
	n = epoll_wait(loop->epfd, batch, BATCH, again ? 0 : -1);
	atomic_store_explicit(&loop->sleeps, false, memory_order_relaxed);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct loop_watch *watch = batch[i].data.ptr;

		if (watch == loop->timer_watch)
			due = true;
		else if (!watch->removed)
			watch->fn(watch->user, batch[i].events);
	}
	if (due)
		run_timers(loop);
	free_removed(loop);
	return 0;
}

/* The thread is one of nr_threads, and is not any more. 0 as well when the loop is another thread's. */
static int run(struct loop *loop)
{
	bool again = false;
	int err = 0;

	while (!loop->quit && !err) {
		/* Calls that are left over wait for no event. */
		err = take_turn(loop, again || !STAILQ_EMPTY(&loop->calls));
		if (!err && !end_turn(loop, &again))
			return 0;
	}
	loop->quit = false;
	leave(loop);
	return err;
}

int loop_run(struct loop *loop)
{
	enter(loop);
	return run(loop);
}

bool loop_sleeps(const struct loop *loop)
{
	return atomic_load_explicit(&loop->sleeps, memory_order_relaxed);
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}

/* --- threads --- */

static void *thread_main(void *user)
{
	int err = run(user);

	if (err)
		log_error("a loop's thread stopped: %s", strerror(-err));
	return NULL;
}

int loop_thread_start(struct loop_thread *thread, struct loop *loop)
{
	int err;

	enter(loop);
	err = thread_start(thread_main, loop);
	if (err) {
		leave(loop);
		return err;
	}
	*thread = (struct loop_thread){ .loop = loop, .running = true };
	return 0;
}

struct quit_task {
	struct loop_task task;
	struct loop *loop;
};

static void quit(struct loop_task *task)
{
	loop_quit(((struct quit_task *)(void *)task)->loop);
}

void loop_thread_stop(struct loop_thread *thread)
{
	struct quit_task task = { .task.run = quit, .loop = thread->loop };

	if (!thread->running)
		return;
	loop_post(thread->loop, &task.task);
	end_threads(thread->loop);
	thread->running = false;
}

/* --- the thread that stands by --- */

static void wait_a_moment(struct loop *loop)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += RELIEF_MS * 1000000l;
	if (until.tv_nsec >= (long)NS_PER_S) {
		until.tv_nsec -= (long)NS_PER_S;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&loop->changed, &loop->lock, &until);
}

/* Until there is a call, unless there was one since `turn`. */
static void rest(struct loop *loop, unsigned long turn)
{
	atomic_store(&loop->rests, true);
	if (atomic_load(&loop->turn) != turn)
		atomic_store(&loop->rests, false);
	while (atomic_load(&loop->rests) && !loop->ends)
		pthread_cond_wait(&loop->changed, &loop->lock);
	atomic_store(&loop->rests, false);
}

/* True: the loop is ours, for its thread is in the same call as a moment ago. */
static bool wait_for_the_loop(struct loop *loop)
{
	unsigned long turn;

	while (!loop->ends) {
		turn = atomic_load(&loop->turn);
		wait_a_moment(loop);
		if (atomic_load(&loop->turn) != turn)
			continue;
		if (turn % 2 == 0)
			rest(loop, turn);
		else if (atomic_compare_exchange_strong(&loop->turn, &turn, turn + 1))
			return true;
	}
	return false;
}

static void *stand_by(void *user)
{
	struct loop *loop = user;
	bool ours;

	pthread_mutex_lock(&loop->lock);
	ours = wait_for_the_loop(loop);
	loop->stands_by = false;
	pthread_mutex_unlock(&loop->lock);
	if (!ours) {
		leave(loop);
		return NULL;
	}
	loop->call->late(loop->call);
	return thread_main(loop);
}

static int have_relief(struct loop *loop)
{
	int err = 0;

	pthread_mutex_lock(&loop->lock);
	if (!loop->stands_by) {
		err = thread_start(stand_by, loop);
		loop->stands_by = !err;
		loop->nr_threads += !err;
	}
	pthread_mutex_unlock(&loop->lock);
	return err;
}

int loop_call(struct loop *loop, struct loop_call *call)
{
	int err = have_relief(loop);

	if (!err)
		STAILQ_INSERT_TAIL(&loop->calls, &call->task, link);
	return err;
}
