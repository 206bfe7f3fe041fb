/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/drop_in.h"

#define NAME "90-pvbackctl.conf"
/* The name begins with a dot, so that it is not read as a configuration. */
#define NEW_NAME "." NAME ".new"

void drop_in_path(const char *config, char *buf, size_t size)
{
	snprintf(buf, size, "%s.d/" NAME, config);
}

/* --- lines --- */

static bool is_heading(const char *line, const char *section)
{
	size_t len = strlen(section);

	line += strspn(line, " \t");
	return line[0] == '[' &&
	       (!*section || (!strncmp(line + 1, section, len) && line[1 + len] == ']'));
}

static bool is_setting_of(const char *line, const char *key)
{
	size_t len = strlen(key);

	line += strspn(line, " \t");
	if (strncmp(line, key, len) != 0)
		return false;
	line += len;
	return line[strspn(line, " \t")] == '=';
}

struct edit {
	const char *section, *key, *value;
	bool inside, found; /* we are in the section; the key was in it */
	bool blank;         /* the last line is blank */
	long heading; /* offset of the section's heading while no line of it is kept; else -1 */
};

static bool is_blank(const char *line)
{
	return line[strspn(line, " \t\r\n")] == '\0';
}

static void write_setting(const struct edit *edit, FILE *out)
{
	if (edit->value)
		fprintf(out, "%s = %s\n", edit->key, edit->value);
}

/* No line of the section is kept: write what follows over its heading. */
static void end_section(const struct edit *edit, FILE *out)
{
	if (edit->inside && !edit->value && edit->heading >= 0)
		fseek(out, edit->heading, SEEK_SET);
}

/* The section ends here. If the key was not in it, add it. */
static void edit_line(struct edit *edit, const char *line, FILE *out)
{
	if (is_heading(line, "")) {
		if (edit->inside && !edit->found && edit->value) {
			write_setting(edit, out);
			edit->found = true;
		}
		end_section(edit, out);
		edit->inside = is_heading(line, edit->section);
		edit->heading = ftell(out);
	} else if (!is_blank(line) && !is_setting_of(line, edit->key)) {
		edit->heading = -1;
	}
	if (edit->inside && is_setting_of(line, edit->key)) {
		if (!edit->found)
			write_setting(edit, out);
		edit->found = true;
		return;
	}
	edit->blank = is_blank(line);
	fputs(line, out);
	if (!strchr(line, '\n'))
		fputc('\n', out);
}

static void edit_end(struct edit *edit, FILE *out)
{
	end_section(edit, out);
	if (edit->found || !edit->value)
		return;
	if (!edit->inside)
		fprintf(out, "%s[%s]\n", edit->blank ? "" : "\n", edit->section);
	write_setting(edit, out);
}

static void edit_all(struct edit *edit, FILE *in, FILE *out)
{
	char *line = NULL;
	size_t size = 0;

	while (in && getline(&line, &size, in) >= 0)
		edit_line(edit, line, out);
	if (!in)
		fputs("# Written by `pvbackctl set --config`; see pvbackd.conf(5).\n", out);
	edit_end(edit, out);
	free(line);
}

/* --- files --- */

bool drop_in_has(const char *path, const char *section, const char *key)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	bool inside = false, found = false;
	char *line = NULL;
	size_t size = 0;

	while (in && !found && getline(&line, &size, in) >= 0) {
		if (is_heading(line, ""))
			inside = is_heading(line, section);
		found = inside && is_setting_of(line, key);
	}
	free(line);
	if (in)
		fclose(in);
	return found;
}

static int finish(FILE *out, int err)
{
	if (!err &&
	    (fflush(out) || ftruncate(fileno(out), ftell(out)) < 0 || fsync(fileno(out)) < 0))
		err = -errno;
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

static int write_new(struct edit *edit, int dir)
{
	int old = openat(dir, NAME, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	FILE *in = old < 0 ? NULL : fdopen(old, "r"), *out;
	int fd;

	if (!in && (old >= 0 || errno != ENOENT))
		return -errno;
	unlinkat(dir, NEW_NAME, 0);
	fd = openat(dir, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (out)
		edit_all(edit, in, out);
	if (in)
		fclose(in);
	return out ? finish(out, ferror(out) ? -EIO : 0) : -errno;
}

int drop_in_set(const char *path, const char *section, const char *key, const char *value)
{
	struct edit edit = { .section = section, .key = key, .value = value };
	char name[PATH_MAX];
	int dir, err;

	snprintf(name, sizeof(name), "%s", path);
	*strrchr(name, '/') = '\0';
	if (mkdir(name, 0755) < 0 && errno != EEXIST)
		return -errno;
	dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	err = write_new(&edit, dir);
	if (!err && !edit.found && !value)
		err = -ENOENT;
	if (!err && renameat(dir, NEW_NAME, dir, NAME) < 0)
		err = -errno;
	if (err)
		unlinkat(dir, NEW_NAME, 0);
	close(dir);
	return err;
}
