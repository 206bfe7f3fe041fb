/* SPDX-License-Identifier: MIT */
/*
 * This library is preloaded into the daemon. It starts the process of a guest under callgrind, which writes to
 * $BENCH_CALLGRIND. Valgrind cannot follow the daemon there by itself: the daemon executes /proc/self/exe, and under
 * valgrind that is valgrind.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/main.h"

#define MORE 4 /* words before those of the guest's process */

typedef int execve_fn(const char *path, char *const argv[], char *const env[]);

int execve(const char *path, char *const argv[], char *const env[])
{
	static char valgrind[] = "valgrind", quiet[] = "-q", tool[] = "--tool=callgrind";
	execve_fn *real = (execve_fn *)dlsym(RTLD_NEXT, "execve");
	char *words[MORE + GUEST_ARGS + 4] = { valgrind, quiet, tool }, out[4096], self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (!argv[0] || !argv[1] || strcmp(argv[1], GUEST_ARGUMENT) || len < 0)
		return real(path, argv, env);
	self[len] = '\0';
	snprintf(out, sizeof(out), "--callgrind-out-file=%s", getenv("BENCH_CALLGRIND"));
	words[MORE - 1] = out;
	words[MORE] = self;
	for (size_t i = 1; i <= 1 + GUEST_ARGS; i++)
		words[MORE + i] = argv[i];
	return execvpe(valgrind, words, env);
}
