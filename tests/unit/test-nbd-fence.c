/* SPDX-License-Identifier: MIT */
/* Whether a server still has a connection whose client is gone: real sockets, asked of the real kernel. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "blkback/nbd_fence.h"

static char dir[] = "/tmp/pvbackd-fence-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct nbd_name name = { .is_unix = true };
static int listener;

static int listen_there(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/nbd", dir);
	snprintf(name.where, sizeof(name.where), "%s", address.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return listen(listener, 4);
}

static int stop_listening(void **state)
{
	(void)state;
	close(listener);
	unlink(address.sun_path);
	return rmdir(dir);
}

static int connect_to_it(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static void a_connection_is_over_when_the_server_has_ended_it_too(void **state)
{
	int client = connect_to_it(), server = accept(listener, NULL, NULL);

	(void)state;
	CHECK(nbd_fence(&name) == 0); /* both ends live */
	close(client);
	CHECK(nbd_fence(&name) == -EBUSY);
	close(server);
	CHECK(nbd_fence(&name) == 0);
}

static void one_that_was_never_accepted_has_brought_nothing(void **state)
{
	int client = connect_to_it(), server;

	(void)state;
	close(client);
	CHECK(nbd_fence(&name) == 0);
	server = accept(listener, NULL, NULL);
	CHECK(nbd_fence(&name) == -EBUSY);
	close(server);
}

static void another_servers_connections_do_not_count(void **state)
{
	int client = connect_to_it(), server = accept(listener, NULL, NULL);
	struct nbd_name other = name;

	(void)state;
	close(client);
	strcat(other.where, "2");
	CHECK(nbd_fence(&other) == 0);
	close(server);
}

/* A toolstack may write another name of the socket than the one that the server has bound. */
static void the_socket_may_have_two_names(void **state)
{
	int client = connect_to_it(), server = accept(listener, NULL, NULL);
	struct nbd_name other = name;

	(void)state;
	close(client);
	strcat(other.where, "-link");
	CHECK(symlink(name.where, other.where) == 0);
	CHECK(nbd_fence(&other) == -EBUSY);
	unlink(other.where);
	close(server);
}

static void a_server_by_tcp_cannot_be_told(void **state)
{
	struct nbd_name host = { .where = "127.0.0.1", .port = NBD_PORT };

	(void)state;
	CHECK(nbd_fence(&host) == -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_over_when_the_server_has_ended_it_too),
		cmocka_unit_test(one_that_was_never_accepted_has_brought_nothing),
		cmocka_unit_test(another_servers_connections_do_not_count),
		cmocka_unit_test(the_socket_may_have_two_names),
		cmocka_unit_test(a_server_by_tcp_cannot_be_told),
	};

	if (nbd_fence(&name) == -EOPNOTSUPP)
		return 77; /* no UNIX_DIAG in this kernel */
	return cmocka_run_group_tests(tests, listen_there, stop_listening);
}
