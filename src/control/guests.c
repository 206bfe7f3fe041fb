/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/guests.h"
#include "control/store.h"
#include "core/link.h"
#include "core/log.h"
#include "core/parse.h"

#define BUCKETS       64u
#define MAX_FOUND     4096u
#define MAX_LEFT      4096u /* devices of one guest */
#define MAX_HEARD     128u  /* of one process a second, so that others are heard, too */
#define NS_PER_S      1000000000ull
#define GREET_NS      (2 * NS_PER_S)
#define ASK_RESTING_S (12 * NOTICE_LOOK_S) /* between PINGs to a process without work */
#define SILENT_S      2u                   /* without an answer: hung, if it serves nothing */
#define END_S         30u                  /* for a process that serves nothing to end */
#define LET_GO_S      3u                   /* for a process to stop an abandoned device */
#define TURN_NS       (5 * NS_PER_S)       /* to replace a process: then others have their turn */
#define MAX_BACKOFF   4u                   /* 10 ms << 2 * that: 2.5 s */
#define BACKOFF_NS    10000000ull
#define STEADY_S      10u /* a process that dies later dies of another cause */

/* A device that a process serves, and that this control has not adopted yet. */
struct left {
	LIST_ENTRY(left) link;
	struct message start;
	struct message_served served;
	struct stats_view figures;
	bool whole;    /* its START has come, too */
	bool stopping; /* it was told to stop: STOPPED follows */
};

/* The process that serves a guest's rings, or the thread that serves all. */
struct guest_link {
	LIST_ENTRY(guest_link) link;
	struct guests *guests; /* borrowed */
	uint32_t domid;        /* 0: all */
	struct link *socket;   /* owned; NULL: we no longer speak to it */
	struct guest_process process;
	LIST_HEAD(, device) devices;
	LIST_HEAD(, left) left;
	bool greeting;        /* guests_find() waits for its HELLO */
	bool greeted;         /* its HELLO has come */
	uint32_t nr_expected; /* devices that follow its HELLO */
	char version[32];
	uint32_t protocol;
	unsigned int nr_heard; /* messages since the last tick */
	bool talks_too_much;   /* the log has said so */
	bool outdated;         /* from before an upgrade: it is replaced when it has its turn */
	bool foreign;  /* it speaks another protocol: also outdated, and only END is sent to it */
	bool has_turn; /* to be replaced */
	bool ending;   /* END was sent, by us or an earlier control */
	unsigned int ending_s; /* since when */
	uint64_t started_ns;
	unsigned int unanswered_s; /* since the last PONG or STARTED */
	bool asked;
	bool told;      /* something was sent to it since the last PING */
	bool abandoned; /* one of its devices may be abandoned */
	bool holds_on;  /* it has not let go of an abandoned device, and control has forgotten it */
};

/* A guest whose process has died, and when the next one may start. Kept until one of its processes ends without a device. */
struct mourned {
	LIST_ENTRY(mourned) link;
	struct guests *guests;
	uint32_t domid;
	unsigned int restarts;
	unsigned int deaths; /* in a row */
	uint64_t died_ns;    /* of the last */
	struct loop_timer timer;
};

struct guests {
	struct guests_setup setup;
	LIST_HEAD(, guest_link) links[BUCKETS];
	LIST_HEAD(, mourned) mourned;
	uint32_t life; /* the last one given */
	unsigned int nr_greeting;
	void (*greeted)(void *user);
	void *greeted_user;
	struct loop_timer greet_timer;
	unsigned int nr_ticks;       /* of guests_look_after() */
	int trace_fd;                /* owned; where traces go: log_trace_to() */
	LIST_HEAD(, device) waiting; /* until the process that served their guest is gone */
	uint32_t turn;               /* counts the outdated processes that were told to end */
	unsigned int nr_returning;   /* devices of the last of them that are not served again yet */
	struct loop_timer turn_timer;
};

/* --- small things --- */

void guests_log(uint32_t domid, enum log_level level, const char *fmt, ...)
{
	char who[32];
	va_list ap;

	snprintf(who, sizeof(who), "guest %u", domid);
	va_start(ap, fmt);
	log_vabout(level, who, fmt, ap);
	va_end(ap);
}

bool guests_logged(const char *who, uint32_t *ret_domid)
{
	return !strncmp(who, "guest ", 6) && !parse_u32(who + 6, 0, UINT32_MAX, ret_domid);
}

static bool is_thread(const struct guest_link *g)
{
	return g->process.pidfd < 0;
}

static uint32_t key_of(const struct guests *guests, uint32_t domid)
{
	return guests->setup.isolation == ISOLATION_NONE ? 0 : domid;
}

