/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/dump.h"
#include "core/log.h"
#include "guest/guest.h"

#define NS_PER_S    1000000000ull
#define ORPHANED_NS (60 * NS_PER_S)
#define PATIENCE_NS (2 * NS_PER_S) /* at the end: how long to wait since a device has last ended */

struct guest {
	struct guest_setup setup;
	struct loop *loop; /* owned */
	struct loop_thread thread;
	struct link *control; /* owned; NULL while there is none */
	struct loop_watch *listen_watch;
	struct worker *workers; /* owned array; open */
	bool *running;          /* owned array: which of them have their thread */
	unsigned int nr_workers;
	LIST_HEAD(, guest_device) devices;
	LIST_HEAD(, guest_device) let_go; /* of which control knows nothing any more */
	atomic_uint nr_let_go;
	bool ending;
	bool gives_up;
	struct loop_timer patience; /* armed while it ends */
	struct loop_timer orphaned; /* armed while there is no control */
	struct loop_task ping;
	unsigned int pinged; /* workers that have answered */
	bool pinging;
};

/* --- what is sent --- */

static struct message about_nobody(uint32_t type)
{
	return (struct message){ .type = type };
}

struct message guest_message(const struct guest_device *device, uint32_t type)
{
	return (struct message){ .type = type,
				 .kind = device->kind,
				 .domid = device->domid,
				 .devid = device->devid,
				 .life = device->life };
}

static void tell_control(struct guest *guest, const struct message *message)
{
	if (guest->control)
		link_send(guest->control, message, NULL, 0);
}

void guest_send(struct guest_device *device, const struct message *message)
{
	if (!device->let_go)
		tell_control(device->guest, message);
}

/* Send it with the descriptor of its queues' figures, if there are any yet. */
static void send_with_figures(struct guest_device *device, const struct message *message)
{
	struct guest *guest = device->guest;

	if (guest->control && !device->let_go)
		link_send(guest->control, message, &device->stats.fd, device->stats.mem != NULL);
}

/* --- devices --- */

static struct guest_device *find(struct guest *guest, const struct message *message)
{
	struct guest_device *device;

	LIST_FOREACH(device, &guest->devices, link)
		if (device->devid == message->devid && device->domid == message->domid &&
		    device->kind == message->kind)
			return device;
	return NULL;
}

/* Exit without waiting: requests in flight are in the journals. The kernel ends us when the media have answered. */
static void out_of_patience(void *user)
{
	struct guest *guest = user;
	struct guest_device *device;

	LIST_FOREACH(device, &guest->devices, link)
		log_warning("%s: its requests have not come to an end: the next process does them "
			    "again",
			    device->name);
	guest->gives_up = true;
	loop_quit(guest->loop);
}

/* Threads end with control, which has a time limit of its own. */
static void go_on_ending(struct guest *guest)
{
	if (!guest->ending)
		return;
	loop_timer_cancel(&guest->patience);
	if (!LIST_EMPTY(&guest->devices) && guest->setup.serves_one)
		loop_timer_set(guest->loop, &guest->patience, PATIENCE_NS, out_of_patience, guest);
	else if (LIST_EMPTY(&guest->devices) && LIST_EMPTY(&guest->let_go))
		loop_quit(guest->loop);
}

static void forget(struct guest_device *device)
{
	struct guest *guest = device->guest;

	LIST_REMOVE(device, link);
	device->ops->done(device);
	free(device);
	go_on_ending(guest);
}

static void send_started(struct guest_device *device, int err, const char *why,
			 const struct message_started *facts)
{
	struct message message = guest_message(device, MESSAGE_STARTED);

	if (facts)
		message.started = *facts;
	message.started.err = err;
	snprintf(message.started.why, sizeof(message.started.why), "%s", why);
	if (err)
		guest_send(device, &message);
	else
		send_with_figures(device, &message);
}

static void stop_device(struct guest_device *device, const struct message_stop *stop)
{
	if (!device->started)
		return;
	if (!device->stopping) {
		device->stopping = true;
		device->ops->stop(device, stop);
	} else if (stop->abandon && device->ops->abandon) {
		device->ops->abandon(device);
	}
}

void guest_device_started(struct guest_device *device, int err, const char *why,
			  const struct message_started *facts)
{
	send_started(device, err, why, facts);
	if (err) {
		forget(device);
		return;
	}
	device->started = true;
	if (device->guest->ending)
		stop_device(device, &(struct message_stop){ .keep = true });
}

