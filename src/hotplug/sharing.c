/* SPDX-License-Identifier: MIT */
/* May this disk be used; see sharing.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "hotplug/sharing.h"

#define XENBUS_STATE_CLOSED 6

int hotplug_mode_parse(const char *text, enum hotplug_mode *ret_mode)
{
	static const struct {
		const char *text;
		enum hotplug_mode mode;
	} modes[] = {
		{ "r", HOTPLUG_MODE_READ },       { "ro", HOTPLUG_MODE_READ },
		{ "w", HOTPLUG_MODE_WRITE },      { "rw", HOTPLUG_MODE_WRITE },
		{ "w!", HOTPLUG_MODE_UNCHECKED }, { "rw!", HOTPLUG_MODE_UNCHECKED },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(text, modes[i].text) == 0) {
			*ret_mode = modes[i].mode;
			return 0;
		}
	}
	return -EINVAL;
}

bool hotplug_identity_equal(const struct hotplug_identity *a, const struct hotplug_identity *b)
{
	return a->is_block == b->is_block && a->dev == b->dev && a->ino == b->ino;
}

bool hotplug_claim_matches(const struct hotplug_claim *claim, const struct hotplug_identity *wanted)
{
	for (size_t i = 0; i < claim->nr_identities; i++)
		if (hotplug_identity_equal(&claim->identities[i], wanted))
			return true;
	return false;
}

bool hotplug_claim_conflicts(const struct hotplug_claim *claim,
			     const struct hotplug_identity *wanted, enum hotplug_mode mode)
{
	if (mode == HOTPLUG_MODE_UNCHECKED || claim->same_vm || !claim->domain_exists)
		return false;
	if (claim->state == 0 || (claim->state == XENBUS_STATE_CLOSED && !claim->online))
		return false;
	if (mode == HOTPLUG_MODE_READ && claim->mode != HOTPLUG_MODE_WRITE)
		return false;
	return hotplug_claim_matches(claim, wanted);
}

/* The fields of one mountinfo line that matter here; they point into the line. */
struct mount_line {
	unsigned int major;
	unsigned int minor;
	const char *dir;
	const char *source;
	const char *super_options;
};

static bool mount_line_parse(char *line, struct mount_line *ret)
{
	struct mount_line m = { 0 };
	char *save = NULL;
	char *word = strtok_r(line, " \n", &save);

	for (unsigned int i = 0; word && strcmp(word, "-") != 0; i++) {
		if (i == 2 && sscanf(word, "%u:%u", &m.major, &m.minor) != 2)
			return false;
		if (i == 4)
			m.dir = word;
		word = strtok_r(NULL, " \n", &save);
	}
	if (!word || !strtok_r(NULL, " \n", &save)) /* the dash, then the file system's type */
		return false;
	m.source = strtok_r(NULL, " \n", &save);
	m.super_options = strtok_r(NULL, " \n", &save);
	if (!m.dir || !m.source || !m.super_options)
		return false;
	*ret = m;
	return true;
}

/* btrfs and its like report a number of their own, so the source counts as well. */
static bool mount_is_of(const struct mount_line *m, dev_t dev)
{
	struct stat st;

	if (makedev(m->major, m->minor) == dev)
		return true;
	return m->source[0] == '/' && stat(m->source, &st) == 0 && S_ISBLK(st.st_mode) &&
	       st.st_rdev == dev;
}

static bool mount_is_read_only(const struct mount_line *m)
{
	return strcmp(m->super_options, "ro") == 0 || strncmp(m->super_options, "ro,", 3) == 0;
}

bool hotplug_mount_conflicts(FILE *mountinfo, dev_t dev, enum hotplug_mode mode, char *ret_dir,
			     size_t size)
{
	struct mount_line m;
	char *line = NULL;
	size_t line_size = 0;
	bool found = false;

	if (mode == HOTPLUG_MODE_UNCHECKED)
		return false;
	while (!found && getline(&line, &line_size, mountinfo) > 0) {
		if (!mount_line_parse(line, &m))
			continue;
		if (mode == HOTPLUG_MODE_READ && mount_is_read_only(&m))
			continue;
		if (mount_is_of(&m, dev)) {
			snprintf(ret_dir, size, "%s", m.dir);
			found = true;
		}
	}
	free(line);
	return found;
}
