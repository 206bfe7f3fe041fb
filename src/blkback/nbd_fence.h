/* SPDX-License-Identifier: MIT */
/*
 * Whether an NBD server may still be executing what an earlier connection sent: that of a pvbackd that was
 * killed, or one that was given up. Such a write would land on newer data. A server finishes a client's
 * requests before it closes its end of that client's connection, and the kernel knows of each end of a Unix
 * socket whether the other one is gone.
 */
#ifndef PVB_NBD_FENCE_H
#define PVB_NBD_FENCE_H

#include "core/nbd_name.h"

/*
 * 0: all earlier connections to this server are over. -EBUSY: not yet. -EOPNOTSUPP when it cannot be told:
 * for a server by TCP, or by a kernel without UNIX_DIAG. Else -errno. Needs no right, and does not wait.
 */
int nbd_fence(const struct nbd_name *name);

#endif
