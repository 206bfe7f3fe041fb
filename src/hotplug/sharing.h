/* SPDX-License-Identifier: MIT */
/*
 * Whether a disk may be used, given who else uses it. The rules are those of Xen's stock `block` script: one writer
 * alone, or any number of readers. Pure: no I/O.
 */
#ifndef PVB_HOTPLUG_SHARING_H
#define PVB_HOTPLUG_SHARING_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum hotplug_mode {
	HOTPLUG_MODE_READ,      /* shared with other readers */
	HOTPLUG_MODE_WRITE,     /* alone */
	HOTPLUG_MODE_UNCHECKED, /* "w!": at the admin's risk, as with a cluster file system */
};

/* Equal for two paths if they are the same storage. */
struct hotplug_identity {
	bool is_block;
	dev_t dev; /* of a block device its own number, of a file that of its file system */
	ino_t ino; /* of a file; 0 for a block device */
};

/* A part of a file or of a block device, in bytes: all from `from` on and before `to`. */
struct hotplug_extent {
	struct hotplug_identity of;
	uint64_t from, to;
};

#define HOTPLUG_EXTENTS_MAX 64
#define HOTPLUG_MEDIUM_TEXT (HOTPLUG_EXTENTS_MAX * 62) /* bytes; xenstore takes no more than 4096 */

/*
 * What a disk stands on. The first extent is the disk itself, expressed in the lowest storage of which it is a plain
 * part: for a partition its place on the disk, for a loop device its place in the file. The others, expressed likewise,
 * are the parts that device mapper or md has made it of, through all layers. Parts beyond HOTPLUG_EXTENTS_MAX are left
 * out.
 */
struct hotplug_medium {
	size_t nr;
	struct hotplug_extent extents[HOTPLUG_EXTENTS_MAX];
};

/* Another entry of the backend directory whose script has run. */
struct hotplug_claim {
	enum hotplug_mode mode;
	unsigned int state; /* XenbusState, 0 if gone or unreadable */
	bool online;        /* the toolstack wants it to stay */
	bool domain_exists;
	bool same_vm; /* same uuid: the other half of a local migration, or the guest itself */
};

/* One line of /proc/self/mountinfo. */
struct hotplug_mount {
	dev_t dev;
	bool read_only; /* the file system, not this view of it */
	char dir[PATH_MAX];
	char source[PATH_MAX];
};

/*
 * "r", "w", "w!" and their long spellings "ro", "rw", "rw!". 0, or -EINVAL for anything else.
 */
int hotplug_mode_parse(const char *text, enum hotplug_mode *ret_mode);

bool hotplug_identity_equal(const struct hotplug_identity *a, const struct hotplug_identity *b);

/* Whether one of the two is, or stands on, a part of the other. */
bool hotplug_media_collide(const struct hotplug_medium *a, const struct hotplug_medium *b);

/* Whether `upper` is made of something that has a part in common with `lower`. */
bool hotplug_medium_is_on(const struct hotplug_medium *upper, const struct hotplug_medium *lower);

/* A medium as text for xenstore, and back: 0, or -EINVAL when it is no such text. */
void hotplug_medium_format(const struct hotplug_medium *medium, char buf[HOTPLUG_MEDIUM_TEXT]);
int hotplug_medium_parse(const char *text, struct hotplug_medium *ret);

/*
 * Whether `claim` forbids the use of its medium in `mode`.
 *
 * An entry counts until its guest is gone, or until it is closed for good. State 6 with online=1 is a frontend that
 * will come back: firmware hands over to the operating system like this.
 */
bool hotplug_claim_forbids(const struct hotplug_claim *claim, enum hotplug_mode mode);

/* The next line of `mountinfo` (proc(5)) that can be parsed; false at the end. */
bool hotplug_mount_next(FILE *mountinfo, struct hotplug_mount *ret);

/* Whether a mount forbids the use of its device in `mode`. For a writer any mount does, for a reader a writable one. */
bool hotplug_mount_forbids(const struct hotplug_mount *mount, enum hotplug_mode mode);

/* The path on the next line of `swaps` (the format of /proc/swaps, proc(5)); false at the end. */
bool hotplug_swap_next(FILE *swaps, char path[PATH_MAX]);

#endif
