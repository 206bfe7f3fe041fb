/* SPDX-License-Identifier: MIT */
/*
 * The side that serves the rings: a loop that takes control's messages, the workers, and the devices. Each guest has one in
 * a process of its own, or there is one for all guests on a thread of control's process (isolation = none). It does not
 * use xenstore or paths: everything comes by message and descriptor.
 *
 * A process outlives control: without a link it serves on, and it tells the next control what it serves.
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

/* The functions of a kind of device, whose struct begins with struct guest_device. All run in the guest's loop. */
struct guest_device_ops {
	uint32_t start; /* enum message_type: MESSAGE_START_DISK, ... */
	size_t size;
	/*
	 * Check device->start, which control has sent, and begin. 0, and guest_device_started() follows; or -errno with `why`,
	 * and done() follows. To take a descriptor, put -1 in its place.
	 */
	int (*begin)(struct guest_device *device, int *fds, unsigned int nr_fds,
		     char why[MESSAGE_WHY_MAX]);
	/* Stop a device that has started. guest_device_stopped() follows. */
	void (*stop)(struct guest_device *device, const struct message_stop *stop);
	/* After stop() without `abandon`: its domain is gone now. May be NULL. */
	void (*abandon)(struct guest_device *device);
	/* device->halted has changed. */
	void (*halt)(struct guest_device *device);
	/* Any other message for it. */
	void (*message)(struct guest_device *device, const struct message *message, int *fds,
			unsigned int nr_fds);
	/* A new control has connected: fill in what has happened, and send again what it may have missed. */
	void (*tell)(struct guest_device *device, struct message_served *served);
	/* Release everything; nothing runs any more. Safe when begin() has failed half way. */
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
	bool let_go;                /* STOPPED was sent: control no longer knows this device */
	struct message_error broke; /* when its ring is impossible: err is not 0 */
	struct stats_block stats;   /* of its queues, owned by the kind; control can read it */
	LIST_ENTRY(guest_device) link;
};

struct guest_setup {
	unsigned int nr_workers; /* at most */
	bool serves_one;         /* guest, in a process of its own */
	uint32_t own_domid;      /* of the domain that we run in */
	int fd;     /* a connected socket to control, owned from now on; below 0: none yet */
	int listen; /* where a later control connects, owned; below 0: there is no later one */
	const struct plane *const *planes;           /* borrowed, PLANE_NR */
	const struct guest_device_ops *const *kinds; /* borrowed; ends with NULL */
};

/* 0 with *ret, or -errno after saying why. Starts no thread. */
int guest_new(const struct guest_setup *setup, struct guest **ret);
/* Restrict its workers to event channels of this domain. 0 or -errno. */
int guest_restrict(struct guest *guest, uint32_t domid);
/*
 * Serve until control sends END and no device is left, or until control is gone and no later one can connect. 0 or -errno.
 * -ETIMEDOUT when it should end but a medium or a worker hangs: then unfinished requests are in the journals, and its
 * threads cannot be waited for.
 */
int guest_run(struct guest *guest);
/* Run guest_run() on a thread; and end that. */
int guest_start_thread(struct guest *guest);
struct guest *guest_free(struct guest *guest);
/* Whether it waits for a medium that still has requests of devices that were let go of. Any thread. */
bool guest_lingers(const struct guest *guest);

struct loop *guest_loop(struct guest *guest);
/*
 * The worker for queue `index` of a device. Queues are spread over the workers by device and index. A worker is started when
 * it is first used. NULL with errno set when that fails.
 */
struct worker *guest_worker(struct guest *guest, const struct guest_device *device,
			    unsigned int index);
/* How many workers there may be. */
unsigned int guest_nr_workers(const struct guest *guest);

/* --- called by the kinds, in the guest's loop --- */

/* The outcome of begin(). `facts`: NULL, or what STARTED says besides the error. */
void guest_device_started(struct guest_device *device, int err, const char *why,
			  const struct message_started *facts);
/* The end of stop(): done() follows, and STOPPED is sent. */
void guest_device_stopped(struct guest_device *device);
/*
 * The device has released its rings, and control waits for nothing else: send STOPPED now. guest_device_stopped() still
 * follows. Idempotent.
 */
void guest_device_let_go(struct guest_device *device);
/* The ring is impossible. */
void guest_device_broke(struct guest_device *device, int err, const char *why);
/* Begin a message about this device: type, kind, ids, life; the rest is zero. */
struct message guest_message(const struct guest_device *device, uint32_t type);
void guest_send(struct guest_device *device, const struct message *message);

#endif
