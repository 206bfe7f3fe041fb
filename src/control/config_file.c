/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/config_file.h"
#include "core/sd.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct reader {
	struct options *options;
	struct options scratch;       /* where values of sections are tried */
	struct config_faults *faults; /* borrowed */
	/* Of the file that is being read: */
	const char *file; /* borrowed */
	FILE *in;         /* owned */
	int line;
	const char *key,
		*value; /* borrowed: what a fault is about; NULL: nothing that has a name */
	/* The section that we are in: */
	char section[INI_MAX_LINE];
	unsigned int parts;         /* bits of enum options_part_nr: tables that it may use */
	const char *guest, *device; /* parts of `name`; NULL: not for one */
	char name[INI_MAX_LINE];
};

/* --- faults --- */

static char *copy_of(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void list_fault(struct reader *reader, const char *text)
{
	struct config_faults *faults = reader->faults;
	struct config_fault *more = realloc(faults->list, faults->nr * sizeof(more[0]));

	if (!more)
		return;
	faults->list = more;
	more[faults->nr_listed++] = (struct config_fault){ .file = copy_of(reader->file),
							   .line = reader->line,
							   .key = copy_of(reader->key),
							   .value = copy_of(reader->value),
							   .text = copy_of(text) };
}

static void __attribute__((format(printf, 2, 3))) fault(struct reader *reader, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reader->faults->nr++;
	list_fault(reader, text);
}

/* Its place, for both. */
static const char *line_of(const struct config_fault *fault, char where[32])
{
	*where = '\0';
	if (fault->line)
		snprintf(where, 32, ", line %d", fault->line);
	return where;
}

void config_faults_log(const struct config_faults *faults)
{
	for (unsigned int i = 0; i < faults->nr_listed; i++) {
		const struct config_fault *fault = &faults->list[i];
		char where[32];

		log_error("%s%s: %s", fault->file, line_of(fault, where), fault->text);
	}
}

void config_faults_show(const struct config_faults *faults, const char *what)
{
	const struct config_fault *first = faults->nr_listed ? faults->list : NULL;
	char status[512] = "STATUS=", where[32];

	if (first)
		snprintf(status, sizeof(status), "STATUS=%s: %s%s: %s%s", what, first->file,
			 line_of(first, where), first->text, faults->nr > 1 ? "; and more" : "");
	sd_notify(0, status);
}

void config_faults_free(struct config_faults *faults)
{
	for (unsigned int i = 0; i < faults->nr_listed; i++) {
		free(faults->list[i].file);
		free(faults->list[i].key);
		free(faults->list[i].value);
		free(faults->list[i].text);
	}
	free(faults->list);
	*faults = (struct config_faults){ 0 };
}

/* --- sections --- */

static const struct {
	const char *word;
	unsigned int parts;
	bool of_device;
} kinds[] = {
	{ "guest ", 1u << OPTIONS_DISK | 1u << OPTIONS_VIF, false },
	{ "disk ", 1u << OPTIONS_DISK, true },
	{ "vif ", 1u << OPTIONS_VIF, true },
};

/* "web/xvda": the guest's name may have a slash, the device's has none. */
static bool split_name(struct reader *reader, const char *name, bool of_device)
{
	char *slash;

	strcpy(reader->name, name);
	reader->guest = reader->name;
	reader->device = NULL;
	if (!of_device)
		return *name;
	slash = strrchr(reader->name, '/');
	if (!slash)
		return false;
	*slash = '\0';
	reader->device = slash + 1;
	return *reader->guest && *reader->device;
}

static void enter_section(struct reader *reader, const char *section)
{
	strcpy(reader->section, section);
	reader->parts = *section ? 0 : OPTIONS_ALL_PARTS;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].word);

		if (!strncmp(section, kinds[i].word, len) &&
		    split_name(reader, section + len, kinds[i].of_device))
			reader->parts = kinds[i].parts;
	}
	if (!*section || !reader->parts)
		reader->guest = reader->device = NULL;
}

