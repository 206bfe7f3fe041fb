/* SPDX-License-Identifier: MIT */
/*
 * hold-lock FILE [BYTE...]: hold write locks on FILE, or on these bytes of it. For the hotplug scripts, a pvbackd runs while its
 * lock file is locked. Print "ready" when the locks are taken, and end when standard input is closed.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* `nr` 0: to the end of the file */
static bool lock(int fd, long long from, long long nr)
{
	struct flock what = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = nr
	};

	return fcntl(fd, F_OFD_SETLK, &what) == 0;
}

int main(int argc, char *argv[])
{
	bool held;
	char byte;
	int fd;

	if (argc < 2) {
		fprintf(stderr, "usage: hold-lock FILE [BYTE...]\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	held = fd >= 0 && (argc > 2 || lock(fd, 0, 0));
	for (int i = 2; held && i < argc; i++)
		held = lock(fd, strtoll(argv[i], NULL, 0), 1);
	if (!held) {
		perror(argv[1]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
