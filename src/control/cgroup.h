/* SPDX-License-Identifier: MIT */
/*
 * A cgroup for each guest's process, where the host gives us room for them: there an admin weighs a guest, and reads
 * what it has used.
 *
 * The host says so by where it starts us: in a cgroup (version 2) called "control", as systemd does it with
 * DelegateSubgroup=control. The guests' are beside it, "guest-NAME". The other way round, with a cgroup of ours below
 * the one that we are started in, systemd could not start us again: nobody may enter a cgroup that has others with
 * controllers below it.
 */
#ifndef PVB_CGROUP_H
#define PVB_CGROUP_H

#include <sys/types.h>

/* The directory of the guests' cgroups, for the caller to close; -1 when there is to be none. */
int cgroup_find(void);
/* Have the process in the one of this guest; where that fails it stays where it is. Nothing happens when `dir` is -1. */
void cgroup_enter(int dir, pid_t pid, const char *guest);
/* Remove those in which nobody is left. */
void cgroup_sweep(int dir);

#endif
