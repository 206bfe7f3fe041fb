/* SPDX-License-Identifier: MIT */
/* Calls that a medium may delay: made in order, in a thread. A call that hangs does not delay those of others. */
#include "unit.h"

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "core/slow.h"

enum { NR = 5 };

static struct loop *loop;
static pthread_t home;
static sem_t begun, gate; /* of a call that hangs */
static unsigned int order[NR], nr_done, wanted;

struct call {
	struct slow_request req; /* first */
	unsigned int number;
	bool hangs;
};

static struct call calls[NR];

static void work(struct slow_request *req)
{
	const struct call *call = (struct call *)(void *)req;

	CHECK(!pthread_equal(pthread_self(), home));
	if (!call->hangs)
		return;
	sem_post(&begun);
	sem_wait(&gate);
}

static void done(struct slow_request *req)
{
	const struct call *call = (struct call *)(void *)req;

	CHECK(pthread_equal(pthread_self(), home));
	order[nr_done++] = call->number;
	if (nr_done == wanted)
		loop_quit(loop);
}

static void ask(struct slow *slow, unsigned int number, bool hangs)
{
	calls[number] = (struct call){ .req = { .home = loop, .work = work, .done = done },
				       .number = number,
				       .hangs = hangs };
	CHECK(slow_run(slow, &calls[number].req) == 0);
}

static void wait_for(unsigned int nr)
{
	wanted = nr;
	if (nr_done < nr)
		CHECK(loop_run(loop) == 0);
}

static void calls_are_made_in_order_in_a_thread(void **state)
{
	struct slow *slow = slow_new();

	(void)state;
	CHECK(slow);
	for (unsigned int i = 0; i < NR; i++)
		ask(slow, i, false);
	wait_for(NR);
	for (unsigned int i = 0; i < NR; i++)
		CHECK(order[i] == i);
	slow_free(slow);
}

static void one_that_hangs_holds_up_those_behind_it(void **state)
{
	struct slow *slow = slow_new();

	(void)state;
	ask(slow, 0, true);
	sem_wait(&begun);
	ask(slow, 1, false);
	sem_post(&gate);
	wait_for(2);
	CHECK(order[0] == 0 && order[1] == 1);
	slow_free(slow);
}

static unsigned int nr_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int nr = 0;

	CHECK(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void nobody_is_there_when_it_is_of_no_use(void **state)
{
	unsigned int before = nr_threads();
	struct slow *slow = slow_new();

	(void)state;
	CHECK(nr_threads() == before);
	ask(slow, 0, false);
	wait_for(1);
	while (nr_threads() > before) /* the thread stays for a moment */
		usleep(10000);
	ask(slow, 1, false);
	wait_for(2);
	slow_free(slow);
	while (nr_threads() > before)
		usleep(1000);
}

static int make_loop(void **state)
{
	(void)state;
	home = pthread_self();
	loop = loop_new();
	nr_done = 0;
	return loop && sem_init(&begun, 0, 0) == 0 && sem_init(&gate, 0, 0) == 0 ? 0 : -1;
}

static int free_loop(void **state)
{
	(void)state;
	loop_free(loop);
	sem_destroy(&begun);
	return sem_destroy(&gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(calls_are_made_in_order_in_a_thread, make_loop,
						free_loop),
		cmocka_unit_test_setup_teardown(one_that_hangs_holds_up_those_behind_it, make_loop,
						free_loop),
		cmocka_unit_test_setup_teardown(nobody_is_there_when_it_is_of_no_use, make_loop,
						free_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
