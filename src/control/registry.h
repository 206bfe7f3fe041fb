/* SPDX-License-Identifier: MIT */
/*
 * All devices: finds them by watching our own backend directories, wakes them
 * when xenstore changes or a domain dies, and forgets them. Control thread only.
 */
#ifndef PVB_REGISTRY_H
#define PVB_REGISTRY_H

#include <stdbool.h>
#include <stdio.h>

#include "control/device.h"
#include "core/loop.h"

struct registry;

/*
 * Watch backend/KIND for every kind in `kinds` (NULL-terminated, borrowed). `env` is borrowed;
 * its `ready` becomes ours. NULL with errno set on failure.
 */
struct registry *registry_new(struct device_env *env, const struct device_ops *const *kinds);
/* Every device must be idle (registry_stop). NULL is fine. */
struct registry *registry_free(struct registry *registry);

/*
 * Detach all devices without a word to the guests, then quit the control loop. Devices that a medium holds up are not
 * waited for: until 2 s have passed without one that gives back what it has, all rings are served on; then
 * the others are detached, which may take until 1 s has passed without one that is.
 */
void registry_stop(struct registry *registry);
/* After that: name the devices that are still attached. True when there are any; nothing can be freed then. */
bool registry_leaves_any(struct registry *registry);

/* What `env` says of all devices, of guests and of single ones has changed: have each one look. */
void registry_retune(struct registry *registry);

void registry_each(struct registry *registry, void (*each)(void *user, struct device *dev),
		   void *user);

/* One line per device, for SIGUSR1. */
void registry_dump(struct registry *registry, FILE *out);

#endif