/* Lines below a wrong heading hold for nobody. In particular they do not belong to the section before it. */
static void take_heading(struct reader *reader, const char *heading)
{
	size_t len = strcspn(heading, "]");
	char section[INI_MAX_LINE] = "?";

	if (heading[len] && len > 0)
		snprintf(section, sizeof(section), "%.*s", (int)len, heading);
	enter_section(reader, section);
	if (!reader->parts)
		fault(reader,
		      "[%.*s is no section, and what is in it is left out: there are "
		      "[guest NAME], [disk NAME/xvda] and [vif NAME/0]",
		      (int)strcspn(heading, "\r\n"), heading);
}

/* --- one setting --- */

static const char *const whose[OPTIONS_NR_PARTS] = {
	[OPTIONS_DAEMON] = "the daemon",
	[OPTIONS_DISK] = "disks",
	[OPTIONS_VIF] = "network cards",
};

static const struct key *find_key(const char *name, unsigned int parts, bool guess,
				  unsigned int *ret_part)
{
	for (unsigned int i = 0; i < OPTIONS_NR_PARTS; i++) {
		const struct key *keys = options_parts[i].keys;
		const struct key *key = guess ? keys_meant(keys, name) : keys_find(keys, name);

		if (key && (parts & 1u << i)) {
			*ret_part = i;
			return key;
		}
	}
	return NULL;
}

static int set(struct reader *reader, unsigned int part, const struct key *key, const char *value)
{
	const struct options_part *of = &options_parts[part];
	struct options *options = reader->guest ? &reader->scratch : reader->options;
	int err = key->parse(key, value, (char *)options + of->at + key->at);

	if (err || !reader->guest)
		return err;
	return settings_add(&reader->options->settings, reader->guest, reader->device, of->keys,
			    key, value);
}

/* Say what holds in place of a value that is wrong; "" when that is the default. */
static const char *do_without(struct reader *reader, unsigned int part, const struct key *key,
			      char *buf, size_t size)
{
	*buf = '\0';
	if (key->vital) {
		reader->faults->vital = true;
		snprintf(buf, size, "; pvbackd does not start without it");
	} else if (key->if_wrong) {
		set(reader, part, key, key->if_wrong);
		snprintf(buf, size, "; until that is put right it counts as `%s`", key->if_wrong);
	}
	return buf;
}

static void say_unknown(struct reader *reader, const char *name)
{
	char then[100];
	unsigned int part = 0;
	const struct key *key = find_key(name, ~reader->parts, false, &part);

	if (key) {
		fault(reader, "%s cannot be in [%s]: it is for %s", name, reader->section,
		      whose[part]);
		return;
	}
	key = find_key(name, reader->parts, true, &part);
	if (key)
		fault(reader, "%s is no option (is it `%s`?)%s", name, key->name,
		      do_without(reader, part, key, then, sizeof(then)));
	else
		fault(reader, "%s is no option; see pvbackd.conf(5)", name);
}

static void say_wrong(struct reader *reader, unsigned int part, const struct key *key,
		      const char *value)
{
	char allowed[200], then[100];

	key_allowed(key, allowed, sizeof(allowed));
	fault(reader, "%s cannot be `%s`: it takes %s%s", key->name, value, allowed,
	      do_without(reader, part, key, then, sizeof(then)));
}

/* The admin meant some guest. That guest must not be less protected because the heading is wrong. */
static void take_stray(struct reader *reader, const char *name)
{
	unsigned int part;
	const struct key *key = find_key(name, OPTIONS_ALL_PARTS, false, &part);

	if (!key || !key->if_wrong)
		return;
	set(reader, part, key, key->if_wrong);
	fault(reader, "%s is in no section; until that is put right it is `%s` for all", name,
	      key->if_wrong);
}

