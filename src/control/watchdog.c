/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "core/log.h"
#include "control/watchdog.h"

#define NS_PER_S UINT64_C(1000000000)
#define SLOW_NS  (3 * NS_PER_S) /* for an answer of xenstored's */

/* One question to one loop; goes there and back through the mailboxes. */
struct ping {
	struct loop_task task;
	struct watchdog *watchdog; /* borrowed */
	struct loop *loop;         /* borrowed: whose life is asked for */
	bool out;                  /* no answer yet: nothing more is asked */
	bool failed; /* it has answered that others do not turn; its own until it comes back */
};

struct watchdog {
	struct watchdog_setup setup;
	struct loop *loop; /* owned */
	struct loop_thread thread;
	struct loop_timer timer;
	struct loop_tick tick;
	uint64_t feed_ns;   /* how often; 0: nobody wants to be fed */
	struct ping *pings; /* owned: the control thread's, then each worker's */
	unsigned int nr_pings;
	uint64_t slow_since; /* of xenstored, when it was said; 0: it is not slow */
};

static struct watchdog *watchdog_of(struct loop_task *task)
{
	return ((struct ping *)(void *)task)->watchdog;
}

static void came_back(struct loop_task *task)
{
	((struct ping *)(void *)task)->out = false;
}

/* In the loop that was asked: it turns, so it lives. */
static void asked(struct loop_task *task)
{
	struct ping *ping = (struct ping *)(void *)task;
	const struct watchdog_setup *setup = &ping->watchdog->setup;

	ping->failed = ping->loop == setup->control && !setup->serves(setup->user);
	task->run = came_back;
	loop_post(watchdog_of(task)->loop, task);
}

static bool is_excused(const struct watchdog *watchdog, const struct ping *ping)
{
	return ping == &watchdog->pings[0] && watchdog->setup.store->asked_ns;
}

static bool all_live(const struct watchdog *watchdog)
{
	for (unsigned int i = 0; i < watchdog->nr_pings; i++)
		if ((watchdog->pings[i].out && !is_excused(watchdog, &watchdog->pings[i])) ||
		    watchdog->pings[i].failed)
			return false;
	return true;
}

static void ask_all(struct watchdog *watchdog)
{
	for (unsigned int i = 0; i < watchdog->nr_pings; i++) {
		struct ping *ping = &watchdog->pings[i];

		if (ping->out)
			continue;
		ping->out = true;
		ping->task.run = asked;
		loop_post(ping->loop, &ping->task);
	}
}

static void feed(void *user)
{
	struct watchdog *watchdog = user;

	loop_timer_set(watchdog->loop, &watchdog->timer, watchdog->feed_ns, feed, watchdog);
	if (all_live(watchdog))
		sd_notify(0, "WATCHDOG=1");
	ask_all(watchdog);
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

/* On its own thread, as all that touches its loop from now on. */
static void begin(void *user)
{
	struct watchdog *watchdog = user;

	loop_tick_add(watchdog->loop, &watchdog->tick, look_at_xenstored, watchdog);
	if (watchdog->feed_ns)
		feed(watchdog);
}

static int setup_pings(struct watchdog *watchdog)
{
	const struct watchdog_setup *setup = &watchdog->setup;

	watchdog->nr_pings = 1 + setup->nr_workers;
	watchdog->pings = calloc(watchdog->nr_pings, sizeof(watchdog->pings[0]));
	if (!watchdog->pings)
		return -ENOMEM;
	for (unsigned int i = 0; i < watchdog->nr_pings; i++)
		watchdog->pings[i] =
			(struct ping){ .watchdog = watchdog,
				       .loop = i ? setup->workers[i - 1].loop : setup->control };
	return 0;
}

static int start(struct watchdog *watchdog)
{
	uint64_t usec = 0;
	int err = sd_watchdog_enabled(0, &usec);

	if (err < 0)
		return err;
	/* Four chances before systemd loses its patience. */
	watchdog->feed_ns = usec * 1000 / 4;
	watchdog->loop = loop_new();
	if (!watchdog->loop)
		return -ENOMEM;
	err = setup_pings(watchdog);
	if (err)
		return err;
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
	free(watchdog->pings);
	free(watchdog);
	return NULL;
}
