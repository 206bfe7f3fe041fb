/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "blkback/slow.h"

struct slow {
	struct loop *home; /* borrowed */
	struct loop *loop; /* owned */
	struct loop_thread thread;
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
	int err = slow->thread.running ? 0 : loop_thread_start(&slow->thread, slow->loop);

	if (err)
		return err;
	req->slow = slow;
	req->task.run = work;
	loop_post(slow->loop, &req->task);
	return 0;
}

struct slow *slow_free(struct slow *slow)
{
	if (!slow)
		return NULL;
	loop_thread_stop(&slow->thread);
	loop_free(slow->loop);
	free(slow);
	return NULL;
}
