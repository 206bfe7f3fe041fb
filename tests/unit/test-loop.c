/* SPDX-License-Identifier: MIT */
/* The loop: removal inside callbacks, timers in order, tasks from other threads. */
#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/loop.h"

struct pair {
	struct loop *loop;
	struct loop_watch *mine, *other;
	struct pair *peer;
	int fd;
	int calls;
};

static int ready_fd(void)
{
	int fd = eventfd(1, EFD_NONBLOCK);

	CHECK(fd >= 0);
	return fd;
}

static void remove_both(void *user, uint32_t events)
{
	struct pair *p = user;

	CHECK(events & EPOLLIN);
	p->calls++;
	loop_remove(p->loop, p->mine);
	loop_remove(p->loop, p->other);
	loop_remove(p->loop, p->other); /* twice is fine */
	loop_quit(p->loop);
}

static void a_watch_removed_by_another_callback_is_not_called(void **state)
{
	struct loop *loop = loop_new();
	struct pair a = { .loop = loop, .fd = ready_fd() };
	struct pair b = { .loop = loop, .fd = ready_fd() };

	(void)state;
	a.mine = b.other = loop_add(loop, a.fd, EPOLLIN, remove_both, &a);
	b.mine = a.other = loop_add(loop, b.fd, EPOLLIN, remove_both, &b);
	CHECK(loop_run(loop) == 0);
	CHECK(a.calls + b.calls == 1);
	close(a.fd);
	close(b.fd);
	loop_free(loop);
}

static char order[8];
static int nr_order;

struct note {
	struct loop *loop;
	char letter;
	bool last;
};

static void note_it(void *user)
{
	struct note *note = user;

	order[nr_order++] = note->letter;
	if (note->last)
		loop_quit(note->loop);
}

/* The third callback ends the loop, whichever that is. */
static void note_up_to_three(void *user)
{
	const struct note *note = user;

	note_it(user);
	if (nr_order == 3)
		loop_quit(note->loop);
}

/* Which timer is due first depends on how long this test is delayed between the three calls. */
static void timers_fire_in_order_of_their_time(void **state)
{
	static const uint64_t delays[] = { 3000000, 1000000, 2000000 };
	struct loop *loop = loop_new();
	struct note notes[3];
	struct loop_timer timers[3] = { 0 };

	(void)state;
	nr_order = 0;
	for (int i = 0; i < 3; i++) {
		notes[i] = (struct note){ loop, (char)i, false };
		loop_timer_set(loop, &timers[i], delays[i], note_up_to_three, &notes[i]);
	}
	CHECK(loop_run(loop) == 0);
	CHECK(nr_order == 3);
	for (int i = 0; i < 2; i++)
		CHECK(timers[(int)order[i]].due_ns <= timers[(int)order[i + 1]].due_ns);
	loop_free(loop);
}

static void a_cancelled_timer_stays_silent(void **state)
{
	struct loop *loop = loop_new();
	struct note a = { loop, 'a', false }, b = { loop, 'b', true };
	struct loop_timer ta = { 0 }, tb = { 0 };

	(void)state;
	nr_order = 0;
	loop_timer_set(loop, &ta, 0, note_it, &a);
	loop_timer_set(loop, &tb, 1000000, note_it, &b);
	loop_timer_cancel(&ta);
	loop_timer_cancel(&ta);
	CHECK(loop_run(loop) == 0);
	CHECK(nr_order == 1 && order[0] == 'b');
	loop_free(loop);
}

struct question {
	struct loop *loop;
	struct loop_timer patience;
	bool late;
};

static void answered(void *user, uint32_t events)
{
	struct question *question = user;

	(void)events;
	loop_timer_cancel(&question->patience);
	loop_quit(question->loop);
}

static void too_late(void *user)
{
	((struct question *)user)->late = true;
}

/* As after a long callback: the timer is due first, and so first in epoll's list. */
static void an_answer_that_waits_comes_before_the_timer_that_gives_it_up(void **state)
{
	struct question question = { .loop = loop_new() };
	struct loop_watch *watch;
	int fd;

	(void)state;
	loop_timer_set(question.loop, &question.patience, 0, too_late, &question);
	usleep(10000);
	fd = ready_fd();
	watch = loop_add(question.loop, fd, EPOLLIN, answered, &question);
	CHECK(loop_run(question.loop) == 0);
	CHECK(!question.late);
	loop_remove(question.loop, watch);
	close(fd);
	loop_free(question.loop);
}

static struct loop_tick tick_a, tick_b, tick_c;

/* The first callback removes the next one. */
static void tick_and_remove(void *user)
{
	note_it(user);
	loop_tick_remove(&tick_b);
}

