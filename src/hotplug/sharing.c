/* SPDX-License-Identifier: MIT */
/* Whether a disk may be used; see sharing.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
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

/* --- media --- */

static bool overlap(const struct hotplug_extent *a, const struct hotplug_extent *b)
{
	return hotplug_identity_equal(&a->of, &b->of) && a->from < b->to && b->from < a->to;
}

bool hotplug_medium_is_on(const struct hotplug_medium *upper, const struct hotplug_medium *lower)
{
	for (size_t i = 1; i < upper->nr; i++)
		if (overlap(&upper->extents[i], &lower->extents[0]))
			return true;
	return false;
}

/* Two logical volumes may be on the same disks: that alone is no collision. */
bool hotplug_media_collide(const struct hotplug_medium *a, const struct hotplug_medium *b)
{
	return overlap(&a->extents[0], &b->extents[0]) || hotplug_medium_is_on(a, b) ||
	       hotplug_medium_is_on(b, a);
}

void hotplug_medium_format(const struct hotplug_medium *medium, char buf[HOTPLUG_MEDIUM_TEXT])
{
	char *at = buf;

	*at = '\0';
	for (size_t i = 0; i < medium->nr; i++) {
		const struct hotplug_extent *e = &medium->extents[i];

		at += snprintf(at, (size_t)(buf + HOTPLUG_MEDIUM_TEXT - at),
			       "%s%c%x:%x:%" PRIx64 ":%" PRIx64 "-%" PRIx64, i ? " " : "",
			       e->of.is_block ? 'b' : 'f', major(e->of.dev), minor(e->of.dev),
			       (uint64_t)e->of.ino, e->from, e->to);
	}
}

int hotplug_medium_parse(const char *text, struct hotplug_medium *ret)
{
	struct hotplug_medium medium = { 0 };

	for (int len; *text; text += len) {
		struct hotplug_extent *e = &medium.extents[medium.nr];
		unsigned int maj, min;
		uint64_t ino;
		char what;

		if (medium.nr == HOTPLUG_EXTENTS_MAX ||
		    sscanf(text, " %c%x:%x:%" SCNx64 ":%" SCNx64 "-%" SCNx64 "%n", &what, &maj,
			   &min, &ino, &e->from, &e->to, &len) != 6 ||
		    (what != 'b' && what != 'f'))
			return -EINVAL;
		e->of = (struct hotplug_identity){ .is_block = what == 'b',
						   .dev = makedev(maj, min),
						   .ino = (ino_t)ino };
		medium.nr++;
	}
	if (!medium.nr)
		return -EINVAL;
	*ret = medium;
	return 0;
}

/* --- claims --- */

bool hotplug_claim_forbids(const struct hotplug_claim *claim, enum hotplug_mode mode)
{
	if (mode == HOTPLUG_MODE_UNCHECKED || claim->same_vm || !claim->domain_exists)
		return false;
	if (claim->state == 0 || (claim->state == XENBUS_STATE_CLOSED && !claim->online))
		return false;
	return mode != HOTPLUG_MODE_READ || claim->mode == HOTPLUG_MODE_WRITE;
}

/* --- mounts and swap --- */

/* The kernel writes characters that would end a word as \ooo. */
static void unescape(char *text)
{
	unsigned int byte;
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && sscanf(text + 1, "%3o", &byte) == 1) {
			*to++ = (char)byte;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static void copy_word(const char *word, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s", word);
	unescape(path);
}

static bool mount_line_parse(char *line, struct hotplug_mount *ret)
{
	unsigned int maj = 0, min = 0;
	char *save = NULL;
	char *word = strtok_r(line, " \n", &save);

	for (unsigned int i = 0; word && strcmp(word, "-") != 0; i++) {
		if (i == 2 && sscanf(word, "%u:%u", &maj, &min) != 2)
			return false;
		if (i == 4)
			copy_word(word, ret->dir);
		word = strtok_r(NULL, " \n", &save);
	}
	if (!word || !strtok_r(NULL, " \n", &save)) /* the dash, then the file system's type */
		return false;
	word = strtok_r(NULL, " \n", &save);
	if (!word)
		return false;
	copy_word(word, ret->source);
	word = strtok_r(NULL, " \n", &save);
	if (!word)
		return false;
	ret->dev = makedev(maj, min);
	ret->read_only = strcmp(word, "ro") == 0 || strncmp(word, "ro,", 3) == 0;
	return true;
}

bool hotplug_mount_next(FILE *mountinfo, struct hotplug_mount *ret)
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (!found && getline(&line, &size, mountinfo) > 0)
		found = mount_line_parse(line, ret);
	free(line);
	return found;
}

bool hotplug_mount_forbids(const struct hotplug_mount *mount, enum hotplug_mode mode)
{
	return mode == HOTPLUG_MODE_WRITE || (mode == HOTPLUG_MODE_READ && !mount->read_only);
}

bool hotplug_swap_next(FILE *swaps, char path[PATH_MAX])
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (!found && getline(&line, &size, swaps) > 0) {
		found = line[0] == '/'; /* not the heading */
		line[strcspn(line, " \t\n")] = '\0';
		copy_word(line, path);
	}
	free(line);
	return found;
}
