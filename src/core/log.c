/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/loop.h"

#define MAX_WAITING     ((size_t)4 << 20) /* bytes of lines that are not written yet */
#define STOP_WAIT_S     1
#define PATIENCE_NS     (100l * 1000 * 1000)
#define LIMIT_BURST     10
#define LIMIT_WINDOW_NS (60ull * 1000000000ull)

struct line {
	STAILQ_ENTRY(line) link;
	enum log_level level;
	bool raw;       /* a trace: written as it is */
	size_t who_len; /* of the device's name, which the text begins with; 0: it is about none */
	const char *notice; /* NULL: none */
	size_t len;
	char text[];
};

static _Atomic enum log_level log_level = LOG_LEVEL_INFO;
static log_sink_fn sink; /* NULL: standard error */
static log_sink_fn listener;

/* Where traces go. The lock is never held while anybody waits. */
static struct {
	pthread_mutex_t lock;
	int fd; /* owned; or as of log_trace_to() */
	unsigned long lost;
} traces = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = LOG_TRACE_STDERR };

/* Between the threads that log lines and the thread that writes them. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	STAILQ_HEAD(, line) lines;
	size_t bytes; /* of the lines, and of the one that is being written */
	unsigned long lost;
	unsigned long said, written; /* lines, but for those that were lost */
	bool slow;                   /* the reader was too slow once, and lines are waiting since */
	pthread_t control, thread;
	enum { WRITE_AT_ONCE, HAND_OVER, SAY_NOTHING } mode;
	bool stopping, ended;
} waiting = { .lock = PTHREAD_MUTEX_INITIALIZER,
	      .changed = PTHREAD_COND_INITIALIZER,
	      .lines = STAILQ_HEAD_INITIALIZER(waiting.lines) };

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_sink(log_sink_fn fn)
{
	sink = fn;
}

void log_set_listener(log_sink_fn fn)
{
	listener = fn;
}

bool log_enabled(enum log_level level)
{
	return level <= log_level;
}

/* --- writing --- */

