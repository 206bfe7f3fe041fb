/* SPDX-License-Identifier: MIT */
/* What both scripts do with their device's backend directory; see backend.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hotplug/backend.h"
#include "control/medium_id.h"

#define XENBUS_STATE_CLOSING 5
#define XENBUS_STATE_CLOSED  6

int hotplug_backend_read(struct store *store, const struct hotplug_request *req, const char *key,
			 const char *fallback, char *buf, size_t size,
			 struct hotplug_failure *failure)
{
	int err = store_read(store, XBT_NULL, req->path, key, buf, size);

	if (err == -ENOENT && fallback) {
		snprintf(buf, size, "%s", fallback);
		return 0;
	}
	if (err == -ENOENT)
		return hotplug_fail(
			failure, err,
			"%s/%s is not in xenstore; the device was removed while its script "
			"ran, or xl did not make it",
			req->path, key);
	if (err == -E2BIG)
		return hotplug_fail(failure, err,
				    "%s/%s is longer than the %zu bytes that pvbackd serves; use "
				    "a shorter one",
				    req->path, key, size - 1);
	if (err)
		return hotplug_fail(failure, err, "%s/%s cannot be read from xenstore: %s",
				    req->path, key, strerror(-err));
	return 0;
}

int hotplug_backend_check_frontend(struct store *store, const struct hotplug_request *req,
				   struct hotplug_failure *failure)
{
	char frontend[STORE_DIR_MAX];

	return hotplug_backend_read(store, req, "frontend", "", frontend, sizeof(frontend),
				    failure);
}

struct connected_write {
	const struct hotplug_request *req;
	const struct hotplug_result *result;
};

static int write_device(struct store *store, xs_transaction_t t, const struct connected_write *w)
{
	const char *dir = w->req->path;
	int err = 0;

	if (w->result->storage)
		err = store_write(store, t, dir, HOTPLUG_STORAGE_KEY, w->result->storage);
	if (!err && w->result->physical_device)
		err = store_write(store, t, dir, "physical-device", w->result->physical_device);
	if (!err && w->result->physical_device_path)
		err = store_write(store, t, dir, "physical-device-path",
				  w->result->physical_device_path);
	if (!err && w->result->medium_id)
		err = store_write(store, t, dir, MEDIUM_ID_KEY, w->result->medium_id);
	/*
	 * The guest may have removed its own directory. Writing there would create it again, as if the frontend were
	 * still there.
	 */
	if (!err && w->result->frontend && store_exists(store, t, w->result->frontend, "state"))
		err = store_writef(store, t, w->result->frontend, "mtu", "%u", w->result->mtu);
	return err;
}

/* store_transact() has checked that DIR/state exists. Check that the device is not closing. */
static int check_state(struct store *store, xs_transaction_t t, const char *dir)
{
	uint32_t state;
	int err = store_read_u32(store, t, dir, "state", 0, 8, &state);

	if (!err && (state == XENBUS_STATE_CLOSING || state == XENBUS_STATE_CLOSED))
		err = -ENOENT;
	return err;
}

static int write_claim(struct store *store, xs_transaction_t t, void *user)
{
	const struct connected_write *w = user;
	int err = check_state(store, t, w->req->path);

	return err ? err : write_device(store, t, w);
}

static int write_connected(struct store *store, xs_transaction_t t, void *user)
{
	const struct connected_write *w = user;
	const char *dir = w->req->path;
	int err = write_claim(store, t, user);

	if (err)
		return err;
	err = store_remove(store, t, dir, "hotplug-error");
	if (err && err != -ENOENT)
		return err;
	return store_write(store, t, dir, "hotplug-status", "connected");
}

static int write_in_one(struct store *store, store_fn fn, const struct hotplug_request *req,
			const struct hotplug_result *result, struct hotplug_failure *failure)
{
	struct connected_write w = { .req = req, .result = result };
	int err = store_transact(store, req->path, fn, &w);

	if (err == -ENOENT)
		return hotplug_fail(
			failure, err,
			"the device was removed or closed while its script ran; attach it "
			"again if it is still wanted");
	if (err)
		return hotplug_fail(failure, err, "%s cannot be written to xenstore: %s", req->path,
				    strerror(-err));
	return 0;
}

int hotplug_backend_connected(struct store *store, const struct hotplug_request *req,
			      const struct hotplug_result *result, struct hotplug_failure *failure)
{
	return write_in_one(store, write_connected, req, result, failure);
}

int hotplug_backend_claim(struct store *store, const struct hotplug_request *req,
			  const char *storage, struct hotplug_failure *failure)
{
	const struct hotplug_result result = { .storage = storage };

	return write_in_one(store, write_claim, req, &result, failure);
}

void hotplug_backend_disclaim(struct store *store, const struct hotplug_request *req)
{
	store_remove(store, XBT_NULL, req->path, HOTPLUG_STORAGE_KEY);
}

struct failed_write {
	const struct hotplug_request *req;
	const struct hotplug_failure *failure;
	bool with_status;
};

static int write_failed(struct store *store, xs_transaction_t t, void *user)
{
	const struct failed_write *w = user;
	int err = store_write(store, t, w->req->path, "hotplug-error", w->failure->text);

	if (!err && w->with_status)
		err = store_write(store, t, w->req->path, "hotplug-status",
				  w->failure->busy ? "busy" : "error");
	return err;
}

void hotplug_backend_failed(struct store *store, const struct hotplug_request *req,
			    const struct hotplug_failure *failure, bool with_status)
{
	struct failed_write w = { .req = req, .failure = failure, .with_status = with_status };

	store_transact(store, req->path, write_failed, &w);
}