static struct guest_link *find_exact(const struct guests *guests, uint32_t key)
{
	struct guest_link *g;

	LIST_FOREACH(g, &guests->links[key % BUCKETS], link)
		if (g->domid == key)
			return g;
	return NULL;
}

static struct guest_link *find_link(const struct guests *guests, uint32_t domid)
{
	return find_exact(guests, key_of(guests, domid));
}

#define for_each_link(guests, g)                                                                   \
	for (unsigned int bucket_ = 0; bucket_ < BUCKETS; bucket_++)                               \
		LIST_FOREACH((g), &(guests)->links[bucket_], link)

static bool is_about(const struct message *message, const struct device *dev)
{
	return message->devid == dev->devid && message->domid == dev->domid &&
	       message->kind == message_kind_of(dev->ops->kind);
}

static bool is_spoken_to(const struct guest_link *g)
{
	return g->socket && !g->foreign;
}

static void send_plain(struct guest_link *g, uint32_t type)
{
	link_send(g->socket, &(struct message){ .type = type }, NULL, 0);
}

static void tell_to_end(struct guest_link *g)
{
	if (g->socket && !g->ending)
		send_plain(g, MESSAGE_END);
	g->ending = true;
}

static void send_log_level(struct guest_link *g)
{
	const uint32_t level = (uint32_t)g->guests->setup.process.log_level;

	link_send(g->socket,
		  &(struct message){ .type = MESSAGE_LOG_LEVEL, .log_level.level = level }, NULL,
		  0);
}

static void send_trace_fd(struct guest_link *g)
{
	const int *fd = &g->guests->trace_fd;
	const bool log = *fd == LOG_TRACE_STDERR;

	link_send(g->socket, &(struct message){ .type = MESSAGE_TRACE, .trace.log = log }, fd,
		  *fd >= 0);
}

/* --- devices that wait --- */

static void wait_for_guest(struct device *dev)
{
	if (dev->awaits_guest)
		return;
	dev->awaits_guest = true;
	LIST_INSERT_HEAD(&dev->env->guests->waiting, dev, served_link);
}

static void wake(struct guests *guests, uint32_t domid)
{
	struct device *dev, *next;

	for (dev = LIST_FIRST(&guests->waiting); dev; dev = next) {
		next = LIST_NEXT(dev, served_link);
		if (domid && dev->domid != domid)
			continue;
		guests_forget(dev);
		dev->env->ready(dev);
	}
}

void guests_forget(struct device *dev)
{
	if (dev->served_by || dev->awaits_guest)
		LIST_REMOVE(dev, served_link);
	dev->served_by = NULL;
	dev->awaits_guest = false;
	dev->rests = false;
	stats_view_close(&dev->figures);
}

static void serve(struct guest_link *g, struct device *dev)
{
	guests_forget(dev);
	dev->served_by = g;
	LIST_INSERT_HEAD(&g->devices, dev, served_link);
}

/* --- a process that dies at once, again and again --- */

static struct mourned *find_mourned(const struct guests *guests, uint32_t domid)
{
	struct mourned *m;

	LIST_FOREACH(m, &guests->mourned, link)
		if (m->domid == domid)
			return m;
	return NULL;
}

static void forget_mourned(struct mourned *m)
{
	if (!m)
		return;
	loop_timer_cancel(&m->timer);
	LIST_REMOVE(m, link);
	free(m);
}

static void mourned_enough(void *user)
{
	struct mourned *m = user;

	wake(m->guests, m->domid);
}

static struct mourned *new_mourned(struct guest_link *g)
{
	struct mourned *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->guests = g->guests;
	m->domid = g->domid;
	LIST_INSERT_HEAD(&m->guests->mourned, m, link);
	return m;
}

/* After the first death the next process starts at once: an admin may have killed it, or it was told to end. */
static void mourn(struct guest_link *g)
{
	struct guests *guests = g->guests;
	struct mourned *m = find_mourned(guests, g->domid) ?: new_mourned(g);
	unsigned int shift;

	if (!m)
		return;
	m->restarts++;
	m->died_ns = loop_now_ns();
	if (g->ending || loop_now_ns() - g->started_ns > STEADY_S * NS_PER_S) {
		m->deaths = 0;
		return;
	}
	shift = m->deaths < MAX_BACKOFF ? m->deaths : MAX_BACKOFF;
	m->deaths++;
	loop_timer_set(guests->setup.loop, &m->timer, shift ? BACKOFF_NS << 2 * shift : 0,
		       mourned_enough, m);
	if (m->deaths > 2)
		guests_log(g->domid, LOG_LEVEL_WARNING,
			   "its process has died %u times in a row; the next starts in "
			   "%llu ms",
			   m->deaths, (unsigned long long)((BACKOFF_NS << 2 * shift) / 1000000));
}

