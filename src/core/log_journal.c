/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "core/log_journal.h"
#include "core/sd.h"

enum { MAX_FIELDS = 6 };

struct fields {
	struct iovec vec[MAX_FIELDS]; /* each owned */
	int nr;
	bool incomplete;
};

bool log_journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void __attribute__((format(printf, 2, 3))) add(struct fields *fields, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		fields->incomplete = true;
	else
		fields->vec[fields->nr++] = (struct iovec){ text, (size_t)len };
}

void log_journal_send(enum log_level level, const char *text, size_t who_len, const char *notice)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	struct fields fields = { .nr = 0 };
	uint32_t domid;

	add(&fields, "MESSAGE=%s", text);
	add(&fields, "PRIORITY=%d", priorities[level]);
	add(&fields, "SYSLOG_IDENTIFIER=pvbackd");
	if (who_len)
		add(&fields, "PVBACKD_DEVICE=%.*s", (int)who_len, text);
	if (who_len && sscanf(text, "%*s %" SCNu32 "/", &domid) == 1)
		add(&fields, "PVBACKD_DOMID=%" PRIu32, domid);
	if (notice)
		add(&fields, "PVBACKD_NOTICE=%s", notice);
	if (fields.incomplete || sd_journal_sendv(fields.vec, fields.nr))
		dprintf(STDERR_FILENO, "<%d>%s\n", priorities[level], text);
	while (fields.nr)
		free(fields.vec[--fields.nr].iov_base);
}
