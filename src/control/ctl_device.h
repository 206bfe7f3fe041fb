/* SPDX-License-Identifier: MIT */
/* Devices as the admin's socket (ctl.h) names and shows them. Control thread only. */
#ifndef PVB_CTL_DEVICE_H
#define PVB_CTL_DEVICE_H

#include <json-c/json.h>

#include "control/device.h"

#define CTL_NAME_MAX 256u

enum ctl_depth {
	CTL_BRIEF,   /* what it is, and how it does */
	CTL_WHOLE,   /* and its figures and settings */
	CTL_BUCKETS, /* and the distribution of all times */
};

/* Its guest's name: of the toolstack, or the number. */
void ctl_guest_name(const struct device_env *env, uint32_t domid, char name[CTL_NAME_MAX]);

/* The name that is printed: "web/xvda", "web/vif0". */
void ctl_device_name(const struct device *dev, char name[2 * CTL_NAME_MAX]);

/*
 * Whether `text` names it: "web/xvda", "web/51712", "7/xvda", "vbd/7/51712"; for a NIC "web/vif0", "web/0",
 * "web/00:16:3e:01:02:03".
 */
bool ctl_device_is(const struct device *dev, const char *text);

/*
 * One of its options, as it is in force: {"key", "value", "from", "live"}. NULL when nothing is in force yet. Both are the
 * caller's.
 */
struct json_object *ctl_device_setting(const struct device *dev, const struct key *key);
struct json_object *ctl_device_show(const struct device *dev, enum ctl_depth depth);

#endif
