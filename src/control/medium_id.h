/* SPDX-License-Identifier: MIT */
/*
 * Which medium a disk was attached with: kept in the disk's backend directory from the first look at it, by the
 * hotplug script or else by the daemon, so that another one that came under the same name since is told apart.
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
	dev_t dev;       /* of a device its own number, of a file that of its file system */
	uint64_t number; /* the file's inode; where the partition starts, else 0 */
	/*
	 * Numbers come again: when the file was made (ns), or the sequence number of the disk, which is another
	 * for another stick under the same name. 0: the kernel does not say.
	 */
	uint64_t life;
	uint64_t bytes;
};

/*
 * What is open as `fd`. 0; -ENOTBLK when it is neither a file nor a block device; else -errno. Waits for the medium,
 * which may not answer.
 */
int medium_id_of(int fd, struct medium_id *ret);

/*
 * Whether `now` is what `then` was. It may have grown, or shrunk; only where the kernel does not tell one life of a
 * number from the next is a smaller one another.
 */
bool medium_id_same(const struct medium_id *then, const struct medium_id *now);

/* As text, for xenstore and for the admin; and back: 0 or -EINVAL. */
void medium_id_format(const struct medium_id *medium, char *text, size_t size);
int medium_id_parse(const char *text, struct medium_id *ret);

#endif
