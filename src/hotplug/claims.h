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
 * Look at all disks of this backend domain whose script has run, of pvbackd and of other backends. Does one of another
 * guest forbid the use of `target` in `mode`? 0, or a negative errno: -EINPROGRESS if storage must first be asked what
 * it is (aside.h). Else *failure is filled in: -EBUSY if it is in use, or xenstore's error. Call it under
 * hotplug_host_lock().
 */
int hotplug_claims_check(struct store *store, const struct hotplug_request *req,
			 const struct hotplug_target *target, enum hotplug_mode mode,
			 struct hotplug_book *book, struct hotplug_failure *failure);

#endif