/* --- the end of a link --- */

static void forget_left(struct left *left)
{
	LIST_REMOVE(left, link);
	stats_view_close(&left->figures);
	free(left);
}

static void forget_all_left(struct guest_link *g)
{
	struct left *left;

	while ((left = LIST_FIRST(&g->left)))
		forget_left(left);
}

static void no_more_greeting(struct guest_link *g);
static void expect_back(struct device *dev);
static void next_turn(void *user);

static void close_link(struct guest_link *g, bool over)
{
	struct guests *guests = g->guests;

	g->socket = link_free(g->socket);
	forget_all_left(g);
	guest_process_close(&g->process, &guests->setup.process, over);
	LIST_REMOVE(g, link);
	free(g);
}

static void say_gone(const struct guest_link *g)
{
	int pid = (int)g->process.pid;
	const char *how = g->process.how;

	if (!g->ending && (!LIST_EMPTY(&g->devices) || !LIST_EMPTY(&g->left)))
		guests_log(g->domid, LOG_LEVEL_WARNING,
			   "its process (%d) has ended%s%s; the rings are taken up by "
			   "another",
			   pid, *how ? ": " : "", how);
	else if (g->ending_s >= END_S)
		guests_log(g->domid, LOG_LEVEL_INFO,
			   "its process (%d) has ended, and what it had open is closed", pid);
}

/* The kernel has ended the process and its I/O. Nobody serves these rings now. */
static void gone(void *user)
{
	struct guest_link *g = user;
	struct guests *guests = g->guests;
	uint32_t domid = g->domid;
	bool had_turn = g->has_turn;
	struct device *dev;

	say_gone(g);
	if (!LIST_EMPTY(&g->devices) || !LIST_EMPTY(&g->left))
		mourn(g);
	else
		forget_mourned(find_mourned(guests, domid));
	no_more_greeting(g);
	while ((dev = LIST_FIRST(&g->devices))) {
		guests_forget(dev);
		if (had_turn && dev->activity != DEVICE_DETACHING)
			expect_back(dev);
		device_lost(dev);
	}
	close_link(g, true);
	LIST_FOREACH(dev, &guests->waiting, served_link)
		if (had_turn && dev->domid == domid)
			expect_back(dev);
	wake(guests, domid);
	if (had_turn && !guests->nr_returning)
		next_turn(guests);
}

/* Kill it and speak to it no more. gone() follows when the kernel has ended it. */
static void give_up(struct guest_link *g)
{
	g->socket = link_free(g->socket);
	forget_all_left(g);
	no_more_greeting(g);
	guest_process_kill(&g->process);
}

static void socket_ended(void *user, int err)
{
	struct guest_link *g = user;

	if (is_thread(g)) {
		log_error("the thread that serves the rings is not heard: %s", strerror(-err));
		abort(); /* it is a thread of ours */
	}
	if (err == -EPROTO)
		guests_log(g->domid, LOG_LEVEL_ERROR,
			   "its process (%d) has sent what it must not: it is ended",
			   (int)g->process.pid);
	give_up(g);
}

/* --- messages from a process --- */

static struct device *find_device(const struct guest_link *g, const struct message *message)
{
	struct device *dev;

	LIST_FOREACH(dev, &g->devices, served_link)
		if (dev->life == message->life && is_about(message, dev))
			return dev;
	return NULL;
}

static struct left *find_left(const struct guest_link *g, const struct message *message)
{
	struct left *left;

	LIST_FOREACH(left, &g->left, link)
		if (left->start.life == message->life && left->start.devid == message->devid &&
		    left->start.domid == message->domid && left->start.kind == message->kind)
			return left;
	return NULL;
}

static void protocol_error(struct guest_link *g)
{
	socket_ended(g, -EPROTO);
}

static bool may_be_of(const struct guest_link *g, const struct message *message)
{
	return !g->domid || message->domid == g->domid;
}

/* A device whose process sends no figures, or none that are valid, is served all the same. It just shows none. */
static void take_figures(struct stats_view *view, const int *fds, unsigned int nr_fds)
{
	if (nr_fds && !view->mem)
		stats_view_open(view, fds[0]);
}

static void note_left(struct guest_link *g, const struct message *message, const int *fds,
		      unsigned int nr_fds)
{
	struct left *left = g->nr_expected ? calloc(1, sizeof(*left)) : NULL;

	if (!left || !may_be_of(g, message) || find_left(g, message)) {
		free(left);
		protocol_error(g);
		return;
	}
	g->nr_expected--;
	left->start = *message;
	left->served = message->served;
	take_figures(&left->figures, fds, nr_fds);
	LIST_INSERT_HEAD(&g->left, left, link);
	if (message->life > g->guests->life)
		g->guests->life = message->life;
}

