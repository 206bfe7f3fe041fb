/* SPDX-License-Identifier: MIT */
/*
 * All devices. Finds them by watching our own backend directories, steps them when xenstore changes or a domain dies, and
 * frees them. Control thread only.
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
 * Detach all devices without telling the guests, then quit the control loop. First all rings are still served, until
 * each medium has completed its requests, or none has completed one for 2 s. Then the devices are detached, until all
 * are, or none has been for 1 s. So a medium that hangs does not delay the end.
 */
void registry_stop(struct registry *registry);
/*
 * After that: name the devices that are still attached in the log. True when there are any; then nothing can be freed.
 */
bool registry_leaves_any(struct registry *registry);

/* The options and settings in `env` have changed: tell each device. */
void registry_retune(struct registry *registry);

void registry_each(struct registry *registry, void (*each)(void *user, struct device *dev),
		   void *user);

/* One line per device, for SIGUSR1. */
void registry_dump(struct registry *registry, FILE *out);

#endif
