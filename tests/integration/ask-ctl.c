/* SPDX-License-Identifier: MIT */
/*
 * ask-ctl [--with-3] SOCKET REQUEST [POINTER...]: send a request to the admin's socket, and print the answer. With JSON pointers, print
 * only what they point to, one line for each ("-" if there is nothing). With --with-3, send descriptor 3 along with the request; after
 * an "ok" keep the connection until the daemon closes it, and print what it sends until then. The status is 1 if the answer is an
 * error, and 2 if there is no answer.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/fdpass.h"

#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

static int send_line(int fd, const char *request, bool with_3)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)request, strlen(request) }, { "\n", 1 } };
	int passed = 3;

	return fdpass_send(fd, iov, 2, &passed, with_3, 0);
}

static void print(struct json_object *answer, const char *pointer)
{
	struct json_object *value = NULL;

	if (json_pointer_get(answer, pointer, &value))
		puts("-");
	else
		puts(json_object_is_type(value, json_type_string)
			     ? json_object_get_string(value)
			     : json_object_to_json_string_ext(value, PLAIN));
}

int main(int argc, char *argv[])
{
	static char line[1 << 22];
	bool with_3 = argc > 1 && !strcmp(argv[1], "--with-3");
	struct json_object *answer;
	FILE *in;
	bool ok;
	int fd;

	argc -= with_3;
	argv += with_3;
	fd = argc < 3 ? -1 : connect_to(argv[1]);
	if (fd < 0 || send_line(fd, argv[2], with_3)) {
		fprintf(stderr, "ask-ctl: %s\n", argc < 3 ? "SOCKET REQUEST" : strerror(errno));
		return 2;
	}
	in = fdopen(fd, "r");
	answer = fgets(line, sizeof(line), in) ? json_tokener_parse(line) : NULL;
	if (!answer)
		return 2;
	for (int i = 3; i < argc; i++)
		print(answer, argv[i]);
	if (argc == 3)
		fputs(line, stdout);
	ok = json_object_get_boolean(json_object_object_get(answer, "ok"));
	json_object_put(answer);
	if (ok && with_3) {
		close(3);
		fflush(stdout);
		while (fgets(line, sizeof(line), in))
			fputs(line, stdout);
	}
	fclose(in);
	return !ok;
}
