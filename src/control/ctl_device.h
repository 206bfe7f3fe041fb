/* SPDX-License-Identifier: MIT */
/* Devices as JSON, for the admin's socket (ctl.h). Control thread only. */
#ifndef PVB_CTL_DEVICE_H
#define PVB_CTL_DEVICE_H

#include <json-c/json.h>

#include "control/device.h"

enum ctl_depth {
	CTL_BRIEF,   /* what it is, its state and its limits */
	CTL_WHOLE,   /* also its figures and settings */
	CTL_BUCKETS, /* also the distribution of all times */
};

/*
 * One of its options, as it is in force: {"key", "value", "from", "live"}. NULL when nothing is in force yet. Both are the
 * caller's.
 */
struct json_object *ctl_device_setting(const struct device *dev, const struct key *key);
struct json_object *ctl_device_show(const struct device *dev, enum ctl_depth depth);

#endif
