/* SPDX-License-Identifier: MIT */
/* --trace-rings: the filter, and the format that pvbackd-counters(7) promises. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/trace.h"

static int trace_configure(const char *text)
{
	struct trace_filter filter;
	int err = trace_parse(text, &filter);

	if (!err)
		trace_set(&filter, NULL);
	return err;
}

static void no_filter_means_everything(void **state)
{
	(void)state;
	CHECK(trace_configure(NULL) == 0);
	CHECK(trace_mask(7, 51712) == TRACE_ALL);
	CHECK(trace_configure("") == 0);
	CHECK(trace_mask(1, 0) == TRACE_ALL);
}

static void categories_are_chosen_by_name(void **state)
{
	(void)state;
	CHECK(trace_configure("ring,blk") == 0);
	CHECK(trace_mask(7, 51712) == (TRACE_RING | TRACE_BLK));
	CHECK(trace_configure("net") == 0);
	CHECK(trace_mask(7, 0) == TRACE_NET);
	CHECK(trace_configure("bus,grant") == 0);
	CHECK(trace_mask(7, 0) == (TRACE_BUS | TRACE_GRANT));
}

static void one_domain_or_one_device_can_be_chosen(void **state)
{
	(void)state;
	CHECK(trace_configure("blk@7") == 0);
	CHECK(trace_mask(7, 1) == TRACE_BLK && trace_mask(8, 1) == 0);
	CHECK(trace_configure("@7/51712") == 0);
	CHECK(trace_mask(7, 51712) == TRACE_ALL && trace_mask(7, 51728) == 0);
}

static void nonsense_is_refused(void **state)
{
	static const char *const wrong[] = { "disk",  "ring,,blk",      "@",      "@x",
					     "@7/",   "@7/x",           "blk@-1", "ringblk",
					     "@7/1x", "blk@99999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(trace_configure(wrong[i]) == -EINVAL);
}

/* What one call writes to stderr. */
static void capture(char *buf, size_t size, void (*speak)(void))
{
	int saved = dup(STDERR_FILENO), pipes[2];
	ssize_t n;

	CHECK(pipe(pipes) == 0 && saved >= 0);
	CHECK(dup2(pipes[1], STDERR_FILENO) >= 0);
	speak();
	CHECK(dup2(saved, STDERR_FILENO) >= 0);
	n = read(pipes[0], buf, size - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
}

static const struct trace_id disk = { .kind = "vbd", .domid = 7, .devid = 51712, .queue = 1 };

static void speak_request(void)
{
	trace(TRACE_BLK, TRACE_BLK, &disk, "take op=%s id=%u", "read", 5u);
}

static void a_line_says_who_and_what_in_one_piece(void **state)
{
	char text[512];

	(void)state;
	capture(text, sizeof(text), speak_request);
	CHECK(!strcmp(text, "trace vbd 7/51712/1 take op=read id=5\n"));
}

static int evaluated;

static int costly(void)
{
	return ++evaluated;
}

static void arguments_are_not_evaluated_when_off(void **state)
{
	(void)state;
	evaluated = 0;
	trace(TRACE_NET, TRACE_BLK, &disk, "take id=%d", costly());
	CHECK(evaluated == 0);
}

static void speak_long(void)
{
	char much[2000];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	trace_line(&disk, "%s", much);
}

static void a_long_line_is_whole(void **state)
{
	char text[4096];

	(void)state;
	capture(text, sizeof(text), speak_long);
	CHECK(strlen(text) > 2000 && text[strlen(text) - 1] == '\n');
}

/* The data path does not wait for a reader. It counts lines for which there is no room, and the next line that fits says how many. */
static void lines_go_to_who_reads_them(void **state)
{
	char text[4096], said[64];
	unsigned int nr_read = 0;
	int fds[2];

	(void)state;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	log_trace_to(fds[1]);
	for (unsigned int i = 0; i < 10000; i++)
		speak_request();
	while (recv(fds[0], text, sizeof(text), MSG_DONTWAIT) > 0) {
		CHECK(!strncmp(text, "trace vbd 7/51712/1 take op=read id=5", 37));
		nr_read++;
	}
	CHECK(nr_read > 10 && nr_read < 10000);
	speak_request();
	snprintf(said, sizeof(said), "trace lost=%u", 10000 - nr_read);
	CHECK(recv(fds[0], text, sizeof(text), MSG_DONTWAIT) == (ssize_t)strlen(said));
	CHECK(!strncmp(text, said, strlen(said)));
	CHECK(recv(fds[0], text, sizeof(text), MSG_DONTWAIT) == 37);
	log_trace_to(-1);
	CHECK(recv(fds[0], text, sizeof(text), 0) == 0); /* closed */
	close(fds[0]);
	capture(text, sizeof(text), speak_request);
	CHECK(!strcmp(text, "trace vbd 7/51712/1 take op=read id=5\n"));
}

static void a_reader_that_has_gone_is_no_trouble(void **state)
{
	int fds[2];

	(void)state;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	log_trace_to(fds[1]);
	close(fds[0]);
	speak_request();
	log_trace_to(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_filter_means_everything),
		cmocka_unit_test(categories_are_chosen_by_name),
		cmocka_unit_test(one_domain_or_one_device_can_be_chosen),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_line_says_who_and_what_in_one_piece),
		cmocka_unit_test(arguments_are_not_evaluated_when_off),
		cmocka_unit_test(a_long_line_is_whole),
		cmocka_unit_test(lines_go_to_who_reads_them),
		cmocka_unit_test(a_reader_that_has_gone_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
