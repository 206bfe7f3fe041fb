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
	bool discard; /* space can be given back */
	bool secure_discard;
	uint32_t discard_granularity; /* bytes */
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

/* How large the medium is now. 0 with *ret_bytes, or -errno. */
int image_size(const struct image *image, uint64_t *ret_bytes);

/*
 * Give back the space of a range that lies inside the medium; it may block for long. `secure` only
 * where the image has it. 0; -EOPNOTSUPP when the medium cannot; else -errno.
 */
int image_discard(const struct image *image, uint64_t offset, uint64_t bytes, bool secure);

/*
 * At the hand-over from QEMU's emulated disk: what it wrote through the page
 * cache goes to the medium, and no stale page stays. 0 or -errno.
 */
int image_settle(const struct image *image);

#endif
