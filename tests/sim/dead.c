/* SPDX-License-Identifier: MIT */
/*
 * dead.c - simulates storage whose server is gone, for a program that need not know of it: LD_PRELOAD.
 *
 * XENSIM_DEAD=PATH: a call that asks for the properties of PATH never returns.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void ask(const char *path)
{
	const char *dead = getenv("XENSIM_DEAD");

	while (dead && strcmp(path, dead) == 0)
		pause();
}

int stat(const char *restrict path, struct stat *restrict st)
{
	static int (*next)(const char *, struct stat *);

	ask(path);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "stat");
	return next(path, st);
}

char *realpath(const char *restrict path, char *restrict resolved)
{
	static char *(*next)(const char *, char *);

	ask(path);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "realpath");
	return next(path, resolved);
}
