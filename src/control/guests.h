/* SPDX-License-Identifier: MIT */
/*
 * Control's end of the links to whoever serves the rings (guest/guest.h): one process for each guest that has a device,
 * or one thread for all. Started when a device needs it, found again after a restart of control, replaced when it dies.
 * Control thread only.
 */
#ifndef PVB_GUESTS_H
#define PVB_GUESTS_H

#include "control/device.h"
#include "core/messages.h"

/*
 * Have the device served: message->type is a START; kind, ids and life are filled in here. device's ops->answer()
 * follows with MESSAGE_STARTED; or ops->lost(). Nothing else of an earlier life comes any more. 0, or -errno when nobody
 * can be started who would serve it. The descriptors stay the caller's.
 */
int guests_start(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds);
/* Any later message for it: kind, ids and life are filled in here. Nothing happens if nobody serves it. */
void guests_send(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds);
/* The device is served no more, or is not to be: forget it. Idempotent. */
void guests_forget(struct device *dev);

/*
 * What a process that outlived the last control says of this device: how it was started, and what happened since. Once:
 * the device is then as after guests_start(). False when nobody serves it.
 */
bool guests_adopt(struct device *dev, struct message *ret_start, struct message_served *ret_served);

#endif
