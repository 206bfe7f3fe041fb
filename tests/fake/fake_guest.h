/* SPDX-License-Identifier: MIT */
/*
 * fake_guest.h - guest/guest.h for one device after the other, without a socket: the test is control. There is one worker.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include "guest/guest.h"

struct guest {
	struct loop *home;     /* borrowed; may be the worker's */
	struct worker *worker; /* borrowed */
	/* Called with each message of the device. May be NULL. */
	void (*sent)(const struct guest_device *device, const struct message *message);
	unsigned int nr_started, nr_stopped; /* devices that did, or failed to */
};

/*
 * Do as if control had sent this START: `device` has ops->size bytes. Returns 0, and STARTED follows; or -errno, and nothing
 * follows. Descriptors that were not used are closed.
 */
int fake_guest_start(struct guest *guest, const struct guest_device_ops *ops,
		     struct guest_device *device, const struct message *start, int *fds,
		     unsigned int nr_fds);
/* STOPPED follows. */
void fake_guest_stop(struct guest_device *device, bool keep);
void fake_guest_halt(struct guest_device *device, bool halted);
/* Any other message for it: kind, ids and life are filled in here. */
void fake_guest_tell(struct guest_device *device, const struct message *message);

#endif
