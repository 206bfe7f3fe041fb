/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/events.h"

static struct {
	pthread_mutex_t lock;
	struct event events[EVENTS_MAX];
	unsigned int nr; /* of all events so far */
	uint64_t start_ns;
} last = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A dump is no event: somebody has asked for it. */
static bool is_notable(const char *text)
{
	return strncmp(text, "dump: ", 6) != 0;
}

/* A listener of log.h. Any thread. */
static void hear(enum log_level level, const char *text, size_t who_len, const char *notice)
{
	const char *rest = who_len ? text + who_len + 2 : text; /* behind ": " */
	struct event *event;

	if (!is_notable(text))
		return;
	pthread_mutex_lock(&last.lock);
	event = &last.events[last.nr++ % EVENTS_MAX];
	event->time_ns = wall_ns();
	event->level = level;
	event->notice = notice;
	snprintf(event->who, sizeof(event->who), "%.*s", (int)who_len, text);
	snprintf(event->text, sizeof(event->text), "%s", rest);
	pthread_mutex_unlock(&last.lock);
}

void events_start(void)
{
	last.start_ns = wall_ns();
	log_set_listener(hear);
}

unsigned int events_copy(struct event *ret, uint64_t *ret_since_ns, bool *ret_is_start)
{
	unsigned int nr, first;

	pthread_mutex_lock(&last.lock);
	nr = last.nr < EVENTS_MAX ? last.nr : EVENTS_MAX;
	first = last.nr - nr;
	for (unsigned int i = 0; i < nr; i++)
		ret[i] = last.events[(first + i) % EVENTS_MAX];
	pthread_mutex_unlock(&last.lock);
	*ret_is_start = first == 0;
	*ret_since_ns = *ret_is_start ? last.start_ns : ret[0].time_ns;
	return nr;
}
