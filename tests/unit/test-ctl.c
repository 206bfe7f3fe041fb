/* SPDX-License-Identifier: MIT */
/* The admin's socket with clients that hang, flood, lie or are not allowed: other clients are answered meanwhile. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/ctl.h"
#include "core/fdpass.h"
#include "turn.h"

enum { MOST = 16 };

static struct loop *loop;
static struct ctl *ctl;
static char dir[32];
static unsigned int nr_asked, nr_forgotten;
static int given; /* a descriptor that a request has taken */

/* --- the daemon that answers --- */

static struct json_object *look(void *user)
{
	(void)user;
	return NULL;
}

static void forget(void *user)
{
	(void)user;
	nr_forgotten++;
}

/* The last answer. */
static struct json_object *end_of(void *user)
{
	return user ? ctl_result(json_object_new_string(user)) : NULL;
}

static struct json_object *large(void)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < 100000; i++)
		json_object_array_add(list, json_object_new_string("a word of ten"));
	return list;
}

static struct json_object *ask(void *user, struct ctl_client *client, struct json_object *request)
{
	const char *what = json_object_get_string(json_object_object_get(request, "command"));
	static char end[] = "it is full";

	(void)user;
	nr_asked++;
	if (!strcmp(what, "wait")) {
		ctl_wait(client, &(struct ctl_wait){ look, forget, NULL });
		return NULL;
	}
	if (!strcmp(what, "hold") || !strcmp(what, "hold-ended"))
		ctl_hold(client,
			 &(struct ctl_hold){ end_of, forget, strcmp(what, "hold") ? end : NULL });
	if (!strcmp(what, "take"))
		given = ctl_take_fd(client);
	return ctl_result(strcmp(what, "large") ? json_object_new_string(what) : large());
}

/* --- clients --- */