static void write_all(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return; /* there is no other way to say so */
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

/* One write, so that lines never mix with another program's. */
static void write_stderr(const struct line *line)
{
	static const char *const words[] = { "pvbackd: error: ", "pvbackd: warning: ", "pvbackd: ",
					     "pvbackd: debug: " };
	const char *prefix = line->raw ? "" : words[line->level];
	char *text;
	int len = asprintf(&text, "%s%s\n", prefix, line->text);

	if (len < 0)
		return;
	write_all(text, (size_t)len);
	free(text);
}

static bool send_trace(const char *text, size_t len)
{
	return send(traces.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* Whether all lost lines have been reported. */
static bool tell_lost_traces(void)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "trace lost=%lu", traces.lost);

	if (traces.lost && send_trace(text, (size_t)len))
		traces.lost = 0;
	return !traces.lost;
}

/* False when it is for stderr. */
static bool pass_trace(const struct line *line)
{
	bool passes;

	pthread_mutex_lock(&traces.lock);
	passes = traces.fd != LOG_TRACE_STDERR;
	if (traces.fd >= 0 && !(tell_lost_traces() && send_trace(line->text, line->len)))
		traces.lost++;
	pthread_mutex_unlock(&traces.lock);
	return passes;
}

void log_trace_to(int fd)
{
	pthread_mutex_lock(&traces.lock);
	if (traces.fd >= 0) {
		tell_lost_traces();
		close(traces.fd);
	}
	traces.fd = fd;
	traces.lost = 0;
	pthread_mutex_unlock(&traces.lock);
}

static void write_line(const struct line *line)
{
	if (line->raw && pass_trace(line))
		return;
	if (line->raw || !sink)
		write_stderr(line);
	else
		sink(line->level, line->text, line->who_len, line->notice);
}

/* WHO (may be NULL), what is between, and the rest. The caller frees it; NULL when there is no memory. */
static struct line *format_line(enum log_level level, const char *who, const char *between,
				const char *fmt, va_list ap)
{
	size_t begin = who ? strlen(who) + strlen(between) : 0;
	struct line *line;
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	line = len < 0 ? NULL : malloc(sizeof(*line) + begin + (size_t)len + 1);
	if (!line)
		return NULL;
	*line = (struct line){ .level = level, .len = begin + (size_t)len };
	if (who) {
		line->who_len = strlen(who);
		sprintf(line->text, "%s%s", who, between);
	}
	vsnprintf(line->text + begin, (size_t)len + 1, fmt, ap);
	return line;
}

static void __attribute__((format(printf, 2, 3)))
write_now(enum log_level level, const char *fmt, ...)
{
	struct line *line;
	va_list ap;

	va_start(ap, fmt);
	line = format_line(level, NULL, "", fmt, ap);
	va_end(ap);
	if (line)
		write_line(line);
	free(line);
}

/* --- the thread --- */

/* The lock is held, but not while we wait for the reader. */
static void write_next(void)
{
	struct line *line = STAILQ_FIRST(&waiting.lines);

	STAILQ_REMOVE_HEAD(&waiting.lines, link);
	pthread_mutex_unlock(&waiting.lock);
	write_line(line);
	pthread_mutex_lock(&waiting.lock);
	waiting.bytes -= line->len;
	waiting.written++;
	waiting.slow = waiting.slow && !STAILQ_EMPTY(&waiting.lines);
	pthread_cond_broadcast(&waiting.changed);
	free(line);
}

/* The lost lines came after all lines that were waiting. */
static void tell_lost(void)
{
	unsigned long lost = waiting.lost;

	waiting.lost = 0;
	pthread_mutex_unlock(&waiting.lock);
	write_now(LOG_LEVEL_WARNING, "%lu lines were lost: nobody read the log", lost);
	pthread_mutex_lock(&waiting.lock);
}

static void *write_waiting(void *unused)
{
	pthread_mutex_lock(&waiting.lock);
	while (!waiting.stopping || waiting.lost || !STAILQ_EMPTY(&waiting.lines)) {
		if (!STAILQ_EMPTY(&waiting.lines))
			write_next();
		else if (waiting.lost)
			tell_lost();
		else
			pthread_cond_wait(&waiting.changed, &waiting.lock);
	}
	waiting.ended = true;
	pthread_cond_broadcast(&waiting.changed);
	pthread_mutex_unlock(&waiting.lock);
	return unused;
}

int log_start(void)
{
	int err;

	waiting.control = pthread_self();
	err = pthread_create(&waiting.thread, NULL, write_waiting, NULL);
	if (!err)
		waiting.mode = HAND_OVER;
	return -err;
}

static bool is_written(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	waiting.stopping = true;
	pthread_cond_broadcast(&waiting.changed);
	while (!waiting.ended)
		if (pthread_cond_timedwait(&waiting.changed, &waiting.lock, &until) == ETIMEDOUT)
			break;
	return waiting.ended;
}

void log_stop(void)
{
	bool written, ours;

	pthread_mutex_lock(&waiting.lock);
	if (waiting.mode != HAND_OVER) {
		pthread_mutex_unlock(&waiting.lock);
		return;
	}
	written = is_written();
	ours = waiting.mode == HAND_OVER; /* else another thread has stopped it meanwhile */
	if (ours)
		waiting.mode = written ? WRITE_AT_ONCE : SAY_NOTHING;
	pthread_mutex_unlock(&waiting.lock);
	if (ours && written)
		pthread_join(waiting.thread, NULL);
}

/* --- saying --- */

/* With the lock held. */
static void hand_over(struct line *line)
{
	if (waiting.lost || waiting.bytes + line->len > MAX_WAITING) {
		waiting.lost++;
		free(line);
	} else {
		waiting.bytes += line->len;
		waiting.said++;
		STAILQ_INSERT_TAIL(&waiting.lines, line, link);
	}
	pthread_cond_broadcast(&waiting.changed);
}

/*
 * A line should be written before the daemon does what the line says. So the control thread waits a short time for that,
 * as long as somebody reads. Data threads never wait. With the lock held.
 */
static void see_it_written(void)
{
	unsigned long mine = waiting.said;
	struct timespec until;

	if (waiting.slow || waiting.lost || !pthread_equal(pthread_self(), waiting.control))
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_NS;
	until.tv_sec += until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	while ((long)(waiting.written - mine) < 0 && !waiting.slow)
		waiting.slow = pthread_cond_timedwait(&waiting.changed, &waiting.lock, &until) ==
			       ETIMEDOUT;
}

/* Takes the line. */
static void say(struct line *line)
{
	int saved = errno;

	pthread_mutex_lock(&waiting.lock);
	if (listener && !line->raw && line->level < LOG_LEVEL_DEBUG)
		listener(line->level, line->text, line->who_len, line->notice);
	if (waiting.mode == HAND_OVER) {
		bool raw = line->raw;

		hand_over(line);
		if (!raw)
			see_it_written();
	} else {
		if (waiting.mode == WRITE_AT_ONCE)
			write_line(line);
		free(line);
	}
	pthread_mutex_unlock(&waiting.lock);
	errno = saved;
}

void log_vnotice(enum log_level level, const char *who, const char *notice, const char *fmt,
		 va_list ap)
{
	struct line *line = log_enabled(level) ? format_line(level, who, ": ", fmt, ap) : NULL;

	if (!line)
		return;
	line->notice = notice;
	say(line);
}

void log_vabout(enum log_level level, const char *who, const char *fmt, va_list ap)
{
	log_vnotice(level, who, NULL, fmt, ap);
}

void log_about(enum log_level level, const char *who, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vabout(level, who, fmt, ap);
	va_end(ap);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vabout(level, NULL, fmt, ap);
	va_end(ap);
}

void log_vtrace(const char *who, const char *fmt, va_list ap)
{
	struct line *line = format_line(LOG_LEVEL_DEBUG, who, " ", fmt, ap);

	if (!line)
		return;
	line->raw = true;
	say(line);
}

bool log_allow(struct log_limit *limit, const char *who)
{
	uint64_t now = loop_now_ns();

	if (limit->window_start_ns == 0 || now - limit->window_start_ns >= LIMIT_WINDOW_NS) {
		if (limit->suppressed)
			log_about(LOG_LEVEL_WARNING, who, "%u lines were left out",
				  limit->suppressed);
		*limit = (struct log_limit){ .window_start_ns = now };
	}
	if (limit->lines >= LIMIT_BURST) {
		limit->suppressed++;
		return false;
	}
	limit->lines++;
	return true;
}
