/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "blkback/slow.h"

struct slow {
	struct loop *home; /* borrowed */
	struct loop *loop; /* owned */
	pthread_t thread;
	bool running;
};

struct slow *slow_new(struct loop *home)
{
	struct slow *slow = calloc(1, sizeof(*slow));

	if (!slow)
		return NULL;
	slow->home = home;
	slow->loop = loop_new();
	return slow->loop ? slow : slow_free(slow);
}

static void *thread_main(void *user)
{
	struct slow *slow = user;

	loop_run(slow->loop);
	return NULL;
}

/* Signals are the main thread's. */
static int start(struct slow *slow)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&slow->thread, NULL, thread_main, slow);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	slow->running = err == 0;
	return -err;
}

static void come_back(struct loop_task *task)
{
	struct slow_request *req = (struct slow_request *)(void *)task;

	req->done(req);
}

static void work(struct loop_task *task)
{
	struct slow_request *req = (struct slow_request *)(void *)task;

	req->work(req);
	req->task.run = come_back;
	loop_post(req->slow->home, &req->task);
}

int slow_run(struct slow *slow, struct slow_request *req)
{
	int err = slow->running ? 0 : start(slow);

	if (err)
		return err;
	req->slow = slow;
	req->task.run = work;
	loop_post(slow->loop, &req->task);
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

struct slow *slow_free(struct slow *slow)
{
	if (!slow)
		return NULL;
	if (slow->running) {
		struct quit_task task = { .task.run = quit, .loop = slow->loop };

		loop_post(slow->loop, &task.task);
		pthread_join(slow->thread, NULL);
	}
	loop_free(slow->loop);
	free(slow);
	return NULL;
}