static void note_start(struct guest_link *g, const struct message *message)
{
	struct left *left = find_left(g, message);

	if (!left || left->whole) {
		protocol_error(g);
		return;
	}
	left->start = *message;
	left->whole = true;
}

/* A message that was under way when the last control ended. */
static void left_has_changed(struct guest_link *g, struct left *left, const struct message *message,
			     const int *fds, unsigned int nr_fds)
{
	if (message->type == MESSAGE_STARTED) {
		left->served.starting = false;
		take_figures(&left->figures, fds, nr_fds);
	}
	if (message->type == MESSAGE_BROKE)
		left->served.broke = message->error;
	if (message->type == MESSAGE_STOPPED ||
	    (message->type == MESSAGE_STARTED && message->started.err)) {
		forget_left(left);
		wake(g->guests, g->domid);
	}
}

static bool is_settled(const struct guest_link *g)
{
	struct left *left;

	if (!g->greeted || g->nr_expected)
		return false;
	LIST_FOREACH(left, &g->left, link)
		if (!left->whole || left->served.starting)
			return false;
	return true;
}

/* The process may be of another version, or there may be processes where a thread is to serve now. */
static void compare(struct guest_link *g, const struct message_hello *hello)
{
	g->ending = hello->ending;
	g->foreign = hello->protocol != MESSAGE_PROTOCOL ||
		     g->guests->setup.isolation != ISOLATION_GUEST;
	g->outdated =
		g->foreign || g->process.older || strcmp(hello->version, PACKAGE_VERSION) != 0;
}

static void hello(struct guest_link *g, const struct message_hello *hello)
{
	/* A process that we have started serves nothing yet. */
	if (g->greeted || hello->nr_devices > (g->greeting ? MAX_LEFT : 0)) {
		protocol_error(g);
		return;
	}
	g->greeted = true;
	g->protocol = hello->protocol;
	memcpy(g->version, hello->version, sizeof(g->version));
	if (g->greeting)
		compare(g, hello);
	if (g->foreign) {
		link_rest(g->socket, true);
		return;
	}
	g->nr_expected = hello->nr_devices;
	send_log_level(g); /* an earlier control may have had another level */
	if (!is_thread(g))
		send_trace_fd(g);
}

static void answer(struct guest_link *g, const struct message *message, int *fds,
		   unsigned int nr_fds)
{
	struct device *dev = find_device(g, message);
	struct left *left = dev ? NULL : find_left(g, message);

	if (dev && message->type == MESSAGE_STOPPED && g->ending &&
	    dev->activity != DEVICE_DETACHING)
		return; /* it stops all devices; gone() follows */
	if ((dev || left) && message->type == MESSAGE_STARTED)
		g->unanswered_s = 0; /* PING waits behind the other devices that are to start */
	if (dev && message->type == MESSAGE_STARTED)
		take_figures(&dev->figures, fds, nr_fds);
	if (dev)
		dev->ops->answer(dev, message, fds, nr_fds);
	else if (left)
		left_has_changed(g, left, message, fds, nr_fds);
}

/* At first a process reports all its devices, so it may send more. But only as many messages as that takes. */
static void count_heard(struct guest_link *g)
{
	if (is_thread(g) || g->greeting || ++g->nr_heard < MAX_HEARD)
		return;
	link_rest(g->socket, true);
	if (!g->talks_too_much)
		guests_log(g->domid, LOG_LEVEL_WARNING,
			   "its process (%d) says more than %u things a second: the "
			   "rest waits",
			   (int)g->process.pid, MAX_HEARD);
	g->talks_too_much = true;
}

static void received(void *user, const struct message *message, int *fds, unsigned int nr_fds)
{
	struct guest_link *g = user;

	count_heard(g);
	switch (message->type) {
	case MESSAGE_HELLO:
		hello(g, &message->hello);
		break;
	case MESSAGE_DEVICE:
		note_left(g, message, fds, nr_fds);
		break;
	case MESSAGE_START_DISK:
	case MESSAGE_START_NIC:
		note_start(g, message);
		break;
	case MESSAGE_PONG:
		g->asked = false;
		g->unanswered_s = 0;
		break;
	default:
		answer(g, message, fds, nr_fds);
	}
	if (g->socket && is_settled(g))
		no_more_greeting(g);
}

/* --- a new link --- */

