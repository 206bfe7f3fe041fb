/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake/fake_guest.h"

static void close_all(const int *fds, unsigned int nr_fds)
{
	for (unsigned int i = 0; i < nr_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int fake_guest_start(struct guest *guest, const struct guest_device_ops *ops,
		     struct guest_device *device, const struct message *start, int *fds,
		     unsigned int nr_fds)
{
	char why[MESSAGE_WHY_MAX];
	int err;

	memset(device, 0, ops->size);
	device->ops = ops;
	device->guest = guest;
	device->start = *start;
	device->kind = start->kind;
	device->domid = start->domid;
	device->devid = start->devid;
	device->life = start->life;
	snprintf(device->name, sizeof(device->name), "%s %u/%u", message_kind_name(start->kind),
		 start->domid, start->devid);
	err = ops->begin(device, fds, nr_fds, why);
	close_all(fds, nr_fds);
	if (err)
		ops->done(device);
	return err;
}

void fake_guest_stop(struct guest_device *device, bool keep)
{
	const struct message_stop stop = { .keep = keep };

	device->stopping = true;
	device->ops->stop(device, &stop);
}

void fake_guest_halt(struct guest_device *device, bool halted)
{
	if (atomic_exchange(&device->halted, halted) != halted)
		device->ops->halt(device);
}

void fake_guest_tell(struct guest_device *device, const struct message *message)
{
	struct message whole = *message;

	whole.kind = device->kind;
	whole.domid = device->domid;
	whole.devid = device->devid;
	whole.life = device->life;
	device->ops->message(device, &whole, NULL, 0);
}

/* --- guest.h --- */

struct loop *guest_loop(struct guest *guest)
{
	return guest->home;
}

struct worker *guest_worker(struct guest *guest, const struct guest_device *device,
			    unsigned int index)
{
	(void)device, (void)index;
	return guest->worker;
}

unsigned int guest_nr_workers(const struct guest *guest)
{
	(void)guest;
	return 1;
}

struct message guest_message(const struct guest_device *device, uint32_t type)
{
	return (struct message){ .type = type,
				 .kind = device->kind,
				 .domid = device->domid,
				 .devid = device->devid,
				 .life = device->life };
}

void guest_send(struct guest_device *device, const struct message *message)
{
	if (device->guest->sent)
		device->guest->sent(device, message);
}

static void set_error(struct message_error *error, int err, const char *why)
{
	error->err = err;
	snprintf(error->why, sizeof(error->why), "%s", why);
}

void guest_device_started(struct guest_device *device, int err, const char *why,
			  const struct message_started *facts)
{
	struct message message = guest_message(device, MESSAGE_STARTED);

	if (facts)
		message.started = *facts;
	message.started.err = err;
	snprintf(message.started.why, sizeof(message.started.why), "%s", why);
	device->started = !err;
	device->guest->nr_started++;
	guest_send(device, &message);
	if (err)
		device->ops->done(device);
}

static void stopped(struct guest_device *device)
{
	const struct message message = guest_message(device, MESSAGE_STOPPED);

	if (device->let_go)
		return;
	device->guest->nr_stopped++;
	guest_send(device, &message);
}

void guest_device_let_go(struct guest_device *device)
{
	stopped(device);
	device->let_go = true;
}

void guest_device_stopped(struct guest_device *device)
{
	device->ops->done(device);
	stopped(device);
}

void guest_device_broke(struct guest_device *device, int err, const char *why)
{
	struct message message = guest_message(device, MESSAGE_BROKE);

	set_error(&message.error, err, why);
	device->broke = message.error;
	guest_send(device, &message);
}