static void a_tick_removed_by_another_is_not_called(void **state)
{
	struct loop *loop = loop_new();
	struct note a = { loop, 'a', true }, b = { loop, 'b', false }, c = { loop, 'c', false };

	(void)state;
	nr_order = 0;
	loop_tick_add(loop, &tick_a, note_it, &a); /* called last to first */
	loop_tick_add(loop, &tick_b, note_it, &b);
	loop_tick_add(loop, &tick_c, tick_and_remove, &c);
	loop_tick_add(loop, &tick_c, tick_and_remove, &c); /* twice is once */
	CHECK(loop_run(loop) == 0);
	CHECK(nr_order == 2 && order[0] == 'c' && order[1] == 'a');
	CHECK(loop_run(loop) == 0); /* and again a second later */
	CHECK(nr_order == 4 && order[2] == 'c' && order[3] == 'a');
	loop_tick_remove(&tick_a);
	loop_tick_remove(&tick_b);
	loop_tick_remove(&tick_c);
	loop_free(loop);
}

enum { NR_TASKS = 1000 };

struct counted {
	struct loop_task task;
	struct loop *loop;
	int number;
};

static int next_number;

static void count(struct loop_task *task)
{
	struct counted *c = (struct counted *)(void *)task;

	CHECK(c->number == next_number);
	if (++next_number == NR_TASKS)
		loop_quit(c->loop);
}

static void *post_all(void *user)
{
	struct counted *tasks = user;

	for (int i = 0; i < NR_TASKS; i++)
		loop_post(tasks[i].loop, &tasks[i].task);
	return NULL;
}

static void tasks_of_another_thread_run_once_and_in_order(void **state)
{
	static struct counted tasks[NR_TASKS];
	struct loop *loop = loop_new();
	pthread_t thread;

	(void)state;
	next_number = 0;
	for (int i = 0; i < NR_TASKS; i++)
		tasks[i] = (struct counted){ .task.run = count, .loop = loop, .number = i };
	CHECK(pthread_create(&thread, NULL, post_all, tasks) == 0);
	CHECK(loop_run(loop) == 0);
	pthread_join(thread, NULL);
	CHECK(next_number == NR_TASKS);
	loop_free(loop);
}

static int passes;

static bool three_passes(void *user)
{
	if (++passes == 3)
		loop_quit(user);
	return true;
}

static void a_pass_that_wants_more_is_not_kept_waiting(void **state)
{
	struct loop *loop = loop_new();
	struct loop_task wake = { 0 };
	struct counted c = { .task = wake, .loop = loop };

	(void)state;
	passes = 0;
	next_number = 0;
	c.task.run = count;
	loop_set_pass(loop, three_passes, loop);
	loop_post(loop, &c.task);
	CHECK(loop_run(loop) == 0);
	CHECK(passes == 3);
	loop_free(loop);
}

struct held {
	struct loop_task task;
	struct loop *loop;
	int begun, go_on; /* eventfds */
};

static void hold(struct loop_task *task)
{
	struct held *h = (struct held *)(void *)task;
	uint64_t count = 1;

	CHECK(write(h->begun, &count, sizeof(count)) == sizeof(count));
	CHECK(read(h->go_on, &count, sizeof(count)) == sizeof(count));
}

static void a_loop_sleeps_when_it_waits_and_not_when_it_is_held_up(void **state)
{
	struct loop *loop = loop_new();
	struct loop_thread thread = { 0 };
	struct held held = {
		.loop = loop, .task.run = hold, .begun = eventfd(0, 0), .go_on = eventfd(0, 0)
	};
	uint64_t count = 1;

	(void)state;
	CHECK(!loop_sleeps(loop));
	CHECK(loop_thread_start(&thread, loop) == 0);
	while (!loop_sleeps(loop))
		sched_yield();
	loop_post(loop, &held.task);
	CHECK(read(held.begun, &count, sizeof(count)) == sizeof(count));
	CHECK(!loop_sleeps(loop));
	CHECK(write(held.go_on, &count, sizeof(count)) == sizeof(count));
	while (!loop_sleeps(loop))
		sched_yield();
	loop_thread_stop(&thread);
	close(held.begun);
	close(held.go_on);
	loop_free(loop);
}

struct late_call {
	struct loop_call call;
	struct loop_task begin, is_served;
	struct loop *loop;
	int late, go_on, served, done; /* eventfds */
	pthread_t worked, told, served_by;
	bool prepared;
};

static void tell(int fd)
{
	uint64_t one = 1;

	CHECK(write(fd, &one, sizeof(one)) == sizeof(one));
}

