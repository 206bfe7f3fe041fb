/* SPDX-License-Identifier: MIT */
/*
 * This program once more, as a child: who opens an image, who serves a guest.
 *
 * Whoever closes a descriptor asks the file system behind it, which may not answer (FUSE, NFS). So the child is
 * never given a copy of what we have open, which it would have to close before it is another program.
 */
#ifndef PVB_SPAWN_H
#define PVB_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#define SPAWN_FIRST_FD 3 /* of the child: the first that it is given */
#define SPAWN_MAX_FDS  2u

struct spawn {
	char *const *argv; /* borrowed */
	int fds[SPAWN_MAX_FDS]; /* borrowed: the child's from SPAWN_FIRST_FD on, beside our stdin, stdout and stderr */
	unsigned int nr_fds;
	bool apart; /* in a process group of its own, with the signals of a new program */
};

/* Before any image is open, and before any other thread runs: the numbers by which descriptors are given. 0 or -errno. */
int spawn_reserve(void);
/* Control thread. 0 with *ret_pid, whom somebody has to wait for; or -errno. */
int spawn_again(const struct spawn *spawn, pid_t *ret_pid);

#endif
