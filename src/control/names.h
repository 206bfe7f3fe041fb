/* SPDX-License-Identifier: MIT */
/* What an admin calls guests and devices. Control thread only. */
#ifndef PVB_NAMES_H
#define PVB_NAMES_H

#include "control/device.h"

#define GUEST_NAME_MAX  256u
#define DEVICE_NAME_MAX (2 * GUEST_NAME_MAX)

/* The guest's name: the toolstack's, or its number. */
void name_guest(const struct device_env *env, uint32_t domid, char name[GUEST_NAME_MAX]);

/* The name of a device that is printed: "web/xvda", "web/vif0". */
void name_device(const struct device *dev, char name[DEVICE_NAME_MAX]);

/*
 * Whether `text` names the device: "web/xvda", "web/51712", "7/xvda", "vbd/7/51712", or as in the log "vbd 7/51712"; for a
 * NIC "web/vif0", "web/0", "web/00:16:3e:01:02:03".
 */
bool name_fits(const struct device *dev, const char *text);

/* All of them: the guest's names, and the device's names that may follow; "" for one that does not exist. */
struct names {
	char guest[GUEST_NAME_MAX], own[64], prefixed[32], number[16];
};

void names_read(const struct device *dev, struct names *ret);
/* The name that is printed after the guest's. */
const char *names_printed(const struct names *names);

#endif
