/* SPDX-License-Identifier: MIT */
/* Calls that may never return, made by child processes; this program is also the child. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/opener.h"
#include "control/spawn.h"
#include "core/container_of.h"

enum { NR = 4 };

struct question {
	int number;
	pid_t who;      /* the process that answered */
	char path[256]; /* of a FIFO that it opens first */
	char room[20000];
};

struct asked {
	struct opener_request req;
	struct question question;
	int err, fd;
};

static char dir[] = "/tmp/test-opener-XXXXXX", fifo[256];
static struct loop *loop;
static struct opener *opener;
static struct asked asked[NR];
static unsigned int order[NR], nr_done, wanted;

/* --- the child --- */

static int count_up(void *arg)
{
	struct question *question = arg;
	int fd = *question->path ? open(question->path, O_RDONLY | O_CLOEXEC) : -1;

	question->number++;
	question->who = getpid();
	return fd;
}

static int die(void *arg)
{
	(void)arg;
	_exit(0);
}

static const struct opener_kind counting = { sizeof(struct question), count_up };
static const struct opener_kind dying = { sizeof(int), die };
static const struct opener_kind *const kinds[] = { &dying, &counting, NULL };

/* --- the parent --- */

static void done(struct opener_request *req, int err, int fd)
{
	struct asked *a = container_of(req, struct asked, req);

	a->err = err;
	a->fd = fd;
	order[nr_done++] = (unsigned int)(a - asked);
	if (nr_done == wanted)
		loop_quit(loop);
}

static void ask(unsigned int i, const struct opener_kind *kind, const char *path)
{
	asked[i] = (struct asked){
		.req = { .kind = kind, .question = &asked[i].question, .done = done },
		.question.number = (int)i,
		.err = 1
	};
	strcpy(asked[i].question.path, path);
	CHECK(opener_ask(opener, &asked[i].req) == 0);
	CHECK(asked[i].err == 1); /* never before the call returns */
}

static void wait_for(unsigned int nr)
{
	wanted = nr;
	if (nr_done < nr)
		CHECK(loop_run(loop) == 0);
}

static void look_for_children(void *user)
{
	siginfo_t info;

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
		loop_quit(loop);
	else
		loop_timer_set(loop, user, 10000000, look_for_children, user);
}

static void wait_until_all_children_are_gone(void)
{
	struct loop_timer timer = { 0 };

	look_for_children(&timer);
	CHECK(loop_run(loop) == 0);
	loop_timer_cancel(&timer);
}

static void all_are_answered(void)
{
	nr_done = 0;
	for (unsigned int i = 0; i < NR; i++)
		ask(i, &counting, i == 1 ? "/dev/null" : "");
	wait_for(NR);
	for (unsigned int i = 0; i < NR; i++) {
		CHECK(asked[i].err == 0 && asked[i].question.number == (int)i + 1);
		CHECK((asked[i].fd >= 0) == (i == 1));
		CHECK(asked[i].question.who != getpid());
	}
	CHECK(fcntl(asked[1].fd, F_GETFD) == FD_CLOEXEC);
	close(asked[1].fd);
}

static bool by_one_child(void)
{
	for (unsigned int i = 1; i < NR; i++)
		if (asked[i].question.who != asked[0].question.who)
			return false;
	return true;
}

/* On a busy machine a child may be late, and then another one does the work. */
static void one_child_answers_in_order_and_goes_when_it_is_of_no_use(void **state)
{
	(void)state;
	/* Several children that live would share the questions of each later round, too. */
	for (all_are_answered(); !by_one_child(); all_are_answered())
		wait_until_all_children_are_gone();
	for (unsigned int i = 0; i < NR; i++)
		CHECK(order[i] == i);
	wait_until_all_children_are_gone();
}

static void one_that_hangs_holds_up_nobody(void **state)
{
	int writer;

	(void)state;
	ask(0, &counting, fifo);
	ask(1, &counting, fifo);
	ask(2, &counting, "");
	wait_for(1);
	CHECK(order[0] == 2 && asked[2].err == 0);
	writer = open(fifo, O_WRONLY);
	wait_for(3);
	CHECK(asked[0].err == 0 && asked[1].err == 0);
	CHECK(asked[0].question.who != asked[1].question.who);
	close(writer);
	close(asked[0].fd);
	close(asked[1].fd);
}

static void nobody_waits_for_one_that_is_given_up(void **state)
{
	(void)state;
	ask(0, &counting, fifo);
	opener_give_up(opener, &asked[0].req); /* nobody has it yet */
	ask(1, &counting, fifo);
	ask(2, &counting, "");
	wait_for(1);
	CHECK(order[0] == 2);
	opener_give_up(opener, &asked[1].req);
	opener_give_up(opener, &asked[1].req);
	wait_until_all_children_are_gone();
	CHECK(nr_done == 1);
}

static void one_that_dies_takes_one_question_with_it(void **state)
{
	(void)state;
	ask(0, &dying, "");
	ask(1, &counting, "");
	wait_for(2);
	CHECK(asked[0].err == -ECHILD && asked[1].err == 0);
}

static void the_end_waits_for_nobody(void **state)
{
	(void)state;
	ask(0, &counting, fifo);
	ask(1, &counting, "");
	wait_for(1);
	opener_give_up(opener, &asked[0].req);
}

static int begin(void **state)
{
	(void)state;
	nr_done = 0;
	loop = loop_new();
	opener = loop ? opener_new(loop, kinds) : NULL;
	return opener ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	opener_free(opener);
	loop_free(loop);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}

static int make_fifo(void **state)
{
	(void)state;
	CHECK(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	return mkfifo(fifo, 0600);
}

static int remove_fifo(void **state)
{
	(void)state;
	unlink(fifo);
	return rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_child_answers_in_order_and_goes_when_it_is_of_no_use, begin, end),
		cmocka_unit_test_setup_teardown(one_that_hangs_holds_up_nobody, begin, end),
		cmocka_unit_test_setup_teardown(nobody_waits_for_one_that_is_given_up, begin, end),
		cmocka_unit_test_setup_teardown(one_that_dies_takes_one_question_with_it, begin,
						end),
		cmocka_unit_test_setup_teardown(the_end_waits_for_nobody, begin, end),
	};

	if (argc == 2 && !strcmp(argv[1], OPENER_ARGUMENT))
		return opener_serve(kinds);
	if (spawn_reserve())
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, make_fifo, remove_fifo);
}
