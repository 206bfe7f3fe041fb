/* SPDX-License-Identifier: MIT */
/*
 * Who serves the rings: a loop that takes control's messages, the workers, and the devices. One for each guest in a
 * process of its own, or one for all of them on a thread of control's process (isolation = none). It knows neither
 * xenstore nor paths: all comes by message and descriptor.
 *
 * It outlives control: without a link it serves on, and tells the next control what it serves.
 */
#ifndef PVB_GUEST_H
#define PVB_GUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/link.h"
#include "core/loop.h"
#include "core/messages.h"
#include "core/stats.h"
#include "core/trace.h"
#include "guest/worker.h"

struct guest;
struct guest_device;

/* What a kind of device does here; its own struct begins with struct guest_device. All in the guest's loop. */
struct guest_device_ops {
	uint32_t start; /* enum message_type: MESSAGE_START_DISK, ... */
	size_t size;
	/*
	 * device->start is what control has sent: check it, begin. 0, and guest_device_started() follows; or -errno with
	 * `why`, and done() follows. Descriptors are taken by putting -1 in their place.
	 */
	int (*begin)(struct guest_device *device, int *fds, unsigned int nr_fds,
		     char why[MESSAGE_WHY_MAX]);
	/* guest_device_stopped() follows. For one that has started. */
	void (*stop)(struct guest_device *device, const struct message_stop *stop);
	/* After stop() without `abandon`: its domain is no more, after all. May be NULL. */
	void (*abandon)(struct guest_device *device);
	/* device->halted has changed. */
	void (*halt)(struct guest_device *device);
	/* Any other message for it. */
	void (*message)(struct guest_device *device, const struct message *message, int *fds,
			unsigned int nr_fds);
	/* A new control is there: fill in what has happened, and say again what it may have missed. */
	void (*tell)(struct guest_device *device, struct message_served *served);
	/* Release everything; nothing runs any more. Safe on a half-begun one. */
	void (*done)(struct guest_device *device);
};

struct guest_device {
	const struct guest_device_ops *ops; /* borrowed */
	struct guest *guest;                /* borrowed */
	struct message start;               /* as it came; control gets it back */
	uint32_t kind, domid, devid, life;
	char name[32];      /* "vbd 7/51712" */
	atomic_bool halted; /* its domain has shut down; queues on workers look at it */
	bool started, stopping;
	bool let_go; /* STOPPED was sent; the rest of it is nobody's affair but ours */
	struct message_error broke; /* when its ring is impossible: err is not 0 */
	struct stats_block stats; /* of its queues, owned by the kind; control gets a look at it */
	LIST_ENTRY(guest_device) link;
};

struct guest_setup {
	unsigned int nr_workers; /* at most */
	bool serves_one;         /* guest, in a process of its own */
	int fd;     /* a connected socket to control, owned from now on; below 0: none yet */
	int listen; /* where a later control connects, owned; below 0: there is no later one */
	const struct plane *const *planes;           /* borrowed, PLANE_NR */
	const struct guest_device_ops *const *kinds; /* borrowed; ends with NULL */
};

/* 0 with *ret, or -errno after saying why. Starts no thread. */
int guest_new(const struct guest_setup *setup, struct guest **ret);
/* Its workers can bind to event channels of this domain alone from now on. 0 or -errno. */
int guest_restrict(struct guest *guest, uint32_t domid);
/*
 * Serve until control says END and no device is left; or until there is no control, and there can be no later one. 0 or
 * -errno; -ETIMEDOUT when it ends, and a medium or a worker does not let it: what it has not finished is in its journals,
 * and no thread can be waited for.
 */
int guest_run(struct guest *guest);
/* The same on a thread; and its end. */
int guest_start_thread(struct guest *guest);
struct guest *guest_free(struct guest *guest);
/* Any thread: whether it waits for a medium that has requests of what was let go of. */
bool guest_lingers(const struct guest *guest);

struct loop *guest_loop(struct guest *guest);
/*
 * A worker for the queue `index` of a device: spread by device and queue. Workers are there from their first use on.
 * NULL with errno set when it cannot be had.
 */
struct worker *guest_worker(struct guest *guest, const struct guest_device *device,
			    unsigned int index);
/* How many workers there may be. */
unsigned int guest_nr_workers(const struct guest *guest);

/* --- called by the kinds, in the guest's loop --- */

/* The outcome of begin(). `facts`: NULL, or what STARTED tells of it beside the error. */
void guest_device_started(struct guest_device *device, int err, const char *why,
			  const struct message_started *facts);
/* The end of stop(): done() follows, and STOPPED is sent. */
void guest_device_stopped(struct guest_device *device);
/*
 * The rings are let go of, and that is all that anybody waits for: STOPPED is sent now. guest_device_stopped() still
 * follows. Idempotent.
 */
void guest_device_let_go(struct guest_device *device);
/* The ring is impossible. */
void guest_device_broke(struct guest_device *device, int err, const char *why);
/* Begin a message about this device: type, kind, ids, life; the rest is zero. */
struct message guest_message(const struct guest_device *device, uint32_t type);
void guest_send(struct guest_device *device, const struct message *message);

#endif
