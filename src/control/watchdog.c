/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "core/log.h"
#include "core/sd.h"
#include "control/watchdog.h"

#define NS_PER_S UINT64_C(1000000000)
#define SLOW_NS  (3 * NS_PER_S) /* xenstored is slow if an answer takes longer */

struct watchdog {
	struct watchdog_setup setup;
	struct loop *loop; /* owned */
	struct loop_thread thread;
	struct loop_timer timer;
	struct loop_tick tick;
	uint64_t feed_ns; /* how often; 0: systemd does not ask for it */
	/* The question to the control thread. It goes there and back through the mailboxes. */
	struct loop_task ping;
	bool out;            /* no answer yet: no other question is asked */
	bool failed;         /* the answer was no; only the control thread uses it while `out` */
	uint64_t slow_since; /* when the log said that xenstored is slow; 0: it is not */
};

static void came_back(struct loop_task *task)
{
	container_of(task, struct watchdog, ping)->out = false;
}

/* Runs in the control loop, so that loop is alive. */
static void asked(struct loop_task *task)
{
	struct watchdog *watchdog = container_of(task, struct watchdog, ping);

	watchdog->failed = !watchdog->setup.serves(watchdog->setup.user);
	task->run = came_back;
	loop_post(watchdog->loop, task);
}

static bool all_live(const struct watchdog *watchdog)
{
	return watchdog->out ? watchdog->setup.store->asked_ns != 0 : !watchdog->failed;
}

static void ask(struct watchdog *watchdog)
{
	if (watchdog->out)
		return;
	watchdog->out = true;
	watchdog->ping.run = asked;
	loop_post(watchdog->setup.control, &watchdog->ping);
}

static void feed(void *user)
{
	struct watchdog *watchdog = user;

	loop_timer_set(watchdog->loop, &watchdog->timer, watchdog->feed_ns, feed, watchdog);
	if (all_live(watchdog))
		sd_notify(0, "WATCHDOG=1");
	ask(watchdog);
}

static void look_at_xenstored(void *user)
{
	struct watchdog *watchdog = user;
	uint64_t since = watchdog->setup.store->asked_ns, now = loop_now_ns();

	if (watchdog->slow_since && since != watchdog->slow_since) {
		log_info("xenstored answers again, after %" PRIu64 " s",
			 (now - watchdog->slow_since) / NS_PER_S);
		watchdog->slow_since = 0;
	}
	if (!since || now - since < SLOW_NS)
		return;
	if (!watchdog->slow_since)
		log_warning("xenstored has not answered for %" PRIu64
			    " s: rings are served on, but "
			    "no device comes or goes until it does",
			    (now - since) / NS_PER_S);
	watchdog->slow_since = since;
	if (watchdog->setup.held_up)
		watchdog->setup.held_up();
}

/* Runs on the watchdog's thread, as all that uses its loop from now on. */
static void begin(void *user)
{
	struct watchdog *watchdog = user;

	loop_tick_add(watchdog->loop, &watchdog->tick, look_at_xenstored, watchdog);
	if (watchdog->feed_ns)
		feed(watchdog);
}

static int start(struct watchdog *watchdog)
{
	uint64_t usec = 0;
	int err = sd_watchdog_enabled(0, &usec);

	if (err < 0)
		return err;
	/* Four chances before systemd's time is over. */
	watchdog->feed_ns = usec * 1000 / 4;
	watchdog->loop = loop_new();
	if (!watchdog->loop)
		return -ENOMEM;
	loop_timer_set(watchdog->loop, &watchdog->timer, 0, begin, watchdog);
	return loop_thread_start(&watchdog->thread, watchdog->loop);
}

int watchdog_start(const struct watchdog_setup *setup, struct watchdog **ret_watchdog)
{
	struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
	int err;

	if (!watchdog)
		return -ENOMEM;
	watchdog->setup = *setup;
	err = start(watchdog);
	if (err)
		watchdog_free(watchdog);
	else
		*ret_watchdog = watchdog;
	return err;
}

void watchdog_stop(struct watchdog *watchdog)
{
	if (watchdog)
		loop_thread_stop(&watchdog->thread);
}

struct watchdog *watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return NULL;
	watchdog_stop(watchdog);
	loop_free(watchdog->loop);
	free(watchdog);
	return NULL;
}