static int take_setting(void *user, const char *section, const char *name, const char *value)
{
	struct reader *reader = user;
	unsigned int part;
	const struct key *key = find_key(name, reader->parts, false, &part);

	(void)section; /* take_heading() has read it */
	reader->key = name;
	reader->value = value;
	if (!reader->parts)
		take_stray(reader, name);
	else if (!key)
		say_unknown(reader, name);
	else if (set(reader, part, key, value))
		say_wrong(reader, part, key, value);
	reader->key = reader->value = NULL;
	return 1;
}

/* --- one file --- */

/* libinih would take the rest of a line that is too long as a line of its own. */
static bool drop_rest(struct reader *reader, const char *line)
{
	int c = 0;

	if (strchr(line, '\n') || feof(reader->in))
		return false;
	while (c != '\n' && c != EOF)
		c = getc(reader->in);
	return true;
}

/* As libinih reads a line: a comment may follow a blank. */
static bool is_setting(const char *line)
{
	char before = '\0';

	for (; *line && *line != '=' && *line != ':'; before = *line++)
		if (*line == ';' && isspace((unsigned char)before))
			return false;
	return *line;
}

/*
 * The next line for libinih. libinih reports one fault only, and not its line number. So a line that it would refuse is
 * reported here, and libinih gets an empty one. It also takes an indented line as part of the line before, so we remove
 * the indentation.
 */
static char *next_line(char *buf, int size, void *user)
{
	struct reader *reader = user;
	char *text = buf;

	if (!fgets(buf, size, reader->in))
		return NULL;
	reader->line++;
	if (reader->line == 1 && !strncmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)))
		text += strlen(BYTE_ORDER_MARK);
	text += strspn(text, " \t\r\n");
	if (drop_rest(reader, buf)) {
		fault(reader, "it has more than %d characters", size - 2);
	} else if (*text == '[') {
		take_heading(reader, text + 1);
	} else if (*text && *text != '#' && *text != ';') {
		if (is_setting(text))
			return memmove(buf, text, strlen(text) + 1);
		fault(reader, "`%.*s` is not NAME = VALUE", (int)strcspn(text, "\r\n"), text);
	}
	return strcpy(buf, "\n");
}

/* Open a plain file only: a directory would read as an empty file, and a FIFO might never end. NULL with errno set. */
static FILE *open_file(const char *file)
{
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fdopen(fd, "r");
	close(fd);
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	return NULL;
}

/* A file that cannot be read may have had any option. */
static void cannot_read(struct reader *reader, int err)
{
	fault(reader, "it cannot be read: %s",
	      err == EINVAL ? "it is not a plain file" : strerror(err));
	reader->faults->vital = true;
}

static void read_file(struct reader *reader, const char *file, bool must_exist)
{
	reader->file = file;
	reader->line = 0;
	reader->in = open_file(file);
	if (!reader->in) {
		if (errno != ENOENT || must_exist)
			cannot_read(reader, errno);
		return;
	}
	enter_section(reader, "");
	ini_parse_stream(next_line, reader, take_setting, reader);
	reader->line = 0;
	if (ferror(reader->in))
		cannot_read(reader, EIO);
	fclose(reader->in);
}

/* --- all of them --- */

static int is_drop_in(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return end && end != entry->d_name && *entry->d_name != '.' && !strcmp(end, ".conf");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_drop_ins(struct reader *reader, const char *dir)
{
	struct dirent **entries;
	int nr = scandir(dir, &entries, is_drop_in, by_bytes);

	if (nr < 0) {
		reader->file = dir;
		if (errno != ENOENT)
			cannot_read(reader, errno);
		return;
	}
	for (int i = 0; i < nr; i++) {
		char *file;

		if (asprintf(&file, "%s/%s", dir, entries[i]->d_name) >= 0) {
			read_file(reader, file, false);
			free(file);
		}
		free(entries[i]);
	}
	free(entries);
}

void config_read(struct options *options, const char *file, bool must_exist,
		 struct config_faults *ret)
{
	struct reader reader = { .options = options, .faults = ret };
	char *dir;

	read_file(&reader, file, must_exist);
	if (asprintf(&dir, "%s.d", file) >= 0) {
		read_drop_ins(&reader, dir);
		free(dir);
	}
}
