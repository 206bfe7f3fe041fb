/* SPDX-License-Identifier: MIT */
/* A device as the daemon describes it. */
#ifndef PVB_CTL_DEVICE_H
#define PVB_CTL_DEVICE_H

#include <stdbool.h>

#include <json-c/json.h>

#include "ctl/text.h"

bool device_is_disk(struct json_object *device);
/* Its image, or its interface and bridge; "" when there is none. */
void device_target(struct json_object *device, char *buf, size_t size);
/* Its state in a word or two; and how bad that is. */
const char *device_condition(struct json_object *device, enum colour *colour);
/* "iops=500 bps=20M"; "" when it has no limits. The caller frees it. */
char *device_limits(struct json_object *device);

#endif
