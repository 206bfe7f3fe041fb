/* SPDX-License-Identifier: MIT */
/*
 * Whether an NBD server may still execute requests of an earlier connection: of a pvbackd that was killed, or of a
 * connection that was given up. Such a write would overwrite newer data. A server finishes a client's requests before
 * it closes its end of the connection, and the kernel knows for each end of a Unix socket whether the other end is
 * gone.
 */
#ifndef PVB_NBD_FENCE_H
#define PVB_NBD_FENCE_H

#include "core/nbd_name.h"

/*
 * 0: all earlier connections to this server are over. -EBUSY: not yet. -EOPNOTSUPP: it cannot be found out, for a TCP
 * server or a kernel without UNIX_DIAG. Else -errno. Needs no rights, and does not wait.
 */
int nbd_fence(const struct nbd_name *name);

#endif
