/* SPDX-License-Identifier: MIT */
/*
 * hold-lock FILE: hold a write lock on FILE, so that for the hotplug scripts a pvbackd runs. Print "ready" when the lock is
 * taken, and end when standard input is closed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char byte;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: hold-lock FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		perror(argv[1]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
