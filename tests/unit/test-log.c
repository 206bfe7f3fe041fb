/* SPDX-License-Identifier: MIT */
/* The log: lines are complete, and the daemon never waits for their reader. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

static int saved_stderr, reader;

/* From now on standard error is a pipe. */
static void begin(void)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	reader = fds[0];
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
}

static void end(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
}

static void a_long_line_is_whole(void **state)
{
	char text[9000], *line = NULL;
	size_t size = 0;
	FILE *in;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	begin();
	log_info("%s!", text);
	log_about(LOG_LEVEL_ERROR, "vbd 7/51712", "%s!", text);
	end();
	in = fdopen(reader, "r");
	CHECK(getline(&line, &size, in) == (ssize_t)(strlen("pvbackd: ") + strlen(text) + 2));
	CHECK(!strncmp(line, "pvbackd: xxx", 12) && !strcmp(line + strlen(line) - 3, "x!\n"));
	CHECK(getline(&line, &size, in) > (ssize_t)strlen(text));
	CHECK(!strncmp(line, "pvbackd: error: vbd 7/51712: xxx", 32));
	CHECK(!strcmp(line + strlen(line) - 3, "x!\n"));
	free(line);
	fclose(in);
}

/* Write 20 MB to a pipe that holds 64 KiB, then read it. */
static void lines_that_nobody_reads_are_counted(void **state)
{
	enum { LINES = 100000 };
	char *line = NULL;
	size_t size = 0;
	unsigned long lost = 0, last = 0, got = 0, number;
	FILE *in;

	(void)state;
	begin();
	CHECK(log_start() == 0);
	for (unsigned long i = 1; i <= LINES; i++)
		log_info("line %lu %0180d", i, 0);
	in = fdopen(reader, "r");
	while (!lost && getline(&line, &size, in) > 0) {
		if (sscanf(line, "pvbackd: line %lu ", &number) == 1) {
			CHECK(number == last + 1);
			last = number;
			got++;
		} else {
			CHECK(sscanf(line, "pvbackd: warning: %lu lines were lost", &lost) == 1);
		}
	}
	CHECK(got > 1000 && got + lost == LINES);
	log_info("line %d", 0);
	CHECK(getline(&line, &size, in) > 0 && !strcmp(line, "pvbackd: line 0\n"));
	log_stop();
	end();
	free(line);
	fclose(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_line_is_whole),
		cmocka_unit_test(lines_that_nobody_reads_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
