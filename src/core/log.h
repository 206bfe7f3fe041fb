/* SPDX-License-Identifier: MIT */
/*
 * What an admin reads: one line per event on stderr, or in the journal.
 *
 * Error: an admin must act. Warning: degraded. Info: a device came, connected
 * or left. Debug: the rest. Whatever a guest can repeat goes through a
 * log_limit, so that no guest can fill the log.
 *
 * Nobody who has something to say ever waits for whoever reads it: from log_start() on a thread
 * writes the lines. Up to 4 MiB wait for it; what is more is counted, and the number said when it goes on.
 */
#ifndef PVB_LOG_H
#define PVB_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* At most `burst` lines, then one a minute, with a count of what was left out. */
struct log_limit {
	uint64_t window_start_ns;
	unsigned int lines;
	unsigned int suppressed;
};

/* Lines above `level` are dropped, from now on. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/*
 * Where lines go: `fn` gets one without its end; its first `who_len` bytes are the name of the device that it is
 * about, if any; `notice` is as of log_vnotice(). It may block. Without one they go to stderr. Call once, before
 * any thread exists.
 */
typedef void (*log_sink_fn)(enum log_level level, const char *text, size_t who_len,
			    const char *notice);
void log_set_sink(log_sink_fn fn);

/*
 * Hear of each line but traces and debug, as a sink does, from any thread: `fn` must not wait, and says nothing itself.
 * Call once, before any thread exists.
 */
void log_set_listener(log_sink_fn fn);

/* Start the thread; before it lines are written by their callers. 0 or -errno. */
int log_start(void);
/* The last words: wait until all is written, but a second at most. Idempotent. */
void log_stop(void);

/* One line, never cut; errno is preserved. Safe from any thread. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One that begins with "WHO: ", the name of a device: "vbd 7/51712". NULL: as log_line(). */
void log_about(enum log_level level, const char *who, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void log_vabout(enum log_level level, const char *who, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
/* Likewise, with a name for what it tells, which programs go by: a literal, or NULL for none. */
void log_vnotice(enum log_level level, const char *who, const char *notice, const char *fmt,
		 va_list ap) __attribute__((format(printf, 4, 0)));
/* "WHO ..." on stderr, as it is: trace.h. */
void log_vtrace(const char *who, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/*
 * Such lines go into a connected socket from now on, a datagram each, in place of stderr. Takes the descriptor. Lines that
 * it has no room for are lost, and the next one that it takes says how many. Any thread.
 */
enum { LOG_TRACE_STDERR = -1, LOG_TRACE_NOWHERE = -2 };
void log_trace_to(int fd);

/*
 * True when the next line under this limit may be written; counts it. `who` is named when lines were
 * left out before.
 */
bool log_allow(struct log_limit *limit, const char *who);

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                                    \
	} while (0)

#endif
