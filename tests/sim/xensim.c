/* SPDX-License-Identifier: MIT */
/* xensim.c - a whole simulated machine in a thread of the test itself. */
#include "hv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct xensim {
	char dir[32];
	char *socket_path;
	struct sim_loop *loop;
	struct xsd *xs;
	struct hv *hv;
	int stop_fd;
	struct sim_watch *stop_watch;
	bool stop;
	pthread_t thread;
};

static void on_stop(void *arg, uint32_t events)
{
	struct xensim *sim = arg;

	(void)events;
	sim->stop = true;
}

static void *serve(void *arg)
{
	struct xensim *sim = arg;

	while (!sim->stop)
		sim_loop_turn(sim->loop, hv_pending(sim->hv));
	hv_free(sim->hv);
	xsd_free(sim->xs);
	sim_loop_remove(sim->loop, sim->stop_watch);
	sim_loop_free(sim->loop);
	return NULL;
}

static void xensim_free(struct xensim *sim)
{
	rmdir(sim->dir);
	free(sim->socket_path);
	free(sim);
}

struct xensim *xensim_start(void)
{
	struct xensim *sim = sim_alloc(sizeof(*sim));

	*sim = (struct xensim){ .dir = "/tmp/xensim-XXXXXX" };
	if (!mkdtemp(sim->dir)) {
		free(sim);
		return NULL;
	}
	sim->socket_path = sim_asprintf("%s/xenstored", sim->dir);
	sim->loop = sim_loop_new();
	sim->xs = xsd_new(sim->loop, sim->socket_path);
	sim->hv = sim->xs ? hv_new(sim->loop, sim->dir, sim->xs) : NULL;
	sim->stop_fd = eventfd(0, EFD_CLOEXEC);
	sim->stop_watch = sim_loop_add(sim->loop, sim->stop_fd, EPOLLIN, on_stop, sim);
	setenv("XENSIM_DIR", sim->dir, 1);
	setenv("XENSTORED_PATH", sim->socket_path, 1);
	if (sim->hv && !pthread_create(&sim->thread, NULL, serve, sim))
		return sim;
	hv_free(sim->hv);
	xsd_free(sim->xs);
	sim_loop_free(sim->loop);
	xensim_free(sim);
	return NULL;
}

void xensim_stop(struct xensim *sim)
{
	uint64_t one = 1;

	if (write(sim->stop_fd, &one, sizeof(one)) != sizeof(one))
		abort();
	pthread_join(sim->thread, NULL);
	close(sim->stop_fd);
	xensim_free(sim);
}