static int connect_one(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ctl", dir);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

#define TURNS 5

static void say(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* The line that came, without its newline; NULL if none came. */
static const char *hear(int fd)
{
	static char text[1024];
	ssize_t n;

	turn(loop, TURNS);
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	return text;
}

static bool is_closed(int fd)
{
	char byte;

	turn(loop, TURNS);
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void another_is_answered(void)
{
	int fd = connect_one();
	const char *answer;

	say(fd, "{\"command\":\"hello\"}\n");
	answer = hear(fd);
	CHECK(answer && !strcmp(answer, "{\"ok\":true,\"result\":\"hello\"}\n"));
	close(fd);
	turn(loop, TURNS);
}

static int lowest_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* --- the cases --- */

static void many_requests_of_one_are_answered_in_their_order(void **state)
{
	int fd = connect_one();
	const char *answer;

	(void)state;
	say(fd, "{\"command\":\"a\"}\n{\"command\":\"b\"}\n{\"comm");
	answer = hear(fd);
	CHECK(answer &&
	      !strcmp(answer, "{\"ok\":true,\"result\":\"a\"}\n{\"ok\":true,\"result\":\"b\"}\n"));
	say(fd, "and\":\"c\"}\n");
	shutdown(fd, SHUT_WR);
	answer = hear(fd);
	CHECK(answer && !strcmp(answer, "{\"ok\":true,\"result\":\"c\"}\n"));
	CHECK(is_closed(fd));
	close(fd);
}

/* It sends as fast as it can and reads nothing. */
static void a_flood_has_one_answer_in_its_turn(void **state)
{
	static const char line[] = "{\"command\":\"flood\"}\n";
	int fd = connect_one();
	unsigned int before;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		for (unsigned int k = 0; k < 1000; k++)
			send(fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		before = nr_asked;
		another_is_answered();
		CHECK(nr_asked - before < 100);
	}
	close(fd);
	turn(loop, TURNS);
}

static void a_request_without_end_is_refused(void **state)
{
	static char much[1 << 20];
	int fd = connect_one();
	size_t sent = 0;
	const char *answer;

	(void)state;
	memset(much, '[', sizeof(much));
	for (unsigned int i = 0; i < 100 && sent < sizeof(much); i++) {
		ssize_t n = send(fd, much + sent, sizeof(much) - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		turn(loop, TURNS);
	}
	answer = hear(fd);
	CHECK(answer && strstr(answer, "\"code\":\"usage\""));
	CHECK(nr_asked == 0);
	close(fd);
	another_is_answered();
}

static void one_that_goes_in_the_middle_leaves_nothing(void **state)
{
	static const char *const texts[] = { "", "{\"comm", "{\"command\":\"large\"}\n",
					     "{\"command\":\"wait\"}\n",
					     "{\"command\":\"hold\"}\n" };
	int lowest = lowest_descriptor();

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		int fd = connect_one();

		if (*texts[i])
			say(fd, texts[i]);
		turn(loop, TURNS);
		close(fd);
		turn(loop, TURNS);
	}
	CHECK(nr_forgotten == 2 && lowest_descriptor() == lowest);
	another_is_answered();
}

/* Among clients that ask nothing, the one that has been silent for longest is closed. */
static void those_that_are_silent_keep_nobody_out(void **state)
{
	int fds[MOST + 2];

	(void)state;
	for (unsigned int i = 0; i < MOST + 2; i++) {
		fds[i] = connect_one();
		turn(loop, TURNS);
	}
	CHECK(is_closed(fds[0]) && is_closed(fds[1]) && !is_closed(fds[2]));
	for (unsigned int i = 2; i < MOST + 2; i++) {
		say(fds[i], "{\"command\":\"wait\"}\n");
		turn(loop, TURNS);
	}
	fds[0] = connect_one(); /* all of them are still answered */
	CHECK(is_closed(fds[0]));
	close(fds[2]);
	turn(loop, TURNS);
	another_is_answered();
	for (unsigned int i = 3; i < MOST + 2; i++)
		close(fds[i]);
	close(fds[0]);
	close(fds[1]);
	turn(loop, TURNS);
	CHECK(nr_forgotten == MOST);
}

/* The daemon waits at most ten seconds for the rest of a request, and for an answer to be read. */
static void one_that_hangs_is_closed(void **state)
{
	int begun = connect_one(), deaf = connect_one(), silent = connect_one();
	uint64_t since_ns = loop_now_ns();

	(void)state;
	say(begun, "{\"command\":");
	say(deaf, "{\"command\":\"large\"}\n");
	turn(loop, TURNS);
	for (unsigned int i = 0; i < 60 && !is_closed(begun); i++) {
		another_is_answered();
		turn_for(loop, 1000000000);
	}
	CHECK(is_closed(begun) && !is_closed(silent));
	CHECK(loop_now_ns() - since_ns > UINT64_C(9000000000));
	turn_for(loop, 2000000000); /* the other's time is over, too */
	say(silent, "{\"command\":\"hello\"}\n");
	CHECK(hear(silent));
	while (read(deaf, (char[4096]){ 0 }, 4096) > 0)
		;
	CHECK(is_closed(deaf));
	close(begun);
	close(deaf);
	close(silent);
}

static void a_descriptor_goes_to_the_request_that_takes_it_and_to_no_other(void **state)
{
	static const char *const texts[] = { "{\"command\":\"hello\"}\n",
					     "{\"command\":\"take\"}\n" };
	int lowest = lowest_descriptor(), fd = connect_one(), fds[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		fds[i] = dup(STDERR_FILENO);
	for (unsigned int i = 0; i < 2; i++) {
		const struct iovec iov = { (void *)(uintptr_t)texts[i], strlen(texts[i]) };

		CHECK(fdpass_send(fd, &iov, 1, fds, 3, 0) == 0);
		CHECK(hear(fd));
		CHECK((given >= 0) == (i == 1));
	}
	for (unsigned int i = 0; i < 4; i++)
		close(fds[i]);
	close(given);
	close(fd);
	turn(loop, TURNS);
	CHECK(lowest_descriptor() == lowest);
}

static void what_has_ended_ends_the_connection(void **state)
{
	int fd = connect_one(), other = connect_one();

	(void)state;
	say(fd, "{\"command\":\"hold-ended\"}\n");
	say(other, "{\"command\":\"hold\"}\n");
	CHECK(hear(fd) && hear(other));
	turn_for(loop, 1100000000);
	CHECK(strstr(hear(fd), "\"result\":\"it is full\"")); /* the last that is said to it */
	CHECK(is_closed(fd) && !is_closed(other) && nr_forgotten == 1);
	close(fd);
	close(other);
	turn(loop, TURNS);
	CHECK(nr_forgotten == 2);
}

/* Even if the directory and the socket let another user in, the kernel says who it is. */
static void another_user_is_refused(void **state)
{
	char path[64];
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(path, sizeof(path), "%s/ctl", dir);
	CHECK(chmod(dir, 0755) == 0 && chmod(path, 0666) == 0);
	child = fork();
	if (child == 0) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		{
			int fd = connect_one();
			char byte;

			send(fd, "{\"command\":\"hello\"}\n", 20, MSG_NOSIGNAL);
			fcntl(fd, F_SETFL, 0);
			_exit(read(fd, &byte, 1) > 0);
		}
	}
	for (unsigned int i = 0; i < 500 && waitpid(child, &status, WNOHANG) == 0; i++)
		turn_for(loop, 10000000);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0 && nr_asked == 0);
	another_is_answered();
}

/* --- each case has its own --- */

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-ctl-XXXXXX");
	loop = loop_new();
	CHECK(loop && mkdtemp(dir));
	CHECK(ctl_new(&(struct ctl_setup){ .loop = loop, .runtime_dir = dir, .ask = ask }, &ctl) ==
	      0);
	nr_asked = nr_forgotten = 0;
	given = -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ctl = ctl_free(ctl);
	loop_free(loop);
	CHECK(rmdir(dir) == 0); /* the directory is empty */
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(many_requests_of_one_are_answered_in_their_order),
		CASE(a_flood_has_one_answer_in_its_turn),
		CASE(a_request_without_end_is_refused),
		CASE(one_that_goes_in_the_middle_leaves_nothing),
		CASE(those_that_are_silent_keep_nobody_out),
		CASE(one_that_hangs_is_closed),
		CASE(a_descriptor_goes_to_the_request_that_takes_it_and_to_no_other),
		CASE(what_has_ended_ends_the_connection),
		CASE(another_user_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