static void hear(int fd)
{
	uint64_t count;

	CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
}

static void prepare_late(struct loop_call *call)
{
	((struct late_call *)(void *)call)->prepared = true;
}

static void work_until_told(struct loop_call *call)
{
	struct late_call *l = (struct late_call *)(void *)call;

	CHECK(l->prepared);
	l->worked = pthread_self();
	hear(l->go_on);
}

static void say_late(struct loop_call *call)
{
	tell(((struct late_call *)(void *)call)->late);
}

static void say_done(struct loop_call *call)
{
	struct late_call *l = (struct late_call *)(void *)call;

	l->told = pthread_self();
	tell(l->done);
}

static void begin_late(struct loop_task *task)
{
	struct late_call *l = container_of(task, struct late_call, begin);

	CHECK(loop_call(l->loop, &l->call) == 0);
}

static void say_served(struct loop_task *task)
{
	struct late_call *l = container_of(task, struct late_call, is_served);

	l->served_by = pthread_self();
	tell(l->served);
}

/* Three times: each time another thread must stand by. */
static void a_call_that_is_held_up_holds_nobody_up(void **state)
{
	struct loop_thread thread = { 0 };
	struct late_call l = { .call = { .prepare = prepare_late,
					 .work = work_until_told,
					 .late = say_late,
					 .done = say_done },
			       .begin.run = begin_late,
			       .is_served.run = say_served,
			       .loop = loop_new(),
			       .late = eventfd(0, 0),
			       .go_on = eventfd(0, 0),
			       .served = eventfd(0, 0),
			       .done = eventfd(0, 0) };

	(void)state;
	CHECK(loop_thread_start(&thread, l.loop) == 0);
	for (unsigned int i = 0; i < 3; i++) {
		loop_post(l.loop, &l.begin);
		hear(l.late);
		loop_post(l.loop, &l.is_served);
		hear(l.served);
		tell(l.go_on);
		hear(l.done);
		CHECK(!pthread_equal(l.worked, l.served_by));
		CHECK(pthread_equal(l.told, l.served_by));
	}
	loop_thread_stop(&thread);
	loop_free(l.loop);
	close(l.late);
	close(l.go_on);
	close(l.served);
	close(l.done);
}

struct quick_call {
	struct loop_call call;
	struct loop *loop;
	struct loop_task begin;
	int nr_done, nr_calls;
	int passed; /* eventfd */
};

static void do_nothing(struct loop_call *call)
{
	(void)call;
}

static void count_done(struct loop_call *call)
{
	((struct quick_call *)(void *)call)->nr_done++;
}

static void begin_quick(struct loop_task *task)
{
	struct quick_call *q = container_of(task, struct quick_call, begin);

	q->nr_calls++;
	CHECK(loop_call(q->loop, &q->call) == 0);
}

static bool pass_after_call(void *user)
{
	struct quick_call *q = user;

	if (q->nr_done && q->nr_done == q->nr_calls)
		tell(q->passed);
	return false;
}

static void what_a_call_brings_is_worked_on_in_a_pass(void **state)
{
	struct loop_thread thread = { 0 };
	struct quick_call q = { .call = { .prepare = do_nothing,
					  .work = do_nothing,
					  .late = do_nothing,
					  .done = count_done },
				.begin.run = begin_quick,
				.loop = loop_new(),
				.passed = eventfd(0, 0) };

	(void)state;
	loop_set_pass(q.loop, pass_after_call, &q);
	CHECK(loop_thread_start(&thread, q.loop) == 0);
	for (unsigned int i = 0; i < 100; i++) {
		loop_post(q.loop, &q.begin);
		hear(q.passed);
	}
	loop_thread_stop(&thread);
	CHECK(q.nr_done == 100);
	loop_free(q.loop);
	close(q.passed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_watch_removed_by_another_callback_is_not_called),
		cmocka_unit_test(timers_fire_in_order_of_their_time),
		cmocka_unit_test(a_cancelled_timer_stays_silent),
		cmocka_unit_test(an_answer_that_waits_comes_before_the_timer_that_gives_it_up),
		cmocka_unit_test(a_tick_removed_by_another_is_not_called),
		cmocka_unit_test(tasks_of_another_thread_run_once_and_in_order),
		cmocka_unit_test(a_pass_that_wants_more_is_not_kept_waiting),
		cmocka_unit_test(a_loop_sleeps_when_it_waits_and_not_when_it_is_held_up),
		cmocka_unit_test(a_call_that_is_held_up_holds_nobody_up),
		cmocka_unit_test(what_a_call_brings_is_worked_on_in_a_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
