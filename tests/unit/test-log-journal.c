/* SPDX-License-Identifier: MIT */
/* What the daemon sends to the journal for a line. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "core/log_journal.h"

static char sent[1000]; /* the fields, a line each */
static int refuse;

int sd_journal_sendv(const struct iovec *iov, int n)
{
	sent[0] = '\0';
	for (int i = 0; i < n; i++) {
		strncat(sent, iov[i].iov_base, iov[i].iov_len);
		strcat(sent, "\n");
	}
	return refuse;
}

static void __attribute__((format(printf, 3, 4)))
notice(const char *who, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vnotice(LOG_LEVEL_WARNING, who, name, fmt, ap);
	va_end(ap);
}

static void a_line_about_a_device_has_its_fields(void **state)
{
	(void)state;
	log_set_sink(log_journal_send);
	log_about(LOG_LEVEL_WARNING, "vbd 7/51712", "it is %s", "slow");
	CHECK(!strcmp(sent,
		      "MESSAGE=vbd 7/51712: it is slow\nPRIORITY=4\nSYSLOG_IDENTIFIER=pvbackd\n"
		      "PVBACKD_DEVICE=vbd 7/51712\nPVBACKD_DOMID=7\n"));
	notice("vif 8/0", "limit-reached", "it waits for %u s", 60u);
	CHECK(!strcmp(sent,
		      "MESSAGE=vif 8/0: it waits for 60 s\nPRIORITY=4\nSYSLOG_IDENTIFIER=pvbackd\n"
		      "PVBACKD_DEVICE=vif 8/0\nPVBACKD_DOMID=8\nPVBACKD_NOTICE=limit-reached\n"));
	log_error("the configuration is wrong");
	CHECK(!strcmp(sent, "MESSAGE=the configuration is wrong\nPRIORITY=3\n"
			    "SYSLOG_IDENTIFIER=pvbackd\n"));
}

static void stderr_is_the_journal_only_if_it_is_that_file(void **state)
{
	char text[64];
	struct stat st;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	CHECK(!log_journal_is_stderr());
	CHECK(fstat(STDERR_FILENO, &st) == 0);
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	CHECK(log_journal_is_stderr());
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", text, 1);
	CHECK(!log_journal_is_stderr());
}

static void what_the_journal_refuses_goes_to_stderr(void **state)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char text[100];
	ssize_t n;

	(void)state;
	CHECK(pipe(fds) == 0);
	dup2(fds[1], STDERR_FILENO);
	refuse = -ECONNREFUSED;
	log_error("it is wrong");
	dup2(saved, STDERR_FILENO);
	n = read(fds[0], text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = '\0';
	CHECK(!strcmp(text, "<3>it is wrong\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_about_a_device_has_its_fields),
		cmocka_unit_test(stderr_is_the_journal_only_if_it_is_that_file),
		cmocka_unit_test(what_the_journal_refuses_goes_to_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
