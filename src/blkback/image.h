/* SPDX-License-Identifier: MIT */
/* The medium behind a disk: a raw file or a block device, opened directly. */
#ifndef PVB_IMAGE_H
#define PVB_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct image {
	int fd; /* owned; -1 when closed */
	uint64_t bytes;
	uint32_t physical_block; /* bytes, for `physical-sector-size` */
	bool direct;             /* O_DIRECT: nothing of it stays in our page cache */
	bool block_device;
	bool read_only;
};

#define IMAGE_CLOSED                                                                               \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Open `path`, raw always (XSA-48). Directly where the medium can take 512-byte requests that
 * way, else through the page cache. 0; -ENOTSUP when it is neither a file nor a block device;
 * else -errno.
 */
int image_open(struct image *image, const char *path, bool read_only);
void image_close(struct image *image);

/*
 * At the hand-over from QEMU's emulated disk: what it wrote through the page
 * cache goes to the medium, and no stale page stays. 0 or -errno.
 */
int image_settle(const struct image *image);

#endif
