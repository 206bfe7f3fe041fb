/* SPDX-License-Identifier: MIT */
/* fail.c - library calls that fail on request. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FAULTS 16

struct fault {
	char call[48];
	unsigned int at;   /* which use fails, from 1 */
	unsigned int used; /* atomic */
	int err;
};

static struct fault faults[MAX_FAULTS];
static unsigned int nr_faults;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int errno_parse(const char *name)
{
	for (int err = 1; err < 134; err++) {
		const char *known = strerrorname_np(err);

		if (known && !strcmp(known, name))
			return err;
	}
	return atoi(name);
}

static void faults_parse(void)
{
	const char *env = getenv("XENSIM_FAIL");
	char *copy = env ? strdup(env) : NULL, *rest = copy, *item;

	while (rest && (item = strsep(&rest, ",")) && nr_faults < MAX_FAULTS) {
		struct fault *f = &faults[nr_faults];
		char err[16] = "EIO";

		if (sscanf(item, "%47[^:]:%u:%15s", f->call, &f->at, err) < 2)
			continue;
		f->err = errno_parse(err);
		nr_faults++;
	}
	free(copy);
}

int sim_fail(const char *call)
{
	pthread_once(&once, faults_parse);
	for (unsigned int i = 0; i < nr_faults; i++) {
		struct fault *f = &faults[i];

		if (strcmp(f->call, call) ||
		    __atomic_add_fetch(&f->used, 1, __ATOMIC_RELAXED) != f->at)
			continue;
		fprintf(stderr, "xensim: use %u of %s fails on purpose\n", f->at, call);
		return f->err;
	}
	return 0;
}
