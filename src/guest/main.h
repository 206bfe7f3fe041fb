/* SPDX-License-Identifier: MIT */
/* A guest's process: pvbackd executed again by control, with numbers for arguments and its sockets at 3 and 4. */
#ifndef PVB_GUEST_MAIN_H
#define PVB_GUEST_MAIN_H

#include "guest/guest.h"

/*
 * The first argument of such a process. The others are the domid, the number of workers, the level of the log, the uid (0: do
 * not change it), whether it is to be confined, and the domid of the domain that it runs in.
 */
#define GUEST_ARGUMENT "--internal-guest"
#define GUEST_ARGS     6u

/* Where it finds its end of the socket to control, and the bound socket where later controls are to connect. */
#define GUEST_LINK_FD   3
#define GUEST_LISTEN_FD 4

/* Whether the program was executed to be one. */
bool guest_main_is_meant(int argc, char **argv);
/* Serve; returns what the process exits with. */
int guest_main(int argc, char **argv, const struct plane *const *planes,
	       const struct guest_device_ops *const *kinds);

#endif
