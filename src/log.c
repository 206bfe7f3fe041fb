/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"

#define LINE_MAX_BYTES  1024
#define LIMIT_BURST     10
#define LIMIT_WINDOW_NS (60ull * 1000000000ull)

static enum log_level log_level = LOG_LEVEL_INFO;
static bool to_journal;

void log_set_level(enum log_level level)
{
	log_level = level;
	/* systemd sets this when stderr is its journal; then it wants <N> in front. */
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

bool log_enabled(enum log_level level)
{
	return level <= log_level;
}

static const char *level_prefix(enum log_level level)
{
	static const char *const plain[] = { "error: ", "warning: ", "", "debug: " };
	static const char *const journal[] = { "<3>", "<4>", "<6>", "<7>" };

	return to_journal ? journal[level] : plain[level];
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	int saved = errno;
	size_t used;
	va_list ap;
	int n;

	if (!log_enabled(level))
		return;
	n = snprintf(line, sizeof(line), "%s%s",
		     to_journal ? "" : "pvbackd: ", level_prefix(level));
	used = (size_t)n;
	va_start(ap, fmt);
	n = vsnprintf(line + used, sizeof(line) - used - 1, fmt, ap);
	va_end(ap);
	used += n < 0 ? 0 : (size_t)n;
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	/* One write, so that lines of several threads never mix. Nobody to tell when it fails. */
	if (write(STDERR_FILENO, line, used) < 0)
		errno = saved;
	errno = saved;
}

bool log_allow(struct log_limit *limit, const char *who)
{
	uint64_t now = loop_now_ns();

	if (limit->window_start_ns == 0 || now - limit->window_start_ns >= LIMIT_WINDOW_NS) {
		if (limit->suppressed)
			log_warning("%s: %u lines were left out", who, limit->suppressed);
		*limit = (struct log_limit){ .window_start_ns = now };
	}
	if (limit->lines >= LIMIT_BURST) {
		limit->suppressed++;
		return false;
	}
	limit->lines++;
	return true;
}