void guest_device_stopped(struct guest_device *device)
{
	struct message message = guest_message(device, MESSAGE_STOPPED);
	struct guest *guest = device->guest;

	LIST_REMOVE(device, link);
	device->ops->done(device);
	if (device->let_go)
		atomic_fetch_sub(&guest->nr_let_go, 1);
	else
		tell_control(guest, &message); /* everything is released now */
	free(device);
	go_on_ending(guest);
}

void guest_device_let_go(struct guest_device *device)
{
	struct message message = guest_message(device, MESSAGE_STOPPED);
	struct guest *guest = device->guest;

	if (device->let_go)
		return;
	guest_send(device, &message);
	device->let_go = true;
	LIST_REMOVE(device, link);
	LIST_INSERT_HEAD(&guest->let_go, device, link);
	atomic_fetch_add(&guest->nr_let_go, 1);
}

bool guest_lingers(const struct guest *guest)
{
	return atomic_load(&guest->nr_let_go) > 0;
}

void guest_device_broke(struct guest_device *device, int err, const char *why)
{
	struct message message = guest_message(device, MESSAGE_BROKE);

	message.error.err = err;
	snprintf(message.error.why, sizeof(message.error.why), "%s", why);
	device->broke = message.error;
	guest_send(device, &message);
}

static struct guest_device *new_device(struct guest *guest, const struct guest_device_ops *ops,
				       const struct message *message)
{
	struct guest_device *device = calloc(1, ops->size);

	if (!device)
		return NULL;
	device->ops = ops;
	device->guest = guest;
	device->start = *message;
	device->kind = message->kind;
	device->domid = message->domid;
	device->devid = message->devid;
	device->life = message->life;
	snprintf(device->name, sizeof(device->name), "%s %u/%u", message_kind_name(message->kind),
		 message->domid, message->devid);
	LIST_INSERT_HEAD(&guest->devices, device, link);
	return device;
}

static void refuse(struct guest *guest, const struct message *start, int err)
{
	struct message message = *start;

	message.type = MESSAGE_STARTED;
	memset(&message.started, 0, sizeof(message.started));
	message.started.err = err;
	snprintf(message.started.why, sizeof(message.started.why), "%s", strerror(-err));
	tell_control(guest, &message);
}

static void start_device(struct guest *guest, const struct guest_device_ops *ops,
			 const struct message *message, int *fds, unsigned int nr_fds)
{
	char why[MESSAGE_WHY_MAX] = "";
	struct guest_device *device;
	int err;

	if (guest->ending || find(guest, message)) {
		refuse(guest, message, -EBUSY);
		return;
	}
	device = new_device(guest, ops, message);
	if (!device) {
		refuse(guest, message, -ENOMEM);
		return;
	}
	err = ops->begin(device, fds, nr_fds, why);
	if (!err)
		return;
	send_started(device, err, why, NULL);
	forget(device);
}

static void halt_device(struct guest_device *device, bool halted)
{
	if (atomic_exchange(&device->halted, halted) != halted && device->started &&
	    !device->stopping)
		device->ops->halt(device);
}

/* --- a ping goes through all workers that have something to do, one after the other --- */

static void run_ping(struct loop_task *task);

static bool is_at_rest(const struct guest *guest, unsigned int worker)
{
	return !guest->running[worker] || loop_sleeps(guest->workers[worker].loop);
}

static void ping_next(struct guest *guest)
{
	while (guest->pinged < guest->nr_workers && is_at_rest(guest, guest->pinged))
		guest->pinged++;
	if (guest->pinged < guest->nr_workers) {
		guest->ping.run = run_ping;
		loop_post(guest->workers[guest->pinged++].loop, &guest->ping);
		return;
	}
	guest->pinging = false;
	tell_control(guest, &(struct message){ .type = MESSAGE_PONG });
}

static void run_pinged(struct loop_task *task)
{
	ping_next(container_of(task, struct guest, ping));
}

static void run_ping(struct loop_task *task)
{
	task->run = run_pinged;
	loop_post(container_of(task, struct guest, ping)->loop, task);
}

static void ping(struct guest *guest)
{
	if (guest->pinging)
		return;
	guest->pinging = true;
	guest->pinged = 0;
	ping_next(guest);
}

/* --- figures --- */

struct dump {
	struct loop_task task;
	struct worker *worker;
};

static void write_figures(void *user, FILE *out)
{
	worker_dump(user, out);
}

static void run_dump(struct loop_task *task)
{
	struct dump *dump = container_of(task, struct dump, task);

	dump_to_log(write_figures, dump->worker);
	free(dump);
}

