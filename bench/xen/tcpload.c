/* SPDX-License-Identifier: MIT */
/*
 * tcpload PORT                         serve all of these loads, by TCP and UDP
 * tcpload ADDRESS PORT ask N           send N requests of one byte, each after the answer to the one before; print the time
 * tcpload ADDRESS PORT send MIB        send so many MiB, until the server has all
 * tcpload ADDRESS PORT receive MIB     receive so many MiB
 * tcpload ADDRESS PORT packets N       send N UDP packets of 18 bytes, in bursts. The server answers the last of each burst
 *
 * Each does the same system calls for the same work, reads no clock between them, and has socket buffers of one size.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MIB         (1u << 20)
#define BLOCK       (128u << 10) /* of one call */
#define SOCKET_SIZE (1 << 20)
#define BURST       256u

/* What a client asks the server first. */
enum what { ECHO, SINK, SOURCE };
struct wish {
	uint32_t what, mib;
};

struct packet {
	uint32_t last; /* of its burst: the server answers how many have come */
	char filler[14];
};

static char block[BLOCK];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void set_option(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

static int new_socket(int type)
{
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		die("socket");
	if (type == SOCK_STREAM)
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_SIZE);
	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_SIZE);
	return fd;
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
		die(host);
	return at;
}

static int bound_socket(int type, const char *port)
{
	struct sockaddr_in at = address_of("0.0.0.0", port);
	int fd = new_socket(type);

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
	return fd;
}

static int connected_socket(int type, const char *host, const char *port)
{
	struct sockaddr_in at = address_of(host, port);
	int fd = new_socket(type);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("connect");
	return fd;
}

/* Write or read so many MiB, or until the end. */
static void pour(int fd, uint32_t mib)
{
	for (uint64_t left = (uint64_t)mib * MIB; left > 0;) {
		ssize_t n = write(fd, block, left < BLOCK ? left : BLOCK);

		if (n <= 0)
			die("write");
		left -= (uint64_t)n;
	}
}

static uint64_t drink(int fd)
{
	uint64_t all = 0;
	ssize_t n;

	while ((n = read(fd, block, BLOCK)) > 0)
		all += (uint64_t)n;
	return all;
}

static void answer(int fd)
{
	struct wish wish;
	char byte = 0;

	if (read(fd, &wish, sizeof(wish)) != sizeof(wish))
		return;
	switch (wish.what) {
	case ECHO:
		while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
			;
		return;
	case SINK:
		if (drink(fd) != (uint64_t)wish.mib * MIB || write(fd, &byte, 1) != 1)
			fprintf(stderr, "a client was lost\n");
		return;
	case SOURCE:
		pour(fd, wish.mib);
		return;
	}
}

/* As the line behind a real network card, this process does not take the processor from the backend at each packet. */
static void serve_packets(const char *port)
{
	struct sched_param param = { 0 };
	int fd = bound_socket(SOCK_DGRAM, port);
	uint32_t nr = 0;

	if (sched_setscheduler(0, SCHED_BATCH, &param) < 0)
		die("sched_setscheduler");

	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		struct packet packet;

		if (recvfrom(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&from, &size) !=
		    sizeof(packet))
			continue;
		nr++;
		if (!packet.last)
			continue;
		sendto(fd, &nr, sizeof(nr), 0, (struct sockaddr *)&from, size);
		nr = 0;
	}
}

static void serve(const char *port)
{
	int listener = bound_socket(SOCK_STREAM, port);

	signal(SIGCHLD, SIG_IGN);
	if (listen(listener, 8) < 0)
		die("listen");
	if (fork() == 0)
		serve_packets(port);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fork() == 0) {
			answer(fd);
			exit(0);
		}
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

static void ask(int fd, size_t nr)
{
	uint64_t *took = calloc(nr, sizeof(took[0]));
	char byte = 0;

	if (!took || nr == 0)
		die("ask");
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

static void send_packets(const char *host, const char *port, uint32_t nr)
{
	struct timeval limit = { .tv_sec = 5 };
	int fd = connected_socket(SOCK_DGRAM, host, port);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (uint32_t sent = 1, arrived; sent <= nr; sent++) {
		struct packet packet = { .last = sent % BURST == 0 || sent == nr };

		if (send(fd, &packet, sizeof(packet), 0) != sizeof(packet))
			die("send");
		if (!packet.last)
			continue;
		if (recv(fd, &arrived, sizeof(arrived), 0) != sizeof(arrived))
			die("no answer to a burst");
		if (arrived != (sent - 1) % BURST + 1) {
			fprintf(stderr, "%u packets of a burst have come\n", arrived);
			exit(1);
		}
	}
}

static int begin(const char *host, const char *port, enum what what, uint32_t mib)
{
	struct wish wish = { .what = what, .mib = mib };
	int fd = connected_socket(SOCK_STREAM, host, port);

	if (write(fd, &wish, sizeof(wish)) != sizeof(wish))
		die("write");
	return fd;
}

static int load(const char *host, const char *port, const char *what, uint32_t nr)
{
	char byte;
	int fd;

	if (!strcmp(what, "ask")) {
		ask(begin(host, port, ECHO, 0), nr);
	} else if (!strcmp(what, "send")) {
		fd = begin(host, port, SINK, nr);
		pour(fd, nr);
		shutdown(fd, SHUT_WR);
		return read(fd, &byte, 1) == 1 ? 0 : 1;
	} else if (!strcmp(what, "receive")) {
		return drink(begin(host, port, SOURCE, nr)) == (uint64_t)nr * MIB ? 0 : 1;
	} else if (!strcmp(what, "packets")) {
		send_packets(host, port, nr);
	} else {
		return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		serve(argv[1]);
	if (argc != 5)
		return 2;
	return load(argv[1], argv[2], argv[3], (uint32_t)atol(argv[4]));
}
