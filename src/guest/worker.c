/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/log.h"
#include "guest/worker.h"

#define PORTS_PER_READ 128
#define REST_S         5u     /* without a pass */
#define LOOK_NS        50000u /* how long all else waits while queues only poll their rings */

void queue_mark(struct queue *queue)
{
	if (queue->dirty || !queue->worker)
		return;
	queue->dirty = true;
	queue->worker->nr_dirty[queue->ops->plane]++;
	TAILQ_INSERT_TAIL(&queue->worker->dirty, queue, dirty_link);
}

static void unmark(struct queue *queue)
{
	queue->dirty = false;
	queue->worker->nr_dirty[queue->ops->plane]--;
}

/* --- halted --- */

static bool domain_is_halted(const struct queue *queue)
{
	return queue->domain_halted && atomic_load(queue->domain_halted);
}

static void set_halted(struct queue *queue, bool halted)
{
	if (queue->halted == halted)
		return;
	queue->halted = halted;
	if (queue->ops->halt)
		queue->ops->halt(queue, halted);
}

void queue_halt(struct queue *queue)
{
	set_halted(queue, true);
}

static void run_halt_changed(struct loop_task *task)
{
	struct queue *queue = container_of(task, struct queue, halt_task);

	atomic_store(&queue->halt_posted, false);
	set_halted(queue, domain_is_halted(queue));
	queue_mark(queue); /* an event may have come before the bind */
}

void queue_halt_changed(struct queue *queue, struct worker *worker)
{
	if (atomic_exchange(&queue->halt_posted, true))
		return;
	queue->halt_task.run = run_halt_changed;
	loop_post(worker->loop, &queue->halt_task);
}

/* A halt holds from the next pass on. The end of a halt comes as a task, in the order of tasks. */
static void take(struct queue *queue)
{
	if (domain_is_halted(queue))
		queue_halt(queue);
	if (!queue->halted)
		queue->ops->take(queue);
}

/* --- queues --- */

void worker_attach(struct worker *worker, struct queue *queue, const struct queue_ops *ops)
{
	queue->ops = ops;
	queue->worker = worker;
	queue->dirty = queue->hungry = false;
	queue->halted = domain_is_halted(queue);
	LIST_INSERT_HEAD(&worker->queues, queue, link);
}

void worker_detach(struct queue *queue)
{
	if (!queue->worker)
		return;
	if (queue->dirty) {
		TAILQ_REMOVE(&queue->worker->dirty, queue, dirty_link);
		unmark(queue);
	}
	LIST_REMOVE(queue, link);
	queue->worker = NULL;
}

/* --- event channels --- */

static struct worker_port *port_lookup(const struct worker *worker, evtchn_port_t port)
{
	return port < worker->nr_ports ? worker->ports[port] : NULL;
}

/* Room for `port` as an index, and for one more entry on the fired list. */
static int port_reserve(struct worker *worker, evtchn_port_t port)
{
	uint32_t nr = worker->nr_ports ? worker->nr_ports : 64;
	struct worker_port **ports;
	evtchn_port_t *fired;

	while (nr <= port)
		nr *= 2;
	if (nr == worker->nr_ports)
		return 0;
	ports = realloc(worker->ports, nr * sizeof(ports[0]));
	if (!ports)
		return -ENOMEM;
	worker->ports = ports;
	memset(ports + worker->nr_ports, 0, (nr - worker->nr_ports) * sizeof(ports[0]));
	fired = realloc(worker->fired, nr * sizeof(fired[0]));
	if (!fired)
		return -ENOMEM;
	worker->fired = fired;
	worker->max_fired = nr;
	worker->nr_ports = nr;
	return 0;
}

int worker_bind(struct worker *worker, struct worker_port *port, struct queue *queue,
		uint32_t domid, evtchn_port_t remote)
{
	xenevtchn_port_or_error_t local = xenevtchn_bind_interdomain(worker->xce, domid, remote);
	int err;

	if (local < 0)
		return errno ? -errno : -EIO;
	err = port_reserve(worker, (evtchn_port_t)local);
	if (err) {
		xenevtchn_unbind(worker->xce, (evtchn_port_t)local);
		return err;
	}
	*port = (struct worker_port){ .queue = queue, .port = (evtchn_port_t)local, .bound = true };
	worker->ports[local] = port;
	return 0;
}

void worker_unbind(struct worker *worker, struct worker_port *port)
{
	if (!port->bound)
		return;
	worker->ports[port->port] = NULL;
	xenevtchn_unbind(worker->xce, port->port);
	*port = (struct worker_port){ 0 };
}

void worker_notify(struct worker *worker, const struct worker_port *port)
{
	/* This fails only when the other end is gone; then nobody waits for the event. */
	if (port->bound)
		xenevtchn_notify(worker->xce, port->port);
}

