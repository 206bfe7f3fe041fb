/* SPDX-License-Identifier: MIT */
/* Who else uses a disk, according to xenstore. */
#ifndef PVB_HOTPLUG_CLAIMS_H
#define PVB_HOTPLUG_CLAIMS_H

#include "hotplug/aside.h"
#include "hotplug/failure.h"
#include "hotplug/request.h"
#include "hotplug/sharing.h"
#include "hotplug/target.h"
#include "control/store.h"

/*
 * Walk all disks of this backend domain that went through their script, of pvbackd and of others, and
 * see whether one of another guest forbids the use of `target` in `mode`. 0, or a negative errno: -EINPROGRESS
 * if storage has to be asked first what it is (aside.h); else with *failure filled in: -EBUSY if it is in use,
 * else xenstore's trouble. To be called under hotplug_host_lock().
 */
int hotplug_claims_check(struct store *store, const struct hotplug_request *req,
			 const struct hotplug_target *target, enum hotplug_mode mode,
			 struct hotplug_book *book, struct hotplug_failure *failure);

#endif
