/* SPDX-License-Identifier: MIT */
/* argv and the configuration file: what is taken, what is refused, and which wins. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netback/quirks.h"
#include "control/options.h"

static enum options_result parse(struct options *options, const char *a, const char *b)
{
	char *argv[] = { (char *)"pvbackd", (char *)a, (char *)b, NULL };

	return options_parse(b ? 3 : a ? 2 : 1, argv, options);
}

static void defaults_need_nothing(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse(&o, NULL, NULL) == OPTIONS_RUN);
	CHECK(o.nr_workers == 0 && o.log_level == LOG_LEVEL_INFO && !o.trace.on);
	CHECK(!strcmp(o.runtime_dir, "/run/pvbackd"));
}

static void every_option_is_taken(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse(&o, "--workers=3", "--log-level=debug") == OPTIONS_RUN);
	CHECK(o.nr_workers == 3 && o.log_level == LOG_LEVEL_DEBUG);
	CHECK(parse(&o, "--trace-rings", "--runtime-dir=/tmp/x") == OPTIONS_RUN);
	CHECK(o.trace.on && !*o.trace.filter && !strcmp(o.runtime_dir, "/tmp/x"));
	CHECK(parse(&o, "--trace-rings=blk@7/51712", NULL) == OPTIONS_RUN);
	CHECK(!strcmp(o.trace.filter, "blk@7/51712"));
	CHECK(parse(&o, "--nbd-timeout=5", NULL) == OPTIONS_RUN && o.disk.nbd_timeout_s == 5);
	CHECK(parse(&o, "--vif-quirks=freebsd,poll", NULL) == OPTIONS_RUN);
	CHECK(o.vif.quirks.given && o.vif.quirks.bits == (QUIRK_NO_CSUM | QUIRK_POLL));
	CHECK(parse(&o, "--vif-quirks=windows", NULL) == OPTIONS_WRONG);
	CHECK(o.vif.rx_drain_ms == 10000 && o.vif.rx_stall_ms == 60000);
	CHECK(parse(&o, "--rx-drain-timeout=200", "--rx-stall-timeout=0") == OPTIONS_RUN);
	CHECK(o.vif.rx_drain_ms == 200 && o.vif.rx_stall_ms == 0);
	CHECK(parse(&o, "--rx-drain-timeout=0", NULL) == OPTIONS_WRONG);
	CHECK(parse(&o, "--rx-stall-timeout=-1", NULL) == OPTIONS_WRONG);
	CHECK(parse(&o, "--rx-stall-timeout=99999999999999999999", NULL) == OPTIONS_WRONG);
}

static void bad_spellings_are_refused(void **state)
{
	static const char *const wrong[] = {
		"--workers=0",
		"--workers=65",
		"--workers=two",
		"--workers=",
		"--workers=3x",
		"--workers= 2",
		"--workers=+2",
		"--log-level=loud",
		"--nbd-timeout=0",
		"--nbd-timeout=soon",
		"--trace-rings=disks",
		"--runtime-dir=",
		"--bogus",
		"stray",
		"--config=/nonexistent/pvbackd.conf",
	};
	struct options o;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(parse(&o, wrong[i], NULL) == OPTIONS_WRONG);
}

static enum options_result parse_file(struct options *options, const char *text, const char *also)
{
	char path[] = "/tmp/pvbackd-conf.XXXXXX", arg[64];
	int fd = mkstemp(path);
	enum options_result result;

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	snprintf(arg, sizeof(arg), "--config=%s", path);
	result = parse(options, arg, also);
	unlink(path);
	return result;
}

static void the_file_is_read_and_argv_wins(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse_file(&o, "# workers\nworkers = 2\nlog-level = error\n", NULL) == OPTIONS_RUN);
	CHECK(o.nr_workers == 2 && o.log_level == LOG_LEVEL_ERROR);
	CHECK(parse_file(&o, "workers = 2\n", "--workers=5") == OPTIONS_RUN);
	CHECK(o.nr_workers == 5);
}

static void a_wrong_line_in_the_file_is_refused(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse_file(&o, "wokers = 2\n", NULL) == OPTIONS_WRONG);
	CHECK(parse_file(&o, "workers = many\n", NULL) == OPTIONS_WRONG);
	CHECK(parse_file(&o, "[disk]\nworkers = 2\n", NULL) == OPTIONS_WRONG);
}

static void only_a_plain_file_is_a_configuration(void **state)
{
	char dir[] = "/tmp/pvbackd-conf.XXXXXX", fifo[64], arg[80];
	struct options o;

	(void)state;
	CHECK(mkdtemp(dir));
	snprintf(arg, sizeof(arg), "--config=%s", dir);
	CHECK(parse(&o, arg, NULL) == OPTIONS_WRONG);
	CHECK(parse(&o, "--config=/dev/null", NULL) == OPTIONS_WRONG);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	CHECK(mkfifo(fifo, 0600) == 0);
	snprintf(arg, sizeof(arg), "--config=%s", fifo);
	CHECK(parse(&o, arg, NULL) == OPTIONS_WRONG); /* nobody will ever write into it */
	unlink(fifo);
	rmdir(dir);
}

/* What is behind the end of its buffer would be another line to libinih. */
static void a_line_that_is_too_long_is_refused(void **state)
{
	char text[400];
	struct options o;

	(void)state;
	snprintf(text, sizeof(text), "pcap-dir = /%0220d workers = 3\n", 0);
	CHECK(parse_file(&o, text, NULL) == OPTIONS_WRONG);
	snprintf(text, sizeof(text), "pcap-dir = /%0100d", 0);
	CHECK(parse_file(&o, text, NULL) == OPTIONS_RUN);
}

static void help_and_version_are_answered(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse(&o, "--help", NULL) == OPTIONS_DONE);
	CHECK(parse(&o, "--version", NULL) == OPTIONS_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_need_nothing),
		cmocka_unit_test(every_option_is_taken),
		cmocka_unit_test(bad_spellings_are_refused),
		cmocka_unit_test(the_file_is_read_and_argv_wins),
		cmocka_unit_test(a_wrong_line_in_the_file_is_refused),
		cmocka_unit_test(only_a_plain_file_is_a_configuration),
		cmocka_unit_test(a_line_that_is_too_long_is_refused),
		cmocka_unit_test(help_and_version_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
