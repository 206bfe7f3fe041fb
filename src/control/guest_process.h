/* SPDX-License-Identifier: MIT */
/*
 * The processes that serve guests: starting them, finding them by their sockets in the runtime directory, watching for
 * their end, killing them.
 */
#ifndef PVB_GUEST_PROCESS_H
#define PVB_GUEST_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/loop.h"

struct guest_process_setup {
	const char *runtime_dir; /* borrowed */
	unsigned int nr_workers; /* of each */
	int log_level;
	uint32_t uid_base;  /* a guest's process runs as this + domid; 0: as we do */
	bool confine;       /* it gives up its rights before it serves */
	uint32_t own_domid; /* of the domain that we run in */
	int cgroups;        /* borrowed: cgroup_find() */
};

struct guest_process {
	uint32_t domid;
	pid_t pid;
	int pidfd;         /* owned; -1 when there is none */
	char how[48];      /* how it ended: "killed by signal 9 (Killed)"; "": not known */
	bool older;        /* than our program or a library of it */
	struct loop *loop; /* borrowed */
	struct loop_watch *watch;
	void (*gone)(void *user);
	void *user; /* borrowed */
};

/*
 * Start a process for this guest, which has this name. 0, with the process and our end of the socket to it (*ret_fd, the
 * caller's); or -errno.
 */
int guest_process_start(const struct guest_process_setup *setup, uint32_t domid, const char *name,
			struct guest_process *ret, int *ret_fd);
/*
 * Connect to the process that serves this guest. Returns as above; -ECONNREFUSED or -ENOENT when there is none. Then its
 * socket is removed.
 */
int guest_process_find(const struct guest_process_setup *setup, uint32_t domid,
		       struct guest_process *ret, int *ret_fd);
/* Find the guests that have a socket in the runtime directory, `max` at most. Returns how many. */
unsigned int guest_process_list(const struct guest_process_setup *setup, uint32_t *ret_domids,
				unsigned int max);

/* gone() follows when the kernel has ended it and its I/O. 0 or -errno. */
int guest_process_watch(struct guest_process *process, struct loop *loop, void (*gone)(void *user),
			void *user);
void guest_process_kill(struct guest_process *process);
/* Forget it, and remove its socket if it is `over`. Idempotent. */
void guest_process_close(struct guest_process *process, const struct guest_process_setup *setup,
			 bool over);

#endif
