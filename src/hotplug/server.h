/* SPDX-License-Identifier: MIT */
/*
 * qemu-nbd for a disk whose image is not raw. It reads the image's format, and the daemon connects to it by a Unix
 * socket below the runtime directory.
 */
#ifndef PVB_HOTPLUG_SERVER_H
#define PVB_HOTPLUG_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "hotplug/failure.h"
#include "hotplug/request.h"

#define HOTPLUG_SERVER_LIMIT_S 20 /* for it to start, and to end */

/*
 * QEMU's name of a format that a disk line may have before its path ("qcow2", "vhd", "vhdx", "vmdk"), or NULL. The
 * admin names the format. It is never read from the image, where a guest may write anything (XSA-48). Pure.
 */
const char *hotplug_server_driver(const char *format, size_t len);

/*
 * The name by which the daemon finds the disk of `req`, and libxl the medium of its emulated disk: an NBD name or, in
 * backend/vbd3, the path of the socket.
 */
void hotplug_server_name(const struct hotplug_request *req, char *buf, size_t size);

/*
 * Start a server for the disk of `req`. A server that an earlier attach left is stopped first. 0 when the server can be
 * connected to. Else a negative errno with *failure filled in, and no server runs.
 */
int hotplug_server_start(const struct hotplug_request *req, const char *driver, const char *path,
			 bool read_only, struct hotplug_failure *failure);

/* Stop the server of `req`, if there is one. It writes back what it holds. 0, or -ETIMEDOUT with *failure filled in. */
int hotplug_server_stop(const struct hotplug_request *req, struct hotplug_failure *failure);

#endif
