/* SPDX-License-Identifier: MIT */
/* A client that asks for the metrics gets them, and cannot harm others. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/metrics_socket.h"
#include "turn.h"

enum { MANY = 40 };

static char dir[] = "/tmp/test-metrics-XXXXXX", path[64];
static struct loop *loop;
static struct metrics_socket *server;
static size_t padding; /* bytes of the answer beside what says its format */

static void write_metrics(void *user, const struct metrics *metrics)
{
	(void)user;
	fputs(metrics->format == METRICS_OPEN ? "# open\n" : "# text\n", metrics->out);
	for (size_t i = 0; i < padding; i++)
		fputc('x', metrics->out);
}

static int come(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Read until the server closes the connection. The caller frees the text. */
static char *hear(int fd)
{
	size_t size = 1 << 22, used = 0;
	char *text = calloc(1, size);

	for (;;) {
		ssize_t n = recv(fd, text + used, size - 1 - used, 0);

		if (n > 0)
			used += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			turn(loop, 1);
	}
	close(fd);
	return text;
}

static char *ask(const char *request)
{
	int fd = come();

	say(fd, request);
	return hear(fd);
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool ends(const char *text, const char *with)
{
	return strlen(text) >= strlen(with) && !strcmp(text + strlen(text) - strlen(with), with);
}

static void who_asks_gets_the_format_that_it_knows(void **state)
{
	char *text = ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");

	(void)state;
	assert_true(begins(text, "HTTP/1.1 200 OK\r\n"));
	assert_true(strstr(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_true(strstr(text, "Content-Length: 7\r\n") && ends(text, "\r\n\r\n# text\n"));
	free(text);
	text = ask("GET /metrics HTTP/1.1\r\nhost: x\r\n"
		   "aCCept: application/openmetrics-text;version=1.0.0,text/plain;q=0.3\r\n\r\n");
	assert_true(strstr(text, "application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
	assert_true(ends(text, "\r\n\r\n# open\n"));
	free(text);
	text = ask("GET /metrics?a=b HTTP/1.0\r\nUser: application/openmetrics-text\r\n\r\n");
	assert_true(ends(text, "\r\n\r\n# text\n"));
	free(text);
}

static void what_is_no_question_for_them_is_refused(void **state)
{
	static const char *const others[] = { "GET / HTTP/1.1\r\n\r\n",
					      "GET /metricsx HTTP/1.1\r\n\r\n" };
	static const char *const methods[] = { "POST /metrics HTTP/1.1\r\n\r\n", "\r\n\r\n",
					       "get /metrics HTTP/1.1\r\n\r\n" };
	char *text;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		text = ask(others[i]);
		assert_true(begins(text, "HTTP/1.1 404 Not Found\r\n"));
		free(text);
	}
	for (unsigned int i = 0; i < 3; i++) {
		text = ask(methods[i]);
		assert_true(begins(text, "HTTP/1.1 501 Not Implemented\r\n"));
		free(text);
	}
}

static void a_question_may_come_in_pieces(void **state)
{
	const char *request = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
	int fd = come();
	char *text;

	(void)state;
	for (const char *at = request; *at; at++) {
		CHECK(send(fd, at, 1, MSG_NOSIGNAL) == 1);
		turn(loop, 1);
	}
	text = hear(fd);
	assert_true(ends(text, "# text\n"));
	free(text);
}

static void one_without_an_end_is_refused(void **state)
{
	char request[9000];
	char *text;

	(void)state;
	memset(request, 'a', sizeof(request));
	request[sizeof(request) - 1] = '\0';
	text = ask(request);
	assert_true(begins(text, "HTTP/1.1 431 ") || *text == '\0'); /* the rest may be too late */
	free(text);
}

static void a_large_answer_goes_out_as_it_is_read(void **state)
{
	char *text, *body;

	(void)state;
	padding = 3000000;
	text = ask("GET /metrics HTTP/1.1\r\n\r\n");
	padding = 0;
	body = strstr(text, "\r\n\r\n# text\n");
	assert_true(body && strlen(body) == 4 + 7 + 3000000);
	free(text);
}

/* Each client keeps its connection and sends nothing, or half a request, or does not read the answer. */
static void those_who_hang_keep_nobody_out(void **state)
{
	int fds[MANY];
	char *text;

	(void)state;
	padding = 3000000;
	for (unsigned int i = 0; i < MANY; i++) {
		fds[i] = come();
		if (i % 3)
			say(fds[i], i % 3 == 1 ? "GET /met" : "GET /metrics HTTP/1.1\r\n\r\n");
		turn(loop, 1);
		turn(loop, 1);
	}
	padding = 0;
	text = ask("GET /metrics HTTP/1.1\r\n\r\n");
	assert_true(ends(text, "# text\n"));
	free(text);
	for (unsigned int i = 0; i < MANY; i++)
		close(fds[i]);
	turn(loop, 1);
}

static int begin(void **state)
{
	struct metrics_socket_setup setup = { .runtime_dir = dir, .write = write_metrics };

	(void)state;
	setup.loop = loop = loop_new();
	return metrics_socket_new(&setup, &server);
}

static int end(void **state)
{
	(void)state;
	server = metrics_socket_free(server);
	loop = loop_free(loop);
	assert_int_equal(access(path, F_OK), -1);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_asks_gets_the_format_that_it_knows),
		TEST(what_is_no_question_for_them_is_refused),
		TEST(a_question_may_come_in_pieces),
		TEST(one_without_an_end_is_refused),
		TEST(a_large_answer_goes_out_as_it_is_read),
		TEST(those_who_hang_keep_nobody_out),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/metrics", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
