/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "core/slow.h"
#include "core/thread.h"

enum { LINGER_S = 2 }; /* so that a call each second does not need a new thread each time */

struct slow {
	pthread_mutex_t lock;
	pthread_cond_t more;
	STAILQ_HEAD(, loop_task) todo;
	unsigned int nr_users; /* the owner, and the thread */
	bool served;           /* there is a thread */
	bool closed;           /* by its owner */
};

static void put(struct slow *slow)
{
	bool last = --slow->nr_users == 0;

	pthread_mutex_unlock(&slow->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&slow->lock);
	pthread_cond_destroy(&slow->more);
	free(slow);
}

static void come_back(struct loop_task *task)
{
	struct slow_request *req = (struct slow_request *)(void *)task;

	req->done(req);
}

/* Wait for something to do, but not for ever. NULL: the thread ends. */
static struct slow_request *next(struct slow *slow)
{
	struct loop_task *task;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LINGER_S;
	while (!(task = STAILQ_FIRST(&slow->todo)) && !slow->closed && !err)
		err = pthread_cond_timedwait(&slow->more, &slow->lock, &until);
	if (!task)
		return NULL;
	STAILQ_REMOVE_HEAD(&slow->todo, link);
	return (struct slow_request *)(void *)task;
}

static void *serve(void *user)
{
	struct slow *slow = user;
	struct slow_request *req;

	pthread_mutex_lock(&slow->lock);
	while ((req = next(slow))) {
		pthread_mutex_unlock(&slow->lock);
		req->work(req);
		pthread_mutex_lock(&slow->lock);
		req->task.run = come_back;
		loop_post(req->home,
			  &req->task); /* locked: its owner may free us and the loop next */
	}
	slow->served = false;
	put(slow);
	return NULL;
}

static int start_serving(struct slow *slow)
{
	int err = thread_start(serve, slow);

	if (err)
		return err;
	slow->nr_users++;
	slow->served = true;
	return 0;
}

int slow_run(struct slow *slow, struct slow_request *req)
{
	int err;

	pthread_mutex_lock(&slow->lock);
	err = slow->served ? 0 : start_serving(slow);
	if (!err)
		STAILQ_INSERT_TAIL(&slow->todo, &req->task, link);
	pthread_mutex_unlock(&slow->lock);
	if (!err)
		pthread_cond_signal(&slow->more); /* now it finds the lock free */
	return err;
}

bool slow_recall(struct slow *slow, struct slow_request *req)
{
	struct loop_task *task;

	pthread_mutex_lock(&slow->lock);
	STAILQ_FOREACH(task, &slow->todo, link)
		if (task == &req->task)
			break;
	if (task)
		STAILQ_REMOVE(&slow->todo, task, loop_task, link);
	pthread_mutex_unlock(&slow->lock);
	return task != NULL;
}

struct slow *slow_new(void)
{
	struct slow *slow = calloc(1, sizeof(*slow));
	pthread_condattr_t attr;

	if (!slow)
		return NULL;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&slow->lock, NULL);
	pthread_cond_init(&slow->more, &attr);
	pthread_condattr_destroy(&attr);
	STAILQ_INIT(&slow->todo);
	slow->nr_users = 1;
	return slow;
}

struct slow *slow_free(struct slow *slow)
{
	if (!slow)
		return NULL;
	pthread_mutex_lock(&slow->lock);
	slow->closed = true;
	pthread_cond_broadcast(&slow->more);
	put(slow);
	return NULL;
}

static void *close_it(void *user)
{
	close((int)(intptr_t)user);
	return NULL;
}

void slow_close(int *fd)
{
	if (*fd >= 0 && thread_start(close_it, (void *)(intptr_t)*fd))
		close(*fd);
	*fd = -1;
}
