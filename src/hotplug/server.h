/* SPDX-License-Identifier: MIT */
/*
 * qemu-nbd beside a disk whose image is not raw: it reads the format, the daemon speaks to it over a
 * Unix socket below the runtime directory.
 */
#ifndef PVB_HOTPLUG_SERVER_H
#define PVB_HOTPLUG_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "hotplug/failure.h"
#include "hotplug/request.h"

#define HOTPLUG_SERVER_LIMIT_S 20 /* to come up, and to go */

/*
 * QEMU's name of a format that a disk line may have before its path ("qcow2", "vhd", "vhdx", "vmdk"), or
 * NULL. The format is always said, never looked for in the image: a guest may write what it likes there
 * (XSA-48). Pure.
 */
const char *hotplug_server_driver(const char *format, size_t len);

/*
 * The name that the daemon finds the disk of `req` under, and libxl the medium of its emulated disk: an
 * NBD name, in backend/vbd3 the path of the socket.
 */
void hotplug_server_name(const struct hotplug_request *req, char *buf, size_t size);

/*
 * Start a server for the disk of `req`; one that an earlier life of the disk left is stopped first. 0
 * when it can be connected to; else a negative errno with *failure filled in, and nothing runs.
 */
int hotplug_server_start(const struct hotplug_request *req, const char *driver, const char *path,
			 bool read_only, struct hotplug_failure *failure);

/*
 * Stop the server of `req`, if there is one: it writes back what it holds. 0, or -ETIMEDOUT with
 * *failure filled in.
 */
int hotplug_server_stop(const struct hotplug_request *req, struct hotplug_failure *failure);

#endif
