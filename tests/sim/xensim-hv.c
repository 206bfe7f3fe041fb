/* SPDX-License-Identifier: MIT */
/*
 * xensim-hv - the simulated machine: hypervisor and xenstore in one process.
 *
 * usage: xensim-hv DIR
 *
 * Makes the sockets DIR/hv and DIR/xenstored, prints "ready", stays in the
 * foreground and leaves on SIGTERM or SIGINT; all processes of the machine that
 * are still there then die with it.
 */
#include "hv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
	struct hv *hv;
	char *path;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIR\n", argv[0]);
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	loop = sim_loop_new();
	path = sim_asprintf("%s/xenstored", argv[1]);
	xs = xsd_new(loop, path);
	if (!xs)
		sim_die("%s: %s", path, strerror(errno));
	hv = hv_new(loop, argv[1], xs);
	if (!hv)
		sim_die("%s/hv: %s", argv[1], strerror(errno));
	puts("ready");
	fflush(stdout);
	while (!stop)
		sim_loop_turn(loop, hv_pending(hv));
	hv_power_off(hv);
	hv_free(hv);
	xsd_free(xs);
	sim_loop_free(loop);
	free(path);
	return 0;
}
