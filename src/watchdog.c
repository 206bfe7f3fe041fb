/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "watchdog.h"

/* One question to one worker; goes there and back through the mailboxes. */
struct ping {
	struct loop_task task;
	struct watchdog *watchdog; /* borrowed */
	struct worker *worker;     /* borrowed */
};

struct watchdog {
	struct loop *loop; /* borrowed */
	struct loop_timer timer;
	uint64_t interval_ns;
	void (*feed)(void);
	struct ping *pings; /* owned */
	unsigned int nr_workers;
	unsigned int nr_answers;
};

static void answered(struct loop_task *task)
{
	struct watchdog *watchdog = ((struct ping *)(void *)task)->watchdog;

	if (++watchdog->nr_answers == watchdog->nr_workers)
		watchdog->feed();
}

/* In the worker: it turns its loop, so it lives. */
static void asked(struct loop_task *task)
{
	struct ping *ping = (struct ping *)(void *)task;

	ping->task.run = answered;
	loop_post(ping->watchdog->loop, &ping->task);
}

/* While an answer is missing nobody is asked again: its ping is still under way. */
static void ask(void *user)
{
	struct watchdog *watchdog = user;

	loop_timer_set(watchdog->loop, &watchdog->timer, watchdog->interval_ns, ask, watchdog);
	if (watchdog->nr_answers < watchdog->nr_workers)
		return;
	watchdog->nr_answers = 0;
	for (unsigned int i = 0; i < watchdog->nr_workers; i++) {
		watchdog->pings[i].task.run = asked;
		loop_post(watchdog->pings[i].worker->loop, &watchdog->pings[i].task);
	}
}

struct watchdog *watchdog_new(struct loop *loop, struct worker *workers, unsigned int nr_workers,
			      uint64_t interval_ns, void (*feed)(void))
{
	struct watchdog *watchdog = calloc(1, sizeof(*watchdog));

	if (!watchdog)
		return NULL;
	watchdog->pings = calloc(nr_workers, sizeof(watchdog->pings[0]));
	if (!watchdog->pings)
		return watchdog_free(watchdog);
	watchdog->loop = loop;
	watchdog->interval_ns = interval_ns;
	watchdog->feed = feed;
	watchdog->nr_workers = nr_workers;
	watchdog->nr_answers = nr_workers;
	for (unsigned int i = 0; i < nr_workers; i++)
		watchdog->pings[i] = (struct ping){ .watchdog = watchdog, .worker = &workers[i] };
	ask(watchdog);
	return watchdog;
}

static void feed_systemd(void)
{
	sd_notify(0, "WATCHDOG=1");
}

struct watchdog *watchdog_start(struct loop *loop, struct worker *workers, unsigned int nr_workers,
				int *ret_err)
{
	struct watchdog *watchdog;
	uint64_t usec;
	int ret = sd_watchdog_enabled(0, &usec);

	*ret_err = ret < 0 ? ret : 0;
	if (ret <= 0)
		return NULL;
	/* Three chances before systemd loses its patience. */
	watchdog = watchdog_new(loop, workers, nr_workers, usec * 1000 / 3, feed_systemd);
	if (!watchdog)
		*ret_err = -ENOMEM;
	return watchdog;
}

struct watchdog *watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return NULL;
	loop_timer_cancel(&watchdog->timer);
	free(watchdog->pings);
	free(watchdog);
	return NULL;
}
