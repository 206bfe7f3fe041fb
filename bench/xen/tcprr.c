/* SPDX-License-Identifier: MIT */
/*
 * tcprr PORT               answer each byte with a byte, for one connection after the other
 * tcprr ADDRESS PORT N     send N requests of one byte, each after the answer to the one before; print the time
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return fd;
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
		die(host);
	return at;
}

static void serve(const char *port)
{
	struct sockaddr_in at = address_of("0.0.0.0", port);
	int listener = new_socket();

	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 1) < 0)
		die("listen");
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		char byte;

		while (fd >= 0 && read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
			;
		close(fd);
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void ask(const char *host, const char *port, size_t nr)
{
	struct sockaddr_in at = address_of(host, port);
	uint64_t *took = calloc(nr, sizeof(took[0]));
	int fd = new_socket();
	char byte = 0;

	if (!took || nr == 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("connect");
	for (size_t i = 0; i < nr; i++) {
		uint64_t start = now_ns();

		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			die("connection");
		took[i] = now_ns() - start;
	}
	qsort(took, nr, sizeof(took[0]), by_size);
	printf("requests=%zu p50_us=%.1f p99_us=%.1f\n", nr, (double)took[nr / 2] / 1e3,
	       (double)took[nr * 99 / 100] / 1e3);
	free(took);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		serve(argv[1]);
	if (argc != 4)
		return 2;
	ask(argv[1], argv[2], (size_t)atol(argv[3]));
	return 0;
}
