/* SPDX-License-Identifier: MIT */
/*
 * A cgroup for each guest's process, where the host allows it. An admin can set a guest's weight there, and read what
 * the guest has used.
 *
 * The host allows it by starting us in a cgroup (version 2) that is called "control", as systemd does with
 * DelegateSubgroup=control. The guests' cgroups are beside it: "guest-NAME". They cannot be below the cgroup that we are
 * started in: the kernel lets no process enter a cgroup that has child cgroups with controllers, so systemd could not
 * start us again.
 */
#ifndef PVB_CGROUP_H
#define PVB_CGROUP_H

#include <sys/types.h>

/* The directory of the guests' cgroups, for the caller to close; -1 when there is to be none. */
int cgroup_find(void);
/* Move the process into the cgroup of this guest. If that fails it stays where it is. Does nothing when `dir` is -1. */
void cgroup_enter(int dir, pid_t pid, const char *guest);
/* Remove the cgroups that have no process left. */
void cgroup_sweep(int dir);

#endif
