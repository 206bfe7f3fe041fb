/* SPDX-License-Identifier: MIT */
/*
 * Why a device does not work: error/backend/KIND/DOMID/DEVID/error below our own home in xenstore. It goes with
 * the device, for nodes count against the quota of a driver domain. Control thread only.
 */
#ifndef PVB_REASON_H
#define PVB_REASON_H

#include "control/store.h"

/* `be_path` is "backend/KIND/DOMID/DEVID", `err` a negative errno. Best effort: the log has it too. */
void reason_write(struct store *store, const char *be_path, int err, const char *text);

/* The text of what was written last. 0, or -errno: -ENOENT when it works, or nothing is known. */
int reason_read(struct store *store, const char *be_path, char *buf, size_t size);

/* It works, or is gone. Takes what is empty then above the node along. */
void reason_clear(struct store *store, const char *be_path);

/* Those of `kind` whose devices went while nobody looked. */
void reason_sweep(struct store *store, const char *kind);

#endif
