/* SPDX-License-Identifier: MIT */
/*
 * Run this program again as a child: an opener of images, or a process that serves a guest.
 *
 * Closing a descriptor may ask the file system behind it, which may not answer (FUSE, NFS). So the child never gets
 * copies of our open descriptors, which it would have to close before it executes the program.
 */
#ifndef PVB_SPAWN_H
#define PVB_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#define SPAWN_FIRST_FD 3 /* the first descriptor that the child is given */
#define SPAWN_MAX_FDS  2u

struct spawn {
	char *const *argv; /* borrowed */
	int fds[SPAWN_MAX_FDS]; /* borrowed: in the child from SPAWN_FIRST_FD on, beside stdin, stdout and stderr */
	unsigned int nr_fds;
	bool apart; /* in a process group of its own, with the signals of a new program */
};

/*
 * Reserve the descriptor numbers by which children are given theirs. Call it before any image is open and before any
 * other thread runs. 0 or -errno.
 */
int spawn_reserve(void);
/* Control thread. 0 with *ret_pid, for which the caller must wait; or -errno. */
int spawn_again(const struct spawn *spawn, pid_t *ret_pid);

#endif
