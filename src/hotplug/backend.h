/* SPDX-License-Identifier: MIT */
/* What both scripts do with their device's backend directory. */
#ifndef PVB_HOTPLUG_BACKEND_H
#define PVB_HOTPLUG_BACKEND_H

#include <limits.h>
#include <stddef.h>

#include "hotplug/failure.h"
#include "hotplug/request.h"
#include "control/store.h"

/*
 * Read one key of the device's directory. A key that is not there gives `fallback` if that is not
 * NULL. 0, or a negative errno with *failure filled in.
 */
int hotplug_backend_read(struct store *store, const struct hotplug_request *req, const char *key,
			 const char *fallback, char *buf, size_t size,
			 struct hotplug_failure *failure);

/*
 * Check that the daemon serves the frontend's path. Otherwise only the daemon's own log would say that it does not. 0,
 * or a negative errno with *failure filled in.
 */
int hotplug_backend_check_frontend(struct store *store, const struct hotplug_request *req,
				   struct hotplug_failure *failure);

/* What a disk stands on, so that nobody has to ask its storage again. */
#define HOTPLUG_STORAGE_KEY "pvbackd-storage"

/* What a script that succeeds writes; NULL or 0 for what does not apply. */
struct hotplug_result {
	const char *physical_device;      /* "major:minor" in hex */
	const char *physical_device_path; /* its path */
	const char *storage;              /* as in hotplug_backend_claim() */
	const char *medium_id;            /* medium_id_format() of what was checked */
	const char *frontend;             /* the directory for `mtu` */
	unsigned int mtu;
};

/*
 * Write the result and hotplug-status=connected, and remove the error of an earlier run, all in one transaction.
 * Nothing is written if the device is gone or closing. 0, or a negative errno with *failure filled in.
 */
int hotplug_backend_connected(struct store *store, const struct hotplug_request *req,
			      const struct hotplug_result *result, struct hotplug_failure *failure);

/*
 * Write to the device's directory what it stands on, before it is connected. Nothing is written if the device is gone
 * or closing. 0, or a negative errno with *failure filled in.
 */
int hotplug_backend_claim(struct store *store, const struct hotplug_request *req,
			  const char *storage, struct hotplug_failure *failure);
/* Remove that key. Best effort: the directory goes soon. */
void hotplug_backend_disclaim(struct store *store, const struct hotplug_request *req);

/*
 * Write hotplug-error, and hotplug-status too if `with_status`. A device that is gone is not created again. Best
 * effort: the same sentence goes to stderr.
 */
void hotplug_backend_failed(struct store *store, const struct hotplug_request *req,
			    const struct hotplug_failure *failure, bool with_status);

#endif
