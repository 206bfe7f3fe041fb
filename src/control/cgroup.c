/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/cgroup.h"
#include "core/log.h"

#define ROOT   "/sys/fs/cgroup"
#define OURS   "/control"
#define PREFIX "guest-"

static int write_to(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	int err = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* The line "0::/PATH" names our cgroup. False when it is not the one that systemd gives us for this. */
static bool find_path(char *path, int size)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];
	bool found = false;
	int n = 0;

	while (file && !found && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\n");

		line[len] = '\0';
		found = !strncmp(line, "0::", 3) && len >= 3 + strlen(OURS) &&
			!strcmp(line + len - strlen(OURS), OURS);
		if (found)
			n = snprintf(path, (size_t)size, ROOT "%.*s", (int)(len - 3 - strlen(OURS)),
				     line + 3);
	}
	if (file)
		fclose(file);
	return found && n < size;
}

int cgroup_find(void)
{
	static const char *const controllers[] = { "+cpu", "+io" };
	char path[PATH_MAX];
	int dir =
		find_path(path, sizeof(path)) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir < 0)
		return -1;
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
		int err = write_to(dir, "cgroup.subtree_control", controllers[i]);

		if (err)
			log_debug("%s: no %s for the guests' cgroups: %s", path, controllers[i] + 1,
				  strerror(-err));
	}
	cgroup_sweep(dir);
	return dir;
}

void cgroup_enter(int dir, pid_t pid, const char *guest)
{
	char name[NAME_MAX + 1], procs[NAME_MAX + 16], text[16];
	int err;

	if (dir < 0)
		return;
	snprintf(name, sizeof(name), PREFIX "%s", guest);
	for (char *at = name; *at; at++)
		if (*at == '/' || *at == '\n')
			*at = '_';
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", name);
	snprintf(text, sizeof(text), "%d", (int)pid);
	err = mkdirat(dir, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
	if (!err)
		err = write_to(dir, procs, text);
	if (err)
		log_warning("the process of guest %s (%d) has no cgroup of its own: %s", guest,
			    (int)pid, strerror(-err));
}

void cgroup_sweep(int dir)
{
	int fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
			unlinkat(dir, entry->d_name, AT_REMOVEDIR); /* EBUSY: somebody is in it */
	if (list)
		closedir(list);
	else if (fd >= 0)
		close(fd);
}
