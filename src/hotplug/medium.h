/* SPDX-License-Identifier: MIT */
/*
 * What a disk stands on, according to sysfs: its place on a disk or in a file, and what lies below device mapper and
 * md.
 */
#ifndef PVB_HOTPLUG_MEDIUM_H
#define PVB_HOTPLUG_MEDIUM_H

#include "hotplug/aside.h"
#include "hotplug/sharing.h"

/*
 * `root` is "", or in a test the folder that has sys/. 0; or -EINPROGRESS when the file in a loop device must be asked
 * for first (aside.h). A device that sysfs does not know stands on nothing.
 */
int hotplug_medium_find(const char *root, struct hotplug_book *book,
			const struct hotplug_identity *identity, struct hotplug_medium *ret);

/* The name of a block device, for a message: "/dev/sda1", "/dev/mapper/vg-lv". */
void hotplug_medium_name(const char *root, dev_t dev, char *buf, size_t size);

/* The first line of a small file, without its newline. */
bool hotplug_read_line(const char *path, char *buf, int size);

/* Call fn() for each entry of a folder until it does not return 0. That value; 0 when there is no such folder. */
int hotplug_for_each(const char *dir, int (*fn)(void *user, const char *name), void *user);

#endif
