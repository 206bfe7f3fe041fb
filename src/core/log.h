/* SPDX-License-Identifier: MIT */
/*
 * The log for the admin: one line per event, on stderr or in the journal.
 *
 * Error: an admin must act. Warning: degraded. Info: a device came, connected
 * or left. Debug: the rest. Whatever a guest can repeat goes through a
 * log_limit, so that no guest can fill the log.
 *
 * No caller ever waits for the reader of the log: from log_start() on a thread writes the lines. Up to 4 MiB of lines wait
 * for it. Further lines are dropped and counted, and the log says how many when it goes on.
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
 * Send lines to `fn`, not to stderr. It gets a line without its end; the first `who_len` bytes are the name of the device
 * that the line is about, if any; `notice` is as in log_vnotice(). It may block. Call once, before any thread exists.
 */
typedef void (*log_sink_fn)(enum log_level level, const char *text, size_t who_len,
			    const char *notice);
void log_set_sink(log_sink_fn fn);

/*
 * Call `fn` for each line but traces and debug lines, with the arguments of a sink, from any thread. It must not block and
 * must not log. Call once, before any thread exists.
 */
void log_set_listener(log_sink_fn fn);

/* Start the thread. Before that the callers write their lines themselves. 0 or -errno. */
int log_start(void);
/* Wait until all lines are written, a second at most, and end the thread. Idempotent. */
void log_stop(void);

/* Log one line, of any length. errno is preserved. Safe from any thread. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Log a line that begins with "WHO: ", the name of a device: "vbd 7/51712". NULL: as log_line(). */
void log_about(enum log_level level, const char *who, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void log_vabout(enum log_level level, const char *who, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
/* Likewise, with a name of the event for programs: a literal, or NULL for none. */
void log_vnotice(enum log_level level, const char *who, const char *notice, const char *fmt,
		 va_list ap) __attribute__((format(printf, 4, 0)));
/* Write "WHO ..." to stderr, for trace.h. */
void log_vtrace(const char *who, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/*
 * Send such lines into a connected socket from now on, one datagram each, not to stderr. Takes the descriptor. When the
 * socket has no room lines are lost; a later one says how many. Any thread.
 */
enum { LOG_TRACE_STDERR = -1, LOG_TRACE_NOWHERE = -2 };
void log_trace_to(int fd);

/*
 * True when the next line under this limit may be written; counts it. When lines were left out before, a line says how
 * many, about `who`.
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
