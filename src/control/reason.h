/* SPDX-License-Identifier: MIT */
/*
 * Why a device does not work: the node error/backend/KIND/DOMID/DEVID/error below our own home in xenstore. We remove it with
 * the device, because nodes count against the quota of a driver domain. Control thread only.
 */
#ifndef PVB_REASON_H
#define PVB_REASON_H

#include "control/store.h"

/* `be_path` is "backend/KIND/DOMID/DEVID", `err` a negative errno. Best effort: the log has it too. */
void reason_write(struct store *store, const char *be_path, int err, const char *text);

/* Read the text that was written last. 0, or -errno; -ENOENT when there is none. */
int reason_read(struct store *store, const char *be_path, char *buf, size_t size);

/* The device works, or is gone: remove the node, and the directories above it that are empty then. */
void reason_clear(struct store *store, const char *be_path);

/* Remove the nodes of `kind` whose devices went while no daemon ran. */
void reason_sweep(struct store *store, const char *kind);

#endif
