/* SPDX-License-Identifier: MIT */
/* The two scripts. */
#ifndef PVB_HOTPLUG_SCRIPTS_H
#define PVB_HOTPLUG_SCRIPTS_H

#include "hotplug/failure.h"
#include "hotplug/request.h"
#include "control/store.h"

/*
 * Do what `req` asks. 0, or a negative errno with *failure filled in. After a failure the device is as it was or, for a
 * vif, half set up, and the same request may be made again. `store` is open for every command except those that remove
 * a disk, which need none.
 */
int block_script_run(struct store *store, const struct hotplug_request *req,
		     struct hotplug_failure *failure);
int vif_script_run(struct store *store, const struct hotplug_request *req,
		   struct hotplug_failure *failure);

#endif
