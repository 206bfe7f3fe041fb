/* SPDX-License-Identifier: MIT */
/*
 * May this disk be used, given who else uses it? The meaning is that of Xen's stock `block` script:
 * one writer alone, or any number of readers. Pure: no I/O.
 */
#ifndef PVB_HOTPLUG_SHARING_H
#define PVB_HOTPLUG_SHARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum hotplug_mode {
	HOTPLUG_MODE_READ,      /* shared with other readers */
	HOTPLUG_MODE_WRITE,     /* alone */
	HOTPLUG_MODE_UNCHECKED, /* "w!": the admin answers for it, as with a cluster file system */
};

/* What two paths have in common if they are the same storage. */
struct hotplug_identity {
	bool is_block;
	dev_t dev; /* of a block device its own number, of a file that of its file system */
	ino_t ino; /* of a file; 0 for a block device */
};

#define HOTPLUG_CLAIM_IDENTITIES 3

/* One other entry of the backend directory that went through its script. */
struct hotplug_claim {
	enum hotplug_mode mode;
	unsigned int state; /* XenbusState, 0 if gone or unreadable */
	bool online;        /* the toolstack wants it to stay */
	bool domain_exists;
	bool same_vm; /* same uuid: the other half of a local migration, or the guest itself */
	size_t nr_identities;
	struct hotplug_identity identities[HOTPLUG_CLAIM_IDENTITIES];
};

/*
 * "r", "w", "w!" and their long spellings "ro", "rw", "rw!". 0, or -EINVAL for anything else.
 */
int hotplug_mode_parse(const char *text, enum hotplug_mode *ret_mode);

bool hotplug_identity_equal(const struct hotplug_identity *a, const struct hotplug_identity *b);

/* Whether `claim` is about `wanted` at all. */
bool hotplug_claim_matches(const struct hotplug_claim *claim,
			   const struct hotplug_identity *wanted);

/*
 * Whether `claim` forbids the use of `wanted` in `mode`.
 *
 * An entry counts until its guest is gone or until it is closed for good: state 6 with online=1 is
 * a frontend that will come back, and firmware hands over to the operating system that way.
 */
bool hotplug_claim_conflicts(const struct hotplug_claim *claim,
			     const struct hotplug_identity *wanted, enum hotplug_mode mode);

/*
 * Look in `mountinfo` (the format of /proc/self/mountinfo, proc(5)) for a mount of the block device
 * `dev` which forbids its use in `mode`: any mount for a writer, a writable one for a reader.
 * Returns true with the mount point in ret_dir (cut to `size`).
 */
bool hotplug_mount_conflicts(FILE *mountinfo, dev_t dev, enum hotplug_mode mode, char *ret_dir,
			     size_t size);

#endif