static struct guest_link *new_link(struct guests *guests, uint32_t domid,
				   const struct guest_process *process, int fd)
{
	struct guest_link *g = calloc(1, sizeof(*g));
	struct link_setup setup = { .loop = guests->setup.loop,
				    .fd = fd,
				    .other = MESSAGE_FROM_GUEST,
				    .received = received,
				    .ended = socket_ended,
				    .user = g };
	struct message message = { .type = MESSAGE_HELLO };

	if (!g) {
		close(fd);
		return NULL;
	}
	g->guests = guests;
	g->domid = domid;
	g->process = *process;
	g->started_ns = loop_now_ns();
	LIST_INIT(&g->devices);
	LIST_INIT(&g->left);
	LIST_INSERT_HEAD(&guests->links[domid % BUCKETS], g, link);
	g->socket = link_new(&setup);
	if (!g->socket ||
	    (!is_thread(g) && guest_process_watch(&g->process, guests->setup.loop, gone, g))) {
		guest_process_kill(&g->process);
		close_link(g, true);
		return NULL;
	}
	message.hello.protocol = MESSAGE_PROTOCOL;
	snprintf(message.hello.version, sizeof(message.hello.version), "%s", PACKAGE_VERSION);
	link_send(g->socket, &message, NULL, 0);
	return g;
}

/* The guest's name, which ps shows to an admin. */
static void name_of(const struct guests *guests, uint32_t domid, char name[64])
{
	char dir[48], text[64];

	snprintf(dir, sizeof(dir), "/local/domain/%u", domid);
	if (!guests->setup.store ||
	    store_read(guests->setup.store, XBT_NULL, dir, "name", text, sizeof(text)))
		snprintf(text, sizeof(text), "%u", domid);
	snprintf(name, 64, "%s", text);
}

static struct guest_link *start_process(struct guests *guests, uint32_t domid)
{
	struct guest_process process;
	char name[64];
	int fd, err;

	name_of(guests, domid, name);
	err = guest_process_start(&guests->setup.process, domid, name, &process, &fd);
	if (err) {
		errno = -err;
		return NULL;
	}
	return new_link(guests, domid, &process, fd);
}

/* --- devices --- */

static struct left *left_of(const struct device *dev)
{
	const struct guests *guests = dev->env->guests;
	struct guest_link *g = guests ? find_link(guests, dev->domid) : NULL;
	struct left *left;

	if (!g)
		return NULL;
	LIST_FOREACH(left, &g->left, link)
		if (is_about(&left->start, dev))
			return left;
	return NULL;
}

static void stop_left(struct guest_link *g, struct left *left)
{
	struct message message = left->start;

	if (left->stopping || left->served.stopping || g->ending)
		return;
	left->stopping = true;
	message.type = MESSAGE_STOP;
	message.stop = (struct message_stop){ .abandon = true };
	link_send(g->socket, &message, NULL, 0);
}

bool guests_may_start(struct device *dev)
{
	struct guests *guests = dev->env->guests;
	struct guest_link *process =
		find_exact(guests, dev->domid); /* also when a thread is to serve it */
	struct guest_link *g = find_link(guests, dev->domid);
	struct mourned *m = find_mourned(guests, dev->domid);
	struct left *left = left_of(dev);

	if (left)
		stop_left(g, left);
	if (!left && (!process || process == g) && (!g || (is_spoken_to(g) && !g->ending)) &&
	    !(m && m->timer.armed))
		return true;
	wait_for_guest(dev);
	return false;
}

int guests_start(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds)
{
	struct guests *guests = dev->env->guests;
	struct guest_link *g = find_link(guests, dev->domid);

	if (!g)
		g = start_process(guests, dev->domid);
	if (!g)
		return -errno;
	dev->life = ++guests->life;
	serve(g, dev);
	guests_send(dev, message, fds, nr_fds);
	return 0;
}

void guests_abandon(struct device *dev)
{
	dev->abandoned_ns = loop_now_ns();
	if (dev->served_by)
		dev->served_by->abandoned = true;
}

void guests_send(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds)
{
	struct guest_link *g = dev->served_by;

	if (!g)
		return;
	g->told = true;
	if (!g->socket)
		return;
	message->kind = message_kind_of(dev->ops->kind);
	message->domid = dev->domid;
	message->devid = dev->devid;
	message->life = dev->life;
	link_send(g->socket, message, fds, nr_fds);
}

bool guests_left(const struct device *dev)
{
	const struct left *left = left_of(dev);

	return left && left->whole && !left->served.stopping && !left->stopping &&
	       !left->served.starting && !find_link(dev->env->guests, dev->domid)->ending;
}

