/* SPDX-License-Identifier: MIT */
/*
 * role.h - which of a backend's processes this is: for what is preloaded into all of them, and is
 * meant for one kind only.
 *
 * The first argument says it: "--internal-guest" is a guest's process, "--internal-open" an opener,
 * anything else control. What control forks and does not execute has no role.
 */
#ifndef SIM_ROLE_H
#define SIM_ROLE_H

#include <pthread.h>
#include <string.h>

static const char *sim_role = "control";

static void sim_role_forked(void)
{
	sim_role = "forked";
}

/* Before the other constructors; glibc gives them the arguments of main(). */
static void __attribute__((constructor(101))) sim_role_find(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "--internal-guest"))
		sim_role = "guest";
	else if (!strcmp(what, "--internal-open"))
		sim_role = "opener";
	pthread_atfork(NULL, NULL, sim_role_forked);
}

#endif
