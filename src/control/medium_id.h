/* SPDX-License-Identifier: MIT */
/*
 * Which medium a disk was attached with. The hotplug script, or else the daemon, writes it into the disk's backend directory
 * when it first looks at the medium. So we notice when another medium has the same name later.
 */
#ifndef PVB_MEDIUM_ID_H
#define PVB_MEDIUM_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MEDIUM_ID_KEY      "pvbackd-medium"
#define MEDIUM_ID_TEXT_MAX 128u

struct medium_id {
	bool device;
	dev_t dev;       /* the device's own number, or that of the file's file system */
	uint64_t number; /* the file's inode; where the partition starts, else 0 */
	/*
	 * Numbers are used again. So this is when the file was made (ns), or the disk's sequence number, which changes
	 * when another USB stick gets the same name. 0: the kernel does not know.
	 */
	uint64_t life;
	uint64_t bytes;
};

/*
 * Identify the medium that is open as `fd`. 0; -ENOTBLK when it is neither a file nor a block device; else -errno. Waits for
 * the medium, which may not answer.
 */
int medium_id_of(int fd, struct medium_id *ret);

/*
 * Whether `now` is the same medium as `then`. Its size may have changed. Only where the kernel has no sequence number or
 * time for it, a smaller one counts as another medium.
 */
bool medium_id_same(const struct medium_id *then, const struct medium_id *now);

/* As text, for xenstore and for the admin; and back: 0 or -EINVAL. */
void medium_id_format(const struct medium_id *medium, char *text, size_t size);
int medium_id_parse(const char *text, struct medium_id *ret);

#endif