static void dump_all(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->nr_workers; i++) {
		struct dump *dump = guest->running[i] ? calloc(1, sizeof(*dump)) : NULL;

		if (!dump)
			continue;
		dump->task.run = run_dump;
		dump->worker = &guest->workers[i];
		loop_post(dump->worker->loop, &dump->task);
	}
}

/* --- control --- */

static void end(struct guest *guest)
{
	struct guest_device *device, *next;

	guest->ending = true;
	for (device = LIST_FIRST(&guest->devices); device; device = next) {
		next = LIST_NEXT(device, link);
		stop_device(device, &(struct message_stop){ .keep = true });
	}
	go_on_ending(guest);
}

static void tell(struct guest_device *device)
{
	struct message message = guest_message(device, MESSAGE_DEVICE);

	message.served = (struct message_served){ .starting = !device->started,
						  .stopping = device->stopping,
						  .halted = device->halted };
	message.served.broke = device->broke;
	if (device->started)
		device->ops->tell(device, &message.served);
	send_with_figures(device, &message);
	guest_send(device, &device->start);
}

/* Answer control's HELLO with ours. If its protocol is ours, tell it all devices that we serve. */
static void greet(struct guest *guest, const struct message_hello *hello)
{
	struct message message = about_nobody(MESSAGE_HELLO);
	struct guest_device *device;

	message.hello.protocol = MESSAGE_PROTOCOL;
	message.hello.pid = (uint32_t)getpid();
	message.hello.ending = guest->ending;
	snprintf(message.hello.version, sizeof(message.hello.version), "%s", PACKAGE_VERSION);
	LIST_FOREACH(device, &guest->devices, link)
		message.hello.nr_devices++;
	tell_control(guest, &message);
	if (hello->protocol != MESSAGE_PROTOCOL)
		return; /* control sends END when it is our turn */
	LIST_FOREACH(device, &guest->devices, link)
		tell(device);
}

static void pass_on(struct guest *guest, const struct message *message, int *fds,
		    unsigned int nr_fds)
{
	struct guest_device *device = find(guest, message);

	if (!device || device->life != message->life)
		return; /* the device has ended, which control did not know yet */
	if (message->type == MESSAGE_STOP)
		stop_device(device, &message->stop);
	else if (message->type == MESSAGE_HALT)
		halt_device(device, message->flag.on);
	else if (!device->stopping)
		device->ops->message(device, message, fds, nr_fds);
}

/* Takes the descriptor, if there is one. */
static void trace_to(const struct message_trace *where, int *fds, unsigned int nr_fds)
{
	log_trace_to(nr_fds ? fds[0] : where->log ? LOG_TRACE_STDERR : LOG_TRACE_NOWHERE);
	if (nr_fds)
		fds[0] = -1;
}

static void received(void *user, const struct message *message, int *fds, unsigned int nr_fds)
{
	struct guest *guest = user;

	for (const struct guest_device_ops *const *ops = guest->setup.kinds; *ops; ops++)
		if ((*ops)->start == message->type) {
			start_device(guest, *ops, message, fds, nr_fds);
			return;
		}
	switch (message->type) {
	case MESSAGE_HELLO:
		greet(guest, &message->hello);
		break;
	case MESSAGE_DUMP:
		dump_all(guest);
		break;
	case MESSAGE_LOG_LEVEL:
		log_set_level((enum log_level)message->log_level.level);
		break;
	case MESSAGE_TRACE:
		trace_to(&message->trace, fds, nr_fds);
		break;
	case MESSAGE_PING:
		ping(guest);
		break;
	case MESSAGE_END:
		end(guest);
		break;
	default:
		pass_on(guest, message, fds, nr_fds);
	}
}

/*
 * Without control nobody tells us when the domain shuts down, perhaps to run on elsewhere with newer data on its disks. A
 * restart of control takes a second. So after a minute we let go of the rings, and they wait for the next control, as after
 * a stop.
 */
static void nobody_comes(void *user)
{
	struct guest *guest = user;

	log_warning("no pvbackd has come for %llu s: the guest waits from now on",
		    ORPHANED_NS / NS_PER_S);
	end(guest);
}

static void lost_control(void *user, int err)
{
	struct guest *guest = user;

	(void)err;
	guest->control = link_free(guest->control);
	if (guest->setup.listen < 0 || LIST_EMPTY(&guest->devices))
		end(guest);
	else
		loop_timer_set(guest->loop, &guest->orphaned, ORPHANED_NS, nobody_comes, guest);
}

