/* SPDX-License-Identifier: MIT */
/* What a disk stands on; see medium.h. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hotplug/medium.h"

#define SECTOR 512u /* in sysfs, whatever the disk's sector is */

struct find {
	const char *root;
	struct hotplug_book *book;
	struct hotplug_medium *medium;
	size_t at; /* the extent whose slaves are being added */
	int err;   /* -EINPROGRESS: go on, to note all that has to be asked */
};

/* --- sysfs --- */

bool hotplug_read_line(const char *path, char *buf, int size)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(buf, size, f) != NULL;
	fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	return ok;
}

int hotplug_for_each(const char *dir, int (*fn)(void *user, const char *name), void *user)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int ret = 0;

	if (!d)
		return 0;
	while (!ret && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			ret = fn(user, entry->d_name);
	closedir(d);
	return ret;
}

static void path_in(const char *root, dev_t dev, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/sys/dev/block/%u:%u/%s", root, major(dev), minor(dev), name);
}

static bool read_u64(const char *root, dev_t dev, const char *name, uint64_t *ret)
{
	char path[PATH_MAX], line[32];

	path_in(root, dev, name, path);
	return hotplug_read_line(path, line, sizeof(line)) && sscanf(line, "%" SCNu64, ret) == 1;
}

static bool read_dev(const char *root, dev_t dev, const char *name, dev_t *ret)
{
	char path[PATH_MAX], line[32];
	unsigned int maj, min;

	path_in(root, dev, name, path);
	if (!hotplug_read_line(path, line, sizeof(line)) || sscanf(line, "%u:%u", &maj, &min) != 2)
		return false;
	*ret = makedev(maj, min);
	return true;
}

void hotplug_medium_name(const char *root, dev_t dev, char *buf, size_t size)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t n;

	path_in(root, dev, "dm/name", path);
	if (hotplug_read_line(path, link, sizeof(link))) {
		snprintf(buf, size, "/dev/mapper/%s", link);
		return;
	}
	path_in(root, dev, "", path);
	path[strlen(path) - 1] = '\0';
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	if (strrchr(link, '/'))
		snprintf(buf, size, "/dev/%s", strrchr(link, '/') + 1);
	else
		snprintf(buf, size, "block device %u:%u", major(dev), minor(dev));
}

/* --- partitions and loop devices --- */

/* Express `extent` in terms of `whole`: its device is the part of `whole` from `start` on with `length` bytes. */
static void move_to(struct hotplug_extent *extent, const struct hotplug_identity *whole,
		    uint64_t start, uint64_t length)
{
	extent->of = *whole;
	if (extent->to > length)
		extent->to = length;
	extent->from += start;
	extent->to = extent->to > UINT64_MAX - start ? UINT64_MAX : extent->to + start;
}

static bool is_partition(const char *root, dev_t dev, struct hotplug_identity *ret_disk,
			 uint64_t *ret_start, uint64_t *ret_length)
{
	uint64_t number;

	if (!read_u64(root, dev, "partition", &number) ||
	    !read_dev(root, dev, "../dev", &ret_disk->dev) ||
	    !read_u64(root, dev, "start", ret_start) || !read_u64(root, dev, "size", ret_length))
		return false;
	*ret_start *= SECTOR;
	*ret_length *= SECTOR;
	return true;
}

/* 0 when it is a loop device whose file is known; -EINPROGRESS as above; else another -errno. */
static int is_loop(const struct find *f, dev_t dev, struct hotplug_identity *ret_file,
		   uint64_t *ret_start, uint64_t *ret_length)
{
	char name[64];

	if (!read_u64(f->root, dev, "loop/offset", ret_start) ||
	    !read_u64(f->root, dev, "loop/sizelimit", ret_length))
		return -ENXIO;
	if (!*ret_length)
		*ret_length = UINT64_MAX;
	hotplug_medium_name(f->root, dev, name, sizeof(name));
	return hotplug_book_look(f->book, name, true, ret_file);
}

/* Go from a partition to its disk, and from a loop device to its file, as far as possible. */
static int go_down(const struct find *f, struct hotplug_extent *extent)
{
	int err = 0;

	while (!err && extent->of.is_block) {
		struct hotplug_identity whole = { .is_block = true };
		uint64_t start, length;

		if (!is_partition(f->root, extent->of.dev, &whole, &start, &length))
			err = is_loop(f, extent->of.dev, &whole, &start, &length);
		if (!err)
			move_to(extent, &whole, start, length);
	}
	return err == -EINPROGRESS ? err : 0;
}

/* --- device mapper and md --- */

/* Add it, unless it is there already or there are too many. */
static void add(struct find *f, const struct hotplug_identity *identity)
{
	struct hotplug_medium *medium = f->medium;
	struct hotplug_extent *new = &medium->extents[medium->nr];

	if (medium->nr == HOTPLUG_EXTENTS_MAX)
		return;
	*new = (struct hotplug_extent){ .of = *identity, .to = UINT64_MAX };
	if (go_down(f, new))
		f->err = -EINPROGRESS;
	for (size_t i = 0; i < medium->nr; i++)
		if (hotplug_identity_equal(&medium->extents[i].of, &new->of) &&
		    medium->extents[i].from == new->from && medium->extents[i].to == new->to)
			return;
	medium->nr++;
}

static int add_slave(void *user, const char *name)
{
	struct find *f = user;
	struct hotplug_identity slave = { .is_block = true };
	char number[PATH_MAX];

	snprintf(number, sizeof(number), "slaves/%s/dev", name);
	if (read_dev(f->root, f->medium->extents[f->at].of.dev, number, &slave.dev))
		add(f, &slave);
	return 0;
}

int hotplug_medium_find(const char *root, struct hotplug_book *book,
			const struct hotplug_identity *identity, struct hotplug_medium *ret)
{
	struct find f = { .root = root, .book = book, .medium = ret };
	char path[PATH_MAX];

	ret->nr = 0;
	add(&f, identity);
	for (; f.at < ret->nr; f.at++) {
		if (!ret->extents[f.at].of.is_block)
			continue;
		path_in(root, ret->extents[f.at].of.dev, "slaves", path);
		hotplug_for_each(path, add_slave, &f);
	}
	return f.err;
}
