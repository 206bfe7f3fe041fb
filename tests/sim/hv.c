/* SPDX-License-Identifier: MIT */
/* hv.c - domains, clients and late events of the simulated hypervisor. */
#include "hv.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "events.h"

struct hv_client {
	struct hv *hv;
	uint32_t id; /* 0 until HELLO */
	uint32_t domid;
	bool is_vcpu;
	pid_t pid;
	int fd;
	struct sim_watch *io;
	int events_fd; /* our end of the event channel socket, -1 = none */
	struct sim_watch *events_io;
	bool dead, retry;
	struct hv_client *next;
};

struct hv {
	struct sim_loop *loop; /* borrowed */
	struct xsd *xs;        /* borrowed, may be NULL */
	char *socket_path;
	int listen_fd;
	struct sim_watch *listen_watch;
	int mem_fd;
	struct sim_shm *shm;
	struct hv_client *clients;
	bool retry; /* for some client */
	uint32_t next_domid;
	uint32_t next_generation;
};

static struct hv_client *client_find(struct hv *hv, uint32_t id)
{
	struct hv_client *c = hv->clients;

	while (c && (c->dead || c->id != id))
		c = c->next;
	return c;
}

/* The shared table of clients gives the id; low bits are the index in it. */
static int client_hello(struct hv_client *c, uint32_t domid, bool is_vcpu)
{
	struct sim_shm *shm = c->hv->shm;
	struct sim_dom *dom = sim_dom_find(shm, domid);

	if (c->id || !dom || dom->state != SIM_DOM_ALIVE)
		return c->id ? -EBUSY : -ENOENT;
	for (uint32_t i = 1; i < SIM_MAX_CLIENTS; i++) {
		if (shm->client[i].used)
			continue;
		c->id = ++c->hv->next_generation % (UINT32_MAX / SIM_MAX_CLIENTS) *
				SIM_MAX_CLIENTS +
			i;
		shm->client[i] = (struct sim_client){
			.domid = domid, .used = true, .pid = c->pid, .id = c->id
		};
		c->domid = domid;
		c->is_vcpu = is_vcpu;
		return 0;
	}
	return -ENFILE;
}

static void client_release_grants(struct hv_client *c)
{
	struct sim_shm *shm = c->hv->shm;

	for (uint32_t i = 1; i < SIM_MAX_MAPS; i++) {
		struct sim_map *m = &shm->map[i];

		if (m->client != c->id)
			continue;
		m->client = 0;
		shm->nr_maps--;
		shm->dom[m->slot].nr_maps--;
	}
	for (uint32_t i = 0; i < SIM_MAX_DOMS; i++)
		if (shm->dom[i].state != SIM_DOM_FREE)
			sim_grants_recount(shm, &shm->dom[i]);
}

/* Do all that the kernel does when the process's files are closed. */
static void client_release(struct hv_client *c)
{
	struct sim_shm *shm = c->hv->shm;
	struct sim_dom *dom = sim_dom_find(shm, c->domid);

	sim_lock(&shm->lock);
	for (uint32_t i = 1; dom && i < SIM_MAX_PORTS; i++)
		if (dom->port[i].state != SIM_PORT_FREE && dom->port[i].client == c->id)
			sim_port_close(shm, dom, i);
	if (shm->client[SIM_CLIENT_INDEX(c->id)].has_grants)
		client_release_grants(c);
	shm->client[SIM_CLIENT_INDEX(c->id)].used = false;
	sim_unlock(&shm->lock);
}

/* Pages and grants that a guest process leaves behind, unless still in use. */
static void client_reclaim(struct hv_client *c)
{
	struct sim_shm *shm = c->hv->shm;
	struct sim_dom *dom = sim_dom_find(shm, c->domid);
	uint16_t me = (uint16_t)SIM_CLIENT_INDEX(c->id);
	grant_entry_v1_t *grants;

	if (!dom || !c->domid)
		return;
	grants = sim_dom_grants(shm, dom);
	sim_lock(&dom->lock);
	for (uint32_t i = 0; i < SIM_NR_GRANTS; i++) {
		if (dom->grant_client[i] != me)
			continue;
		/* A grant in use keeps its page: both are lost, as in a guest. */
		if (dom->pins[i]) {
			if (grants[i].frame < SIM_MAX_PAGES)
				dom->page_client[grants[i].frame] = UINT16_MAX;
			dom->grant_client[i] = UINT16_MAX;
			continue;
		}
		memset(&grants[i], 0, sizeof(grants[i]));
		dom->grant_client[i] = 0;
	}
	for (uint32_t i = 0; i < SIM_MAX_PAGES; i++)
		if (dom->page_client[i] == me)
			dom->page_client[i] = 0;
	sim_unlock(&dom->lock);
}