void guests_adopt(struct device *dev, struct message *ret_start, struct message_served *ret_served)
{
	struct left *left = left_of(dev);

	*ret_start = left->start;
	*ret_served = left->served;
	dev->life = left->start.life;
	serve(find_link(dev->env->guests, dev->domid), dev);
	dev->figures = left->figures;
	left->figures = (struct stats_view){ 0 };
	forget_left(left);
}

/* --- finding them again --- */

static void all_greeted(struct guests *guests)
{
	void (*greeted)(void *user) = guests->greeted;

	loop_timer_cancel(&guests->greet_timer);
	guests->greeted = NULL;
	if (greeted)
		greeted(guests->greeted_user);
}

static void no_more_greeting(struct guest_link *g)
{
	if (!g->greeting)
		return;
	g->greeting = false;
	if (--g->guests->nr_greeting == 0)
		all_greeted(g->guests);
}

static void greeted_too_late(void *user)
{
	struct guests *guests = user;
	struct guest_link *g;

	for_each_link(guests, g)
	{
		if (!g->greeting)
			continue;
		guests_log(g->domid, LOG_LEVEL_WARNING,
			   "its process (%d) does not answer: it is ended", (int)g->process.pid);
		g->greeting = false;
		give_up(g);
	}
	guests->nr_greeting = 0;
	all_greeted(guests);
}

static void find_one(struct guests *guests, uint32_t domid)
{
	struct guest_process process;
	struct guest_link *g;
	int fd, err = guest_process_find(&guests->setup.process, domid, &process, &fd);

	if (err)
		return;
	g = new_link(guests, domid, &process, fd);
	if (!g)
		return;
	g->greeting = true;
	guests->nr_greeting++;
}

void guests_find(struct guests *guests, void (*greeted)(void *user), void *user)
{
	uint32_t *domids = malloc(MAX_FOUND * sizeof(domids[0]));
	unsigned int nr =
		domids ? guest_process_list(&guests->setup.process, domids, MAX_FOUND) : 0;

	guests->greeted = greeted;
	guests->greeted_user = user;
	guests->nr_greeting = 1; /* so that `greeted` is not called before all are found */
	for (unsigned int i = 0; i < nr; i++)
		find_one(guests, domids[i]);
	free(domids);
	loop_timer_set(guests->setup.loop, &guests->greet_timer, GREET_NS, greeted_too_late,
		       guests);
	if (--guests->nr_greeting == 0)
		all_greeted(guests);
}

/* --- processes of another version are replaced one by one --- */

static void next_turn(void *user)
{
	struct guests *guests = user;
	struct guest_link *g, *next = NULL;

	loop_timer_cancel(&guests->turn_timer);
	guests->nr_returning = 0;
	for_each_link(guests, g)
	{
		g->has_turn = false;
		if (!next && g->outdated && !g->ending)
			next = g;
	}
	if (!next)
		return;
	guests_log(next->domid, LOG_LEVEL_INFO,
		   "its process (%d) is from before an upgrade, and is replaced",
		   (int)next->process.pid);
	guests->turn++;
	next->has_turn = true;
	tell_to_end(next);
	loop_timer_set(guests->setup.loop, &guests->turn_timer, TURN_NS, next_turn, guests);
}

static void expect_back(struct device *dev)
{
	struct guests *guests = dev->env->guests;

	dev->returning = guests->turn;
	guests->nr_returning++;
}

void guests_returned(struct device *dev)
{
	struct guests *guests = dev->env->guests;
	bool awaited = guests && dev->returning && dev->returning == guests->turn;

	dev->returning = 0;
	if (awaited && --guests->nr_returning == 0)
		next_turn(guests);
}

void guests_looked(struct guests *guests)
{
	struct guest_link *g;
	struct left *left;

	for_each_link(guests, g) if (g->socket) LIST_FOREACH(left, &g->left, link)
		stop_left(g, left);
	if (!guests->turn)
		next_turn(guests);
}

bool guests_release(struct device *dev)
{
	struct guest_link *g = find_exact(dev->env->guests, dev->domid);

	if (!g || !(g->foreign || (g->ending && left_of(dev))) || g->ending_s >= LET_GO_S)
		return true;
	tell_to_end(g);
	wait_for_guest(dev);
	return false;
}

/* --- looking after them --- */

/* Nobody needs what these rings hold any more, so we do not wait long for their process, either. */
static bool is_overdue(const struct guest_link *g, const struct device *dev)
{
	if (!dev->abandoned_ns)
		return false;
	return !g->socket || g->unanswered_s >= SILENT_S ||
	       (dev->activity == DEVICE_DETACHING &&
		loop_now_ns() - dev->abandoned_ns >= LET_GO_S * NS_PER_S);
}

