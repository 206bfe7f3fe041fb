/* SPDX-License-Identifier: MIT */
/*
 * xensim-xenstored - a xenstore server without a hypervisor.
 *
 * usage: xensim-xenstored SOCKET
 *
 * Prints "ready" once it serves, stays in the foreground, and leaves on
 * SIGTERM or SIGINT.
 */
#include "xsd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct sim_loop *loop;
	struct xsd *xs;

	if (argc != 2) {
		fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	loop = sim_loop_new();
	xs = xsd_new(loop, argv[1]);
	if (!xs)
		sim_die("%s: %s", argv[1], strerror(errno));
	puts("ready");
	fflush(stdout);
	while (!stop)
		sim_loop_turn(loop, -1);
	xsd_free(xs);
	sim_loop_free(loop);
	return 0;
}
