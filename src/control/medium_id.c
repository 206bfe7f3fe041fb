/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "control/medium_id.h"
#include "core/parse.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t) /* from Linux 5.15 on */
#endif

/* Where a partition starts, in sectors; 0 for a whole disk. */
static uint64_t partition_start(dev_t dev)
{
	char path[64];
	uint64_t start = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/start", major(dev), minor(dev));
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &start) != 1)
		start = 0;
	fclose(file);
	return start;
}

static int of_device(int fd, dev_t dev, struct medium_id *ret)
{
	struct medium_id medium = { .device = true, .dev = dev, .number = partition_start(dev) };

	if (ioctl(fd, BLKGETSIZE64, &medium.bytes) < 0)
		return -errno;
	if (ioctl(fd, BLKGETDISKSEQ, &medium.life) < 0)
		medium.life = 0;
	*ret = medium;
	return 0;
}

int medium_id_of(int fd, struct medium_id *ret)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -errno;
	if (S_ISBLK(st.stx_mode))
		return of_device(fd, makedev(st.stx_rdev_major, st.stx_rdev_minor), ret);
	if (!S_ISREG(st.stx_mode))
		return -ENOTBLK;
	*ret = (struct medium_id){ .dev = makedev(st.stx_dev_major, st.stx_dev_minor),
				   .number = st.stx_ino,
				   .bytes = st.stx_size };
	if (st.stx_mask & STATX_BTIME)
		ret->life = (uint64_t)st.stx_btime.tv_sec * 1000000000u + st.stx_btime.tv_nsec;
	return 0;
}

bool medium_id_same(const struct medium_id *then, const struct medium_id *now)
{
	if (then->device != now->device || then->dev != now->dev || then->number != now->number)
		return false;
	return then->life && now->life ? then->life == now->life : now->bytes >= then->bytes;
}

void medium_id_format(const struct medium_id *medium, char *text, size_t size)
{
	snprintf(text, size, "%s %u:%u %" PRIu64 " %" PRIu64 " %" PRIu64,
		 medium->device ? "device" : "file", major(medium->dev), minor(medium->dev),
		 medium->number, medium->life, medium->bytes);
}

static const char *after_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	return strncmp(text, word, len) ? NULL : text + len;
}

/* Read a number that is followed by `end`; *at moves behind that. */
static bool take(const char **at, char end, uint64_t max, uint64_t *ret)
{
	return parse_digits(at, max, ret) && *(*at)++ == end;
}

int medium_id_parse(const char *text, struct medium_id *ret)
{
	struct medium_id medium = { .device = after_word(text, "device ") != NULL };
	const char *at = after_word(text, medium.device ? "device " : "file ");
	uint64_t maj, min;

	if (!at || !take(&at, ':', UINT32_MAX, &maj) || !take(&at, ' ', UINT32_MAX, &min) ||
	    !take(&at, ' ', UINT64_MAX, &medium.number) ||
	    !take(&at, ' ', UINT64_MAX, &medium.life) ||
	    !take(&at, '\0', UINT64_MAX, &medium.bytes))
		return -EINVAL;
	medium.dev = makedev((unsigned int)maj, (unsigned int)min);
	*ret = medium;
	return 0;
}