static void go_on_without(struct guest_link *g)
{
	struct device *dev, *next;

	if (!g->abandoned)
		return;
	g->abandoned = false;
	for (dev = LIST_FIRST(&g->devices); dev; dev = next) {
		next = LIST_NEXT(dev, served_link);
		g->abandoned = g->abandoned || dev->abandoned_ns;
		if (!is_overdue(g, dev))
			continue;
		device_log(dev, LOG_LEVEL_WARNING,
			   "process %d has not let go of its rings, and is not waited for",
			   (int)g->process.pid);
		guests_forget(dev);
		device_lost(dev);
		g->holds_on = true;
	}
}

static bool serves_nothing(const struct guest_link *g)
{
	return LIST_EMPTY(&g->devices) && LIST_EMPTY(&g->left) && !g->greeting;
}

static void end_if_unused(struct guest_link *g)
{
	if (serves_nothing(g) && !g->foreign)
		tell_to_end(g);
}

/*
 * A process that only has to end may wait for a medium. When it is killed the kernel waits in its place: it keeps its pages
 * and its image until the medium has completed all requests. But a process that lives unmaps the guest's pages soon, if it gets
 * the processor, so that the domain goes. So one that holds on to them is killed no sooner than one that serves.
 */
static bool is_hung(const struct guest_link *g)
{
	unsigned int silent_s =
		serves_nothing(g) && !g->holds_on ? SILENT_S : g->guests->setup.hung_s;

	return g->unanswered_s >= silent_s || (serves_nothing(g) && g->ending_s >= END_S);
}

/* Spread the questions over the seconds. */
static bool is_second_of(const struct guest_link *g, unsigned int interval)
{
	return (g->guests->nr_ticks + g->domid) % interval == 0;
}

/* It has nothing to do. Only its own figures say so, and they may be false. */
static bool rests(const struct guest_link *g)
{
	const struct device *dev;

	LIST_FOREACH(dev, &g->devices, served_link)
		if (!dev->rests)
			return false;
	return LIST_EMPTY(&g->left) && !g->told;
}

/*
 * A question wakes a process that sleeps. So such a process is asked rarely, but soon when it has something to do
 * again.
 */
static bool is_its_turn(const struct guest_link *g)
{
	return is_thread(g) || g->ending || g->abandoned || serves_nothing(g) ||
	       (is_second_of(g, NOTICE_LOOK_S) && !rests(g)) || is_second_of(g, ASK_RESTING_S);
}

static void ask(struct guest_link *g)
{
	g->unanswered_s += g->asked;
	if (g->asked || !is_its_turn(g))
		return;
	send_plain(g, MESSAGE_PING);
	g->asked = true;
	g->told = false;
}

static void hear_again(struct guest_link *g)
{
	if (!g->nr_heard)
		return;
	g->nr_heard = 0;
	link_rest(g->socket, false);
}

static void look_at_figures(struct guest_link *g)
{
	uint64_t now_ns = loop_now_ns();
	struct device *dev;

	if (!is_second_of(g, NOTICE_LOOK_S))
		return;
	LIST_FOREACH(dev, &g->devices, served_link)
		device_look_at_figures(dev, now_ns);
}

static void look_after(struct guest_link *g)
{
	look_at_figures(g);
	if (is_spoken_to(g)) {
		hear_again(g);
		ask(g);
	}
	if (is_thread(g))
		return;
	g->ending_s += g->ending;
	if (g->ending_s == LET_GO_S)
		wake(g->guests, g->domid); /* see guests_release() */
	go_on_without(g);
	if (!g->socket)
		return;
	end_if_unused(g);
	if (!is_hung(g))
		return;
	guests_log(g->domid, serves_nothing(g) ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
		   "its process (%d) has not %s for %u s: it is ended", (int)g->process.pid,
		   g->unanswered_s ? "answered" : "ended",
		   g->unanswered_s ? g->unanswered_s : g->ending_s);
	give_up(g);
}

void guests_look_after(struct guests *guests)
{
	struct guest_link *g;

	guests->nr_ticks++;
	for_each_link(guests, g) look_after(g);
}

/* --- what an admin sees of them --- */

static const char *state_of(const struct guest_link *g)
{
	if (!g->socket || g->unanswered_s >= SILENT_S)
		return "hung";
	if (g->ending)
		return "ending";
	return g->greeted ? "serving" : "starting";
}

/* After the first death there is no wait. */
static bool is_waited_for(const struct mourned *m)
{
	return m->timer.armed && m->deaths > 1;
}