static int use_control(struct guest *guest, int fd)
{
	const struct link_setup setup = { .loop = guest->loop,
					  .fd = fd,
					  .other = MESSAGE_FROM_CONTROL,
					  .received = received,
					  .ended = lost_control,
					  .user = guest };

	link_free(guest->control); /* there is one control at a time: the latest */
	loop_timer_cancel(&guest->orphaned);
	guest->control = link_new(&setup);
	return guest->control ? 0 : -errno;
}

/* Only root and our own user can connect: the socket lies in the runtime directory. */
static void somebody_came(void *user, uint32_t events)
{
	struct guest *guest = user;
	int fd = accept4(guest->setup.listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0 && use_control(guest, fd))
		log_error("a control that has connected cannot be listened to: %s",
			  strerror(errno));
}

/* --- workers --- */

unsigned int guest_nr_workers(const struct guest *guest)
{
	return guest->nr_workers;
}

struct worker *guest_worker(struct guest *guest, const struct guest_device *device,
			    unsigned int index)
{
	/* A guest's disks are 16 numbers apart, or 256. */
	uint32_t devid = device->kind == MESSAGE_VIF ? device->devid + 1
						     : device->devid / 16 + device->devid / 256;
	unsigned int nr = (device->domid + devid + index) % guest->nr_workers;
	int err = guest->running[nr] ? 0 : worker_start(&guest->workers[nr]);

	if (err) {
		errno = -err;
		return NULL;
	}
	guest->running[nr] = true;
	return &guest->workers[nr];
}

static int open_workers(struct guest *guest)
{
	unsigned int wanted = guest->setup.nr_workers;

	guest->workers = calloc(wanted, sizeof(guest->workers[0]));
	guest->running = calloc(wanted, sizeof(guest->running[0]));
	if (!guest->workers || !guest->running)
		return -ENOMEM;
	for (; guest->nr_workers < wanted; guest->nr_workers++) {
		struct worker *worker = &guest->workers[guest->nr_workers];
		int err = worker_open(worker, guest->nr_workers, guest->setup.planes);

		worker->serves_one = guest->setup.serves_one;
		if (!err)
			worker_own_pages(worker, guest->setup.own_domid);
		if (!err && worker->serves_one)
			worker_prepare(worker);
		if (!err)
			continue;
		log_error("cannot open worker %u: %s (are /dev/xen/gntdev and /dev/xen/evtchn "
			  "there? modprobe xen-gntdev xen-evtchn)",
			  guest->nr_workers, strerror(-err));
		return err;
	}
	return 0;
}

/* --- life --- */

static int listen_for_control(struct guest *guest)
{
	guest->listen_watch =
		loop_add(guest->loop, guest->setup.listen, EPOLLIN, somebody_came, guest);
	return guest->listen_watch ? 0 : -errno;
}

static int set_up(struct guest *guest)
{
	int err;

	guest->loop = loop_new();
	if (!guest->loop)
		return -ENOMEM;
	err = open_workers(guest);
	if (!err && guest->setup.listen >= 0)
		err = listen_for_control(guest);
	if (!err && guest->setup.fd >= 0)
		err = use_control(guest, guest->setup.fd);
	return err;
}

int guest_new(const struct guest_setup *setup, struct guest **ret)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	int err;

	if (!guest)
		return -ENOMEM;
	guest->setup = *setup;
	LIST_INIT(&guest->devices);
	LIST_INIT(&guest->let_go);
	err = set_up(guest);
	if (err)
		guest_free(guest);
	else
		*ret = guest;
	return err;
}

int guest_restrict(struct guest *guest, uint32_t domid)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < guest->nr_workers; i++)
		err = worker_restrict(&guest->workers[i], domid);
	return err;
}

int guest_run(struct guest *guest)
{
	int err = loop_run(guest->loop);

	return !err && guest->gives_up ? -ETIMEDOUT : err;
}

int guest_start_thread(struct guest *guest)
{
	return loop_thread_start(&guest->thread, guest->loop);
}

struct guest *guest_free(struct guest *guest)
{
	if (!guest)
		return NULL;
	loop_thread_stop(&guest->thread);
	loop_timer_cancel(&guest->patience);
	loop_timer_cancel(&guest->orphaned);
	link_free(guest->control);
	for (unsigned int i = 0; i < guest->nr_workers; i++)
		worker_close(&guest->workers[i]);
	if (guest->loop)
		loop_remove(guest->loop, guest->listen_watch);
	if (guest->setup.listen >= 0)
		close(guest->setup.listen);
	loop_free(guest->loop);
	free(guest->workers);
	free(guest->running);
	free(guest);
	return NULL;
}

struct loop *guest_loop(struct guest *guest)
{
	return guest->loop;
}
