/* SPDX-License-Identifier: MIT */
/* fail.c - calls that fail on request; what can be asked for is in client.h. */
#include "fail.h"
#include "role.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HANG -1 /* the call never returns */
#define STOP                                                                                       \
	-2 /* the program stops before it (SIGSTOP); the call is made once somebody lets it go on */

/* A function of moment.c, if that is preloaded. */
__attribute__((weak)) void sim_moment(const char *what);

struct fault {
	char call[48];
	unsigned int at;    /* which use fails, from 1 */
	unsigned int *used; /* so far; atomic */
	bool on;            /* and all after it */
	int err;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault faults[SIM_MAX_FAULTS];
static unsigned int nr_faults, nr_own; /* those of the environment first */
static unsigned int own_uses[SIM_MAX_FAULTS];
static struct sim_fail_order *order; /* NULL: there are no later orders */
static unsigned int order_seen;
static bool asked; /* the environment was looked at */

static int errno_parse(const char *name)
{
	if (!strcmp(name, "HANG"))
		return HANG;
	if (!strcmp(name, "STOP"))
		return STOP;
	for (int err = 1; err < 134; err++) {
		const char *known = strerrorname_np(err);

		if (known && !strcmp(known, name))
			return err;
	}
	return atoi(name);
}

/* False if it is no fault, or not for this process. */
static bool fault_parse(char *item, struct fault *f)
{
	char err[16] = "EIO", *plus = strchr(item, '+'), *slash = strchr(item, '/');

	if (slash) {
		*slash = '\0';
		if (strcmp(item, sim_role))
			return false;
		item = slash + 1;
	}
	f->on = plus != NULL;
	if (plus)
		memmove(plus, plus + 1, strlen(plus));
	if (sscanf(item, "%47[^:]:%u:%15s", f->call, &f->at, err) < 2)
		return false;
	f->err = errno_parse(err);
	return true;
}

/* After the first @nr faults, which stay. @uses: one count for each item of @spec. */
static void faults_parse(unsigned int nr, const char *spec, unsigned int *uses)
{
	char *copy = strdup(spec), *rest = copy, *item;

	nr_faults = nr;
	for (unsigned int i = 0;
	     nr_faults < SIM_MAX_FAULTS && i < SIM_MAX_FAULTS && (item = strsep(&rest, ",")); i++) {
		struct fault *f = &faults[nr_faults];

		f->used = &uses[i];
		nr_faults += fault_parse(item, f);
	}
	free(copy);
}

static struct sim_fail_order *order_map(void)
{
	const char *dir = getenv("XENSIM_DIR");
	char path[4096];
	FILE *file; /* open() may be one of the calls that fail */
	void *addr;

	snprintf(path, sizeof(path), "%s/" SIM_FAIL_FILE, dir ? dir : "");
	file = fopen(path, "r+e");
	if (!file)
		return NULL;
	addr = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	fclose(file);
	return addr == MAP_FAILED ? NULL : addr;
}

static void ask(void)
{
	const char *env = getenv("XENSIM_FAIL");

	asked = true;
	if (!env)
		return;
	faults_parse(0, env, own_uses);
	nr_own = nr_faults;
	if (strstr(env, "later"))
		order = order_map();
}

static void listen_to_orders(void)
{
	unsigned int number = order ? __atomic_load_n(&order->number, __ATOMIC_ACQUIRE) : 0;

	if (number == order_seen)
		return;
	order_seen = number;
	faults_parse(nr_own, order->spec, order->used[number % 2]);
}

static int count_use(const char *call)
{
	for (unsigned int i = 0; i < nr_faults; i++) {
		const struct fault *f = &faults[i];
		unsigned int use;

		if (strcmp(f->call, call))
			continue;
		use = __atomic_add_fetch(f->used, 1, __ATOMIC_SEQ_CST);
		if (use < f->at || (!f->on && use > f->at))
			continue;
		if (use > f->at)
			return f->err; /* that is known */
		fprintf(stderr, "xensim: use %u of %s %s on purpose\n", f->at, call,
			f->err == HANG   ? "hangs"
			: f->err == STOP ? "stops"
					 : "fails");
		while (f->err == HANG)
			pause();
		if (f->err != STOP)
			return f->err;
		raise(SIGSTOP);
	}
	return 0;
}

int sim_fail(const char *call)
{
	int err;

	if (sim_moment && !strchr(call, '.')) /* those are within a call */
		sim_moment(call);
	pthread_mutex_lock(&lock);
	if (!asked)
		ask();
	listen_to_orders();
	err = count_use(call);
	pthread_mutex_unlock(&lock);
	return err;
}
