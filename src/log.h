/* SPDX-License-Identifier: MIT */
/*
 * What an admin reads: one line per event on stderr, with a level that
 * systemd understands when stderr is the journal.
 *
 * Error: an admin must act. Warning: degraded. Info: a device came, connected
 * or left. Debug: the rest. Whatever a guest can repeat goes through a
 * log_limit, so that no guest can fill the log.
 */
#ifndef PVB_LOG_H
#define PVB_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* At most `burst` lines, then one a minute, with a count of what was left out. */
struct log_limit {
	uint64_t window_start_ns;
	unsigned int lines;
	unsigned int suppressed;
};

/* Lines above `level` are dropped. Call once, before any thread exists. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* One line; errno is preserved. Safe from any thread. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

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