static void doms_reap(struct hv *hv);

static void client_drop(struct hv_client *c)
{
	if (c->dead)
		return;
	c->dead = true;
	sim_loop_remove(c->hv->loop, c->io);
	close(c->fd);
	if (c->events_fd >= 0) {
		sim_loop_remove(c->hv->loop, c->events_io);
		close(c->events_fd);
	}
	if (c->id) {
		client_release(c);
		client_reclaim(c);
	}
	doms_reap(c->hv);
}

static void clients_reap(struct hv *hv)
{
	struct hv_client **at = &hv->clients;

	while (*at) {
		struct hv_client *c = *at;

		if (!c->dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}

static bool has_late_event(struct hv_client *c, struct sim_dom *dom)
{
	for (uint32_t i = 1; i < SIM_MAX_PORTS; i++) {
		const struct sim_port *p = &dom->port[i];

		if (p->state != SIM_PORT_FREE && p->client == c->id && p->pending && p->masked)
			return true;
	}
	return false;
}

static void client_watch_unmasks(struct hv_client *c, bool on)
{
	bool *now = &c->hv->shm->client[SIM_CLIENT_INDEX(c->id)].hv_unmasks;

	if (*now != on)
		sim_loop_modify(c->hv->loop, c->events_io, on ? EPOLLIN : 0);
	*now = on;
}

/* The client wrote ports while an event waited for one of them, or it is gone. */
static void client_unmask(void *arg, uint32_t events)
{
	struct hv_client *c = arg;
	struct sim_shm *shm = c->hv->shm;
	struct sim_dom *dom = sim_dom_find(shm, c->domid);
	bool full = false;
	ssize_t n;

	(void)events;
	sim_lock(&shm->lock);
	n = sim_ports_unmask(shm, dom, c->id, c->events_fd, &full);
	if (n >= 0 || errno == EAGAIN)
		client_watch_unmasks(c, dom && has_late_event(c, dom));
	sim_unlock(&shm->lock);
	if (full)
		c->retry = c->hv->retry = true;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		client_drop(c);
}

static void client_retry(struct hv_client *c)
{
	struct sim_shm *shm = c->hv->shm;
	struct sim_dom *dom = sim_dom_find(shm, c->domid);

	c->retry = false;
	sim_lock(&shm->lock);
	for (uint32_t i = 1; dom && i < SIM_MAX_PORTS; i++) {
		struct sim_port *p = &dom->port[i];

		if (p->state == SIM_PORT_FREE || p->client != c->id || !p->pending || p->masked)
			continue;
		if (sim_port_raise(shm, dom, i, c->events_fd) == SIM_RAISED_FULL)
			c->retry = true;
	}
	sim_unlock(&shm->lock);
}

/* Make the event socket; the client's end is returned. */
static int client_events(struct hv_client *c)
{
	int pair[2], big = 1 << 20;

	if (c->events_fd >= 0)
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	c->events_fd = pair[0];
	c->events_io = sim_loop_add(c->hv->loop, pair[0], 0, client_unmask, c);
	c->hv->shm->client[SIM_CLIENT_INDEX(c->id)].has_events = true;
	return pair[1];
}

/* Where sim_dom_find() looks first, if it can be. */
static struct sim_dom *slot_free(struct sim_shm *shm, uint32_t domid)
{
	for (uint32_t i = 0; i < SIM_MAX_DOMS; i++) {
		struct sim_dom *d = &shm->dom[(domid + i) % SIM_MAX_DOMS];

		if (d->state == SIM_DOM_FREE)
			return d;
	}
	return NULL;
}

static int dom_create(struct hv *hv, uint32_t nr_pages, bool hvm, uint32_t *ret_domid)
{
	struct sim_dom *d = slot_free(hv->shm, hv->next_domid + 1);
	uint64_t at;

	if (!nr_pages || nr_pages > SIM_MAX_PAGES)
		return -EINVAL;
	if (!d)
		return -ENOMEM;
	at = sim_page_offset(hv->shm, d, 0) - SIM_NR_GRANTS * 8ul;
	fallocate(hv->mem_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		  (off_t)SIM_DOM_BYTES);
	sim_lock(&hv->shm->lock);
	memset((char *)d + sizeof(d->lock), 0, sizeof(*d) - sizeof(d->lock));
	d->domid = ++hv->next_domid;
	d->nr_pages = nr_pages;
	d->hvm = hvm;
	d->paused = true;
	memcpy(d->handle, &d->domid, sizeof(d->domid));
	__atomic_store_n(&d->state, SIM_DOM_ALIVE, __ATOMIC_RELEASE);
	sim_unlock(&hv->shm->lock);
	*ret_domid = d->domid;
	return 0;
}

/* Stop, continue or kill the processes that are this domain's vCPUs. */
static void dom_signal(struct hv *hv, uint32_t domid, int sig)
{
	for (struct hv_client *c = hv->clients; c; c = c->next)
		if (!c->dead && c->id && c->is_vcpu && c->domid == domid && c->pid != getpid())
			kill(c->pid, sig);
}

/* Has every thread of the process come to its stop? A process that is gone has. */
static bool is_stopped(pid_t pid)
{
	char path[300], line[512], *state;
	struct dirent *entry;
	bool stopped = true;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && stopped && (entry = readdir(tasks))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
		stopped = !state || strchr("TtZX", state[2]);
		fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return stopped;
}

/*
 * A vCPU is never stopped within a hypercall: hold the locks that one may take, the machine's and the
 * domain's own, until all have stopped.
 */
static void dom_stop(struct hv *hv, uint32_t domid, struct sim_dom *dom)
{
	sim_lock(&hv->shm->lock);
	sim_lock(&dom->lock);
	dom_signal(hv, domid, SIGSTOP);
	for (struct hv_client *c = hv->clients; c; c = c->next)
		if (!c->dead && c->id && c->is_vcpu && c->domid == domid && c->pid != getpid())
			while (!is_stopped(c->pid))
				sched_yield();
	sim_unlock(&dom->lock);
	sim_unlock(&hv->shm->lock);
}

static void doms_reap(struct hv *hv)
{
	for (uint32_t i = 1; i < SIM_MAX_DOMS; i++) {
		struct sim_dom *d = &hv->shm->dom[i];

		if (d->state == SIM_DOM_DYING && !d->nr_maps)
			__atomic_store_n(&d->state, SIM_DOM_FREE, __ATOMIC_RELEASE);
	}
}

static int dom_destroy(struct hv *hv, uint32_t domid)
{
	struct sim_dom *d = sim_dom_find(hv->shm, domid);

	if (!d || !domid || d->state != SIM_DOM_ALIVE)
		return -ESRCH;
	dom_signal(hv, domid, SIGKILL);
	sim_lock(&hv->shm->lock);
	d->state = SIM_DOM_DYING;
	for (uint32_t i = 1; i < SIM_MAX_PORTS; i++)
		sim_port_close(hv->shm, d, i);
	sim_unlock(&hv->shm->lock);
	if (hv->xs)
		xsd_domain_gone(hv->xs, domid);
	doms_reap(hv);
	return 0;
}

static int dom_shutdown(struct hv *hv, uint32_t domid, uint32_t reason)
{
	struct sim_dom *d = sim_dom_find(hv->shm, domid);

	if (!d || !domid || d->state != SIM_DOM_ALIVE || reason > 0xff)
		return -ESRCH;
	dom_stop(hv, domid, d);
	d->shutdown_reason = reason;
	d->shutdown = true;
	if (hv->xs)
		xsd_domain_shutdown(hv->xs, domid);
	return 0;
}

/* The domain goes on as if it had not shut down. The caller tells xenstored, which fires no watch. */
static int dom_resume(struct hv *hv, uint32_t domid)
{
	struct sim_dom *d = sim_dom_find(hv->shm, domid);

	if (!d || d->state != SIM_DOM_ALIVE || !d->shutdown)
		return -ESRCH;
	d->shutdown = false;
	if (!d->paused)
		dom_signal(hv, domid, SIGCONT);
	return 0;
}

static int dom_pause(struct hv *hv, uint32_t domid, bool pause)
{
	struct sim_dom *d = sim_dom_find(hv->shm, domid);

	if (!d || !domid || d->state != SIM_DOM_ALIVE)
		return -ESRCH;
	d->paused = pause;
	if (pause)
		dom_stop(hv, domid, d);
	else
		dom_signal(hv, domid, SIGCONT);
	return 0;
}

/* Carry out one request. *ret_fd is to be sent; *ret_close says it is ours. */
static int client_request(struct hv_client *c, const struct sim_msg *m, uint32_t *ret_val,
			  int *ret_fd, bool *ret_close)
{
	struct hv_client *other;
	int err;

	if (!c->id && m->op != SIM_OP_HELLO)
		return -EACCES;
	switch ((enum sim_op)m->op) {
	case SIM_OP_HELLO:
		err = client_hello(c, m->arg[0], m->arg[1]);
		*ret_val = c->id;
		*ret_fd = c->hv->mem_fd;
		return err;
	case SIM_OP_EVENTS:
		err = client_events(c);
		*ret_fd = err;
		*ret_close = true;
		return err < 0 ? err : 0;
	case SIM_OP_PEER:
		other = client_find(c->hv, m->arg[0]);
		if (!other || other->events_fd < 0)
			return -ENOENT;
		*ret_fd = other->events_fd;
		return 0;
	case SIM_OP_RETRY:
		other = client_find(c->hv, m->arg[0]);
		if (other && other->events_fd >= 0)
			other->retry = c->hv->retry = true;
		return 0;
	case SIM_OP_UNMASKS:
		other = client_find(c->hv, m->arg[0]);
		if (!other || other->events_fd < 0)
			return -ENOENT;
		sim_lock(&c->hv->shm->lock);
		client_watch_unmasks(other, true);
		sim_unlock(&c->hv->shm->lock);
		return 0;
	case SIM_OP_DOM_CREATE:
		return dom_create(c->hv, m->arg[0], m->arg[1], ret_val);
	case SIM_OP_DOM_DESTROY:
		return dom_destroy(c->hv, m->arg[0]);
	case SIM_OP_DOM_SHUTDOWN:
		return dom_shutdown(c->hv, m->arg[0], m->arg[1]);
	case SIM_OP_DOM_RESUME:
		return dom_resume(c->hv, m->arg[0]);
	case SIM_OP_DOM_PAUSE:
		return dom_pause(c->hv, m->arg[0], m->arg[1]);
	case SIM_OP_REAP:
		doms_reap(c->hv);
		return 0;
	}
	return -ENOSYS;
}

static void client_io(void *arg, uint32_t events)
{
	struct hv_client *c = arg;
	struct sim_reply reply = { 0 };
	struct sim_msg msg;
	bool ours = false;
	int fd = -1, ignored;

	(void)events;
	if (sim_sock_recv(c->fd, &msg, sizeof(msg), &ignored)) {
		client_drop(c);
		return;
	}
	reply.err = client_request(c, &msg, &reply.val, &fd, &ours);
	if (sim_sock_send(c->fd, &reply, sizeof(reply), reply.err ? -1 : fd))
		client_drop(c);
	if (ours && fd >= 0)
		close(fd);
}

static void client_arrives(void *arg, uint32_t events)
{
	struct hv *hv = arg;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct hv_client *c;
	int fd;

	(void)events;
	clients_reap(hv);
	fd = accept4(hv->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	c = sim_alloc(sizeof(*c));
	c->hv = hv;
	c->fd = fd;
	c->events_fd = -1;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		c->pid = cred.pid;
	c->next = hv->clients;
	hv->clients = c;
	c->io = sim_loop_add(hv->loop, fd, EPOLLIN, client_io, c);
}

/* Ports whose owner's socket was full: they wait for the next turn. */
int hv_pending(struct hv *hv)
{
	bool retry = hv->retry;

	hv->retry = false;
	for (struct hv_client *c = retry ? hv->clients : NULL; c; c = c->next) {
		if (!c->dead && c->retry)
			client_retry(c);
		hv->retry |= !c->dead && c->retry;
	}
	if (hv->xs)
		__atomic_store_n(&hv->shm->nr_watches, xsd_nr_watches(hv->xs), __ATOMIC_RELAXED);
	return hv->retry ? 1 : -1;
}

static int hv_listen(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 64))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

struct hv *hv_new(struct sim_loop *loop, const char *dir, struct xsd *xs)
{
	struct hv *hv = sim_alloc(sizeof(*hv));

	hv->loop = loop;
	hv->xs = xs;
	hv->socket_path = sim_asprintf("%s/hv", dir);
	hv->listen_fd = -1;
	hv->mem_fd = memfd_create("xensim", MFD_CLOEXEC);
	hv->shm = hv->mem_fd < 0 ? NULL : sim_shm_create(hv->mem_fd);
	if (hv->shm)
		hv->listen_fd = hv_listen(hv->socket_path);
	if (hv->listen_fd < 0) {
		hv_free(hv);
		return NULL;
	}
	hv->listen_watch = sim_loop_add(loop, hv->listen_fd, EPOLLIN, client_arrives, hv);
	return hv;
}

void hv_power_off(struct hv *hv)
{
	for (struct hv_client *c = hv->clients; c; c = c->next)
		if (!c->dead && c->id && c->pid > 1 && c->pid != getpid())
			kill(c->pid, SIGKILL);
}

void hv_free(struct hv *hv)
{
	if (!hv)
		return;
	for (struct hv_client *c = hv->clients; c; c = c->next)
		client_drop(c);
	clients_reap(hv);
	if (hv->listen_fd >= 0) {
		sim_loop_remove(hv->loop, hv->listen_watch);
		close(hv->listen_fd);
		unlink(hv->socket_path);
	}
	sim_shm_detach(hv->shm);
	if (hv->mem_fd >= 0)
		close(hv->mem_fd);
	free(hv->socket_path);
	free(hv);
}
