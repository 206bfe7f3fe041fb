/* SPDX-License-Identifier: MIT */
/*
 * block-pvbackd: check a disk and hand it to the daemon.
 *
 * The stock script makes a loop device of a file, because xen-blkback can serve only block devices;
 * the daemon opens files itself, so there is nothing to make here and nothing to take down.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hotplug/backend.h"
#include "hotplug/claims.h"
#include "hotplug/host.h"
#include "hotplug/scripts.h"
#include "hotplug/target.h"

struct disk {
	char path[PATH_MAX]; /* as configured; "" for an empty CD-ROM drive */
	enum hotplug_mode mode;
};

static int read_disk(struct store *store, const struct hotplug_request *req, struct disk *ret,
		     struct hotplug_failure *failure)
{
	char params[PATH_MAX];
	char mode[16];
	char type[32];
	int err;

	err = hotplug_backend_read(store, req, "type", "phy", type, sizeof(type), failure);
	if (!err)
		err = hotplug_backend_read(store, req, "params", "", params, sizeof(params),
					   failure);
	if (!err)
		err = hotplug_backend_read(store, req, "mode", NULL, mode, sizeof(mode), failure);
	if (err)
		return err;
	if (hotplug_mode_parse(mode, &ret->mode) < 0)
		return hotplug_fail(failure, -EINVAL,
				    "access mode '%s' is not known; use r or w in the disk line",
				    mode);
	return hotplug_target_path(type, params, ret->path, sizeof(ret->path), failure);
}

static int publish(struct store *store, const struct hotplug_request *req,
		   const struct hotplug_target *target, struct hotplug_failure *failure)
{
	struct hotplug_result result = { .physical_device_path = target->path };
	char number[32];

	if (target->identity.is_block) {
		snprintf(number, sizeof(number), "%x:%x", major(target->identity.dev),
			 minor(target->identity.dev));
		result.physical_device = number;
	}
	return hotplug_backend_connected(store, req, &result, failure);
}

/* Find the image free and claim it, with no other script between the two. */
static int claim(struct store *store, const struct hotplug_request *req,
		 const struct hotplug_target *target, enum hotplug_mode mode,
		 struct hotplug_failure *failure)
{
	int lock = hotplug_host_lock(req->runtime_dir, failure);
	int err;

	if (lock < 0)
		return lock;
	err = hotplug_host_check_mounts("/sys", target->path, &target->identity, mode, failure);
	if (!err)
		err = hotplug_claims_check(store, req, target, mode, failure);
	if (!err)
		err = publish(store, req, target, failure);
	close(lock);
	return err;
}

static int add(struct store *store, const struct hotplug_request *req,
	       struct hotplug_failure *failure)
{
	struct hotplug_target target;
	struct disk disk;
	int err;

	err = hotplug_host_check_driver("/sys", req, failure);
	if (!err)
		err = hotplug_host_check_daemon(req->runtime_dir, failure);
	if (!err)
		err = read_disk(store, req, &disk, failure);
	if (err)
		return err;

	if (!disk.path[0]) {
		const struct hotplug_result no_medium = { 0 };

		return hotplug_backend_connected(store, req, &no_medium, failure);
	}
	err = hotplug_target_inspect(disk.path, disk.mode, &target, failure);
	if (err)
		return err;
	return claim(store, req, &target, disk.mode, failure);
}

int block_script_run(struct store *store, const struct hotplug_request *req,
		     struct hotplug_failure *failure)
{
	switch (req->command) {
	case HOTPLUG_COMMAND_ADD:
		return add(store, req, failure);
	case HOTPLUG_COMMAND_REMOVE:
		return 0;
	case HOTPLUG_COMMAND_ONLINE:
	case HOTPLUG_COMMAND_OFFLINE:
		break; /* a vif's; hotplug_request_parse() lets none through */
	}
	return hotplug_fail(failure, -EINVAL, "a disk has no such command");
}
