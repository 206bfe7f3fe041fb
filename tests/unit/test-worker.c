/* SPDX-License-Identifier: MIT */
/* The worker's loop: when it asks the kernel whether there is something to do. */
#include "unit.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake/fake_xen.h"
#include "guest/worker.h"

#define LOOKS 1000u

static struct worker worker;
static struct queue queue;
static unsigned int nr_answers, nr_asked; /* passes; times that the kernel was asked */
static bool looks;
static uint64_t now_ns, step_ns;

static uint64_t read_clock(void)
{
	return now_ns += step_ns;
}

static void nothing(struct queue *of)
{
	(void)of;
}

static bool answer(struct queue *of)
{
	of->looks = looks;
	return ++nr_answers < LOOKS;
}

static const struct queue_ops ops = {
	.plane = PLANE_BLK, .take = nothing, .act = nothing, .give = nothing, .answer = answer
};

/* Always readable: the kernel says so whenever it is asked. */
static void asked(void *user, uint32_t events)
{
	(void)user, (void)events;
	nr_asked++;
	if (nr_answers == LOOKS)
		loop_quit(worker.loop);
}

static void serve(bool only_looks, uint64_t each_takes_ns)
{
	const struct plane *const planes[PLANE_NR] = { NULL };
	int fd = eventfd(1, EFD_CLOEXEC);
	struct loop_watch *watch;

	CHECK(fd >= 0 && worker_open(&worker, 0, planes) == 0);
	worker.clock = (struct pass_clock){ .now_ns = read_clock };
	watch = loop_add(worker.loop, fd, EPOLLIN, asked, NULL);
	nr_answers = nr_asked = 0;
	looks = only_looks;
	step_ns = each_takes_ns;
	worker_attach(&worker, &queue, &ops);
	queue_mark(&queue);
	CHECK(watch && loop_run(worker.loop) == 0);
	CHECK(nr_answers == LOOKS);
	worker_detach(&queue);
	loop_remove(worker.loop, watch);
	worker_close(&worker);
	close(fd);
}

/* Before the first pass, and after the last. */
static void who_only_looks_does_so_in_memory(void **state)
{
	(void)state;
	serve(true, 0);
	CHECK(nr_asked == 2);
}

static void others_do_not_wait_long_for_it(void **state)
{
	(void)state;
	serve(true, 1000000);
	CHECK(nr_asked > LOOKS / 2);
}

static void who_has_something_to_do_is_not_taken_for_one_that_looks(void **state)
{
	(void)state;
	serve(false, 0);
	CHECK(nr_asked == LOOKS + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_only_looks_does_so_in_memory),
		cmocka_unit_test(others_do_not_wait_long_for_it),
		cmocka_unit_test(who_has_something_to_do_is_not_taken_for_one_that_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