void guests_each(struct guests *guests,
		 void (*each)(void *user, const struct guests_process *process), void *user)
{
	const struct mourned *m;
	struct guest_link *g;

	for_each_link(guests, g)
	{
		m = find_mourned(guests, g->domid);
		struct guests_process process = { .domid = g->domid,
						  .pid = g->process.pid,
						  .version = g->version,
						  .protocol = g->protocol,
						  .since_ns = g->started_ns,
						  .restarts = m ? m->restarts : 0,
						  .state = state_of(g) };

		if (!is_thread(g))
			each(user, &process);
	}
	LIST_FOREACH(m, &guests->mourned, link)
		if (is_waited_for(m) && !find_exact(guests, m->domid))
			each(user, &(struct guests_process){ .domid = m->domid,
							     .version = "",
							     .since_ns = m->died_ns,
							     .restarts = m->restarts,
							     .state = "waits" });
}

bool guests_awaited(const struct guests *guests, uint32_t domid, char *buf, size_t size)
{
	const struct guest_link *g = find_exact(guests, domid);
	const struct mourned *m = find_mourned(guests, domid);
	uint64_t now_ns = loop_now_ns();
	char name[64];

	name_of(guests, domid, name);
	if (g)
		snprintf(buf, size, "process %d, which has served guest %s, has not ended so far",
			 (int)g->process.pid, name);
	else if (m && is_waited_for(m))
		snprintf(buf, size,
			 "the process that serves guest %s has died %u times in a row; the next "
			 "one starts in %.1f s",
			 name, m->deaths,
			 m->timer.due_ns > now_ns ? (double)(m->timer.due_ns - now_ns) / NS_PER_S
						  : 0);
	return g || (m && is_waited_for(m));
}

pid_t guests_restart(struct guests *guests, uint32_t domid)
{
	struct guest_link *g = find_exact(guests, domid);

	if (!g || is_thread(g) || !g->socket)
		return -ENOENT;
	g->ending = true;
	send_plain(g, MESSAGE_END);
	return g->process.pid;
}

pid_t guests_pid(const struct device *dev)
{
	const struct guest_link *g = dev->served_by;

	if (!g)
		return 0;
	return is_thread(g) ? getpid() : g->process.pid;
}

bool guests_live(const struct guests *guests)
{
	const struct guest_link *g = find_link(guests, 0);

	return guests->setup.isolation != ISOLATION_NONE || !g || g->unanswered_s < 2;
}

void guests_dump(struct guests *guests)
{
	struct guest_link *g;

	for_each_link(guests, g) if (is_spoken_to(g)) send_plain(g, MESSAGE_DUMP);
}

void guests_set_log_level(struct guests *guests, enum log_level level)
{
	struct guest_link *g;

	guests->setup.process.log_level = (int)level;
	for_each_link(guests, g) if (is_spoken_to(g)) send_log_level(g);
}

/* A thread is in our own process. */
void guests_trace_to(struct guests *guests, int fd)
{
	struct guest_link *g;

	if (guests->trace_fd >= 0)
		close(guests->trace_fd);
	guests->trace_fd = fd;
	for_each_link(guests, g) if (is_spoken_to(g) && g->greeted && !is_thread(g))
		send_trace_fd(g);
}

void guests_end(struct guests *guests)
{
	struct guest_link *g;

	for_each_link(guests, g) tell_to_end(g);
}

/* --- life --- */

int guests_new(const struct guests_setup *setup, struct guests **ret)
{
	struct guests *guests = calloc(1, sizeof(*guests));
	const struct guest_process none = { .pidfd = -1 };

	if (!guests)
		return -ENOMEM;
	guests->setup = *setup;
	guests->trace_fd = LOG_TRACE_STDERR;
	for (unsigned int i = 0; i < BUCKETS; i++)
		LIST_INIT(&guests->links[i]);
	LIST_INIT(&guests->mourned);
	LIST_INIT(&guests->waiting);
	if (setup->isolation == ISOLATION_NONE && !new_link(guests, 0, &none, setup->fd)) {
		free(guests);
		return -ENOMEM;
	}
	*ret = guests;
	return 0;
}

struct guests *guests_free(struct guests *guests)
{
	struct guest_link *g;
	struct mourned *m;

	if (!guests)
		return NULL;
	loop_timer_cancel(&guests->greet_timer);
	loop_timer_cancel(&guests->turn_timer);
	while ((m = LIST_FIRST(&guests->mourned)))
		forget_mourned(m);
	for (unsigned int i = 0; i < BUCKETS; i++)
		while ((g = LIST_FIRST(&guests->links[i])))
			close_link(g, false);
	if (guests->trace_fd >= 0)
		close(guests->trace_fd);
	free(guests);
	return NULL;
}