static void port_fired(struct worker *worker, evtchn_port_t number)
{
	struct worker_port *port = port_lookup(worker, number);

	if (!port || port->fired)
		return;
	port->fired = true;
	worker->fired[worker->nr_fired++] = number;
	queue_mark(port->queue);
}

/*
 * Read all pending ports at once; the kernel masks each until it is written back. libxenevtchn
 * would take one system call for each.
 */
static void events_came(void *user, uint32_t events)
{
	struct worker *worker = user;
	evtchn_port_t ports[PORTS_PER_READ];
	ssize_t n = read(xenevtchn_fd(worker->xce), ports, sizeof(ports));

	(void)events;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			log_error("reading event channels failed: %s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < (size_t)n / sizeof(ports[0]); i++)
		port_fired(worker, ports[i]);
}

static void write_unmasked(struct worker *worker, const evtchn_port_t *ports, uint32_t nr)
{
	if (nr && write(xenevtchn_fd(worker->xce), ports, nr * sizeof(ports[0])) < 0)
		log_error("unmasking event channels failed: %s", strerror(errno));
}

/* Unmask the ports of queues that have nothing left to do; keep the others for later. */
static void unmask_ports(struct worker *worker)
{
	evtchn_port_t ready[PORTS_PER_READ];
	uint32_t nr_ready = 0, kept = 0;

	for (uint32_t i = 0; i < worker->nr_fired; i++) {
		struct worker_port *port = port_lookup(worker, worker->fired[i]);

		if (!port || !port->fired)
			continue; /* unbound meanwhile */
		if (port->queue->dirty) {
			worker->fired[kept++] = worker->fired[i];
			continue;
		}
		port->fired = false;
		ready[nr_ready++] = port->port;
		if (nr_ready == PORTS_PER_READ) {
			write_unmasked(worker, ready, nr_ready);
			nr_ready = 0;
		}
	}
	worker->nr_fired = kept;
	write_unmasked(worker, ready, nr_ready);
}

/* --- the pass --- */

/* Copies that act() adds are made at once, and act() is called again: an indirect write needs two rounds. */
static void copy_and_act(struct worker *worker)
{
	struct queue *queue;

	do {
		grant_batch_run(&worker->copies, worker->xgt);
		worker_time_passes(worker);
		TAILQ_FOREACH(queue, &worker->dirty, dirty_link)
			queue->ops->act(queue);
	} while (grant_batch_waits(&worker->copies));
}

/* A guest that does nothing must not keep memory that others could use. */
static void look_whether_it_rests(void *user)
{
	struct worker *worker = user;

	if (++worker->unused_s <= REST_S)
		return;
	loop_tick_remove(&worker->rest_tick);
	for (unsigned int i = 0; i < PLANE_NR; i++)
		if (worker->plane_ctx[i] && worker->planes[i]->rest)
			worker->planes[i]->rest(worker->plane_ctx[i]);
}

/* Queues that found no room come first in the next pass, in their order. So each has its turn in the end. */
static void begin_pass(struct worker *worker)
{
	TAILQ_HEAD(, queue) fed = TAILQ_HEAD_INITIALIZER(fed);
	struct queue *queue, *next;

	worker->unused_s = 0;
	if (!worker->rest_tick.loop)
		loop_tick_add(worker->loop, &worker->rest_tick, look_whether_it_rests, worker);
	for (queue = TAILQ_FIRST(&worker->dirty); queue; queue = next) {
		next = TAILQ_NEXT(queue, dirty_link);
		if (!queue->hungry) {
			TAILQ_REMOVE(&worker->dirty, queue, dirty_link);
			TAILQ_INSERT_TAIL(&fed, queue, dirty_link);
		}
		queue->hungry = false;
	}
	TAILQ_CONCAT(&worker->dirty, &fed, dirty_link);
	grant_batch_reset(&worker->copies);
}

static void serve(struct worker *worker)
{
	TAILQ_HEAD(, queue) batch = TAILQ_HEAD_INITIALIZER(batch);
	struct queue *queue, *next;

	begin_pass(worker);
	TAILQ_FOREACH(queue, &worker->dirty, dirty_link)
		take(queue);
	copy_and_act(worker);
	for (unsigned int i = 0; i < PLANE_NR; i++)
		if (worker->plane_ctx[i] && worker->planes[i]->submit)
			worker->planes[i]->submit(worker->plane_ctx[i]);
	worker_time_passes(worker);

	grant_batch_reset(&worker->copies);
	TAILQ_FOREACH(queue, &worker->dirty, dirty_link)
		queue->ops->give(queue);
	grant_batch_run(&worker->copies, worker->xgt);
	worker_time_passes(worker);

	/* A queue that has more to do goes behind the others. */
	TAILQ_CONCAT(&batch, &worker->dirty, dirty_link);
	for (queue = TAILQ_FIRST(&batch); queue; queue = next) {
		next = TAILQ_NEXT(queue, dirty_link);
		TAILQ_REMOVE(&batch, queue, dirty_link);
		unmark(queue);
		queue->looks = false;
		if (queue->ops->answer(queue))
			queue_mark(queue);
	}
	worker->now_ns = 0;
}

static bool all_look(const struct worker *worker)
{
	const struct queue *queue;

	TAILQ_FOREACH(queue, &worker->dirty, dirty_link)
		if (!queue->looks)
			return false;
	return !TAILQ_EMPTY(&worker->dirty);
}

/* Queues that only poll look at memory. We do not ask the kernel each time whether there is something else. */
static bool pass(void *user)
{
	struct worker *worker = user;
	uint64_t since_ns;

	if (!TAILQ_EMPTY(&worker->dirty))
		serve(worker);
	since_ns = all_look(worker) ? worker_now(worker) : 0;
	while (all_look(worker) && worker_now(worker) - since_ns < LOOK_NS)
		serve(worker);
	if (worker->nr_fired)
		unmask_ports(worker);
	worker->now_ns = 0;
	return !TAILQ_EMPTY(&worker->dirty);
}

void worker_dump(struct worker *worker, FILE *out)
{
	struct queue *queue;

	fprintf(out, "worker %u copy_calls=%llu copies=%llu copies_failed=%llu\n", worker->index,
		(unsigned long long)worker->copies.nr_calls,
		(unsigned long long)worker->copies.nr_copies,
		(unsigned long long)worker->copies.nr_failed);
	LIST_FOREACH(queue, &worker->queues, link)
		queue->ops->dump(queue, out);
}

/* --- life --- */

static int open_handles(struct worker *worker)
{
	worker->xgt = xengnttab_open(NULL, 0);
	if (!worker->xgt)
		return errno ? -errno : -EIO;
	worker->xce = xenevtchn_open(NULL, 0);
	if (!worker->xce)
		return errno ? -errno : -EIO;
	if (fcntl(xenevtchn_fd(worker->xce), F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	worker->watch =
		loop_add(worker->loop, xenevtchn_fd(worker->xce), EPOLLIN, events_came, worker);
	return worker->watch ? 0 : -errno;
}

int worker_plane(struct worker *worker, enum plane_kind kind, void **ret_ctx)
{
	int err = 0;

	if (!worker->plane_ctx[kind]) {
		void *prepared = worker->prepared[kind];

		worker->prepared[kind] = NULL;
		err = worker->planes[kind]->open(worker, prepared, &worker->plane_ctx[kind]);
	}
	if (!err)
		*ret_ctx = worker->plane_ctx[kind];
	return err;
}

int worker_open(struct worker *worker, unsigned int index, const struct plane *const *planes)
{
	int err;

	*worker = (struct worker){ .index = index };
	TAILQ_INIT(&worker->dirty);
	LIST_INIT(&worker->queues);
	pass_clock_init(&worker->clock);
	worker->loop = loop_new();
	if (!worker->loop)
		return errno ? -errno : -ENOMEM;
	loop_set_pass(worker->loop, pass, worker);
	err = port_reserve(worker, 0);
	if (!err)
		err = open_handles(worker);
	memcpy(worker->planes, planes, sizeof(worker->planes));
	if (err)
		worker_close(worker);
	return err;
}

int worker_restrict(struct worker *worker, uint32_t domid)
{
	return xenevtchn_restrict(worker->xce, (domid_t)domid) < 0 ? -errno : 0;
}

void worker_own_pages(struct worker *worker, uint32_t domid)
{
	own_pages_open(&worker->own, domid);
	worker->copies.own = &worker->own;
}

void worker_prepare(struct worker *worker)
{
	for (unsigned int i = 0; i < PLANE_NR; i++)
		if (worker->planes[i] && worker->planes[i]->prepare)
			worker->prepared[i] = worker->planes[i]->prepare();
}

int worker_start(struct worker *worker)
{
	return loop_thread_start(&worker->thread, worker->loop);
}

void worker_close(struct worker *worker)
{
	loop_thread_stop(&worker->thread);
	loop_tick_remove(&worker->rest_tick);
	for (unsigned int i = 0; i < PLANE_NR; i++)
		if (worker->plane_ctx[i])
			worker->planes[i]->close(worker->plane_ctx[i]);
	for (unsigned int i = 0; i < PLANE_NR; i++)
		if (worker->prepared[i])
			worker->planes[i]->unprepare(worker->prepared[i]);
	grant_batch_done(&worker->copies);
	own_pages_close(&worker->own);
	if (worker->loop)
		loop_remove(worker->loop, worker->watch);
	if (worker->xce)
		xenevtchn_close(worker->xce);
	if (worker->xgt)
		xengnttab_close(worker->xgt);
	loop_free(worker->loop);
	free(worker->ports);
	free(worker->fired);
	*worker = (struct worker){ 0 };
}
