/* SPDX-License-Identifier: MIT */
/*
 * The processes that serve guests, as the kernel has them: started, found by their sockets in the runtime directory,
 * watched until they are gone, killed.
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
	uint32_t uid_base; /* a guest's process runs as this + domid; 0: as we do */
	bool confine;      /* it gives up its rights before it serves */
	int cgroups;       /* borrowed: cgroup_find() */
};

struct guest_process {
	uint32_t domid;
	pid_t pid;
	int pidfd;         /* owned; -1 when there is none */
	char how[48];      /* it has ended: "killed by signal 9 (Killed)"; "": nobody knows */
	bool older;        /* than our program or a library of it: it may be of an earlier build */
	struct loop *loop; /* borrowed */
	struct loop_watch *watch;
	void (*gone)(void *user);
	void *user; /* borrowed */
};

/*
 * Start one for this guest, of this name. 0 with the process and our end of the socket to it in *ret_fd (the caller's),
 * or -errno.
 */
int guest_process_start(const struct guest_process_setup *setup, uint32_t domid, const char *name,
			struct guest_process *ret, int *ret_fd);
/*
 * Connect to the one that serves this guest. As above; -ECONNREFUSED or -ENOENT when there is none (its socket is
 * removed then).
 */
int guest_process_find(const struct guest_process_setup *setup, uint32_t domid,
		       struct guest_process *ret, int *ret_fd);
/* The guests whose sockets lie in the runtime directory, up to `max`. Returns how many. */
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
