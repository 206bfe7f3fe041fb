/* SPDX-License-Identifier: MIT */
/*
 * block-pvbackd: check a disk and hand it to the daemon.
 *
 * The stock script makes a loop device for a file, because xen-blkback can serve only block devices. The daemon opens
 * files itself, so a raw image needs nothing. For another format, a qemu-nbd runs as long as the disk is attached.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hotplug/aside.h"
#include "hotplug/backend.h"
#include "hotplug/claims.h"
#include "hotplug/host.h"
#include "hotplug/medium.h"
#include "hotplug/scripts.h"
#include "hotplug/server.h"
#include "hotplug/target.h"
#include "core/nbd_name.h"

struct disk {
	struct hotplug_image image;
	enum hotplug_mode mode;
};

static int read_disk(struct store *store, const struct hotplug_request *req, struct disk *ret,
		     struct hotplug_failure *failure)
{
	char params[STORE_VALUE_MAX];
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
	return hotplug_target_parse(type, params, &ret->image, failure);
}

static int publish(struct store *store, const struct hotplug_request *req,
		   const struct hotplug_target *target, const char *storage,
		   struct hotplug_failure *failure)
{
	char number[32], id[MEDIUM_ID_TEXT_MAX];
	struct hotplug_result result = { .physical_device_path = target->path,
					 .storage = storage,
					 .medium_id = id };

	if (target->identity.is_block) {
		snprintf(number, sizeof(number), "%x:%x", major(target->identity.dev),
			 minor(target->identity.dev));
		result.physical_device = number;
	}
	medium_id_format(&target->medium_id, id, sizeof(id));
	return hotplug_backend_connected(store, req, &result, failure);
}

/* Start a server for the image, and give its name to the daemon. */
static int publish_served(struct store *store, const struct hotplug_request *req,
			  const struct hotplug_target *target, const struct disk *disk,
			  struct hotplug_failure *failure)
{
	char name[PATH_MAX + 16];
	struct hotplug_result result = { .physical_device_path = name };
	struct hotplug_failure ignored;
	int err = hotplug_server_start(req, disk->image.driver, target->path,
				       disk->mode == HOTPLUG_MODE_READ, failure);

	if (!err) {
		hotplug_server_name(req, name, sizeof(name));
		err = hotplug_backend_connected(store, req, &result, failure);
		if (err)
			hotplug_server_stop(req, &ignored);
	}
	if (err)
		hotplug_backend_disclaim(store, req);
	return err;
}

/* Check how this domain itself uses the disk. Storage is asked until all that this takes is known. */
static int check_host(struct hotplug_target *target, const struct disk *disk,
		      struct hotplug_book *book, struct hotplug_failure *failure)
{
	int err;

	do {
		hotplug_book_ask(book);
		err = hotplug_medium_find("", book, &target->identity, &target->medium);
		if (!err)
			err = hotplug_host_check_uses("", book, target->path, &target->medium,
						      disk->mode, failure);
	} while (err == -EINPROGRESS);
	if (!err && target->is_held)
		err = hotplug_fail_busy(
			failure,
			"%s is in use in this domain: a program or the kernel has it "
			"to itself (see lsblk and fuser -v); end that, or use "
			"another disk",
			target->path);
	return err;
}

/*
 * Check that the image is free, and claim it. The lock keeps other scripts out in between. No call here waits for
 * storage.
 */
static int claim_locked(struct store *store, const struct hotplug_request *req,
			const struct hotplug_target *target, const struct disk *disk,
			struct hotplug_book *book, struct hotplug_failure *failure)
{
	int lock = hotplug_host_lock(req->runtime_dir, failure);
	char storage[HOTPLUG_MEDIUM_TEXT];
	int err;

	if (lock < 0)
		return lock;
	hotplug_medium_format(&target->medium, storage);
	err = hotplug_claims_check(store, req, target, disk->mode, book, failure);
	if (!err)
		err = disk->image.driver ? hotplug_backend_claim(store, req, storage, failure)
					 : publish(store, req, target, storage, failure);
	close(lock);
	return err;
}

static int claim(struct store *store, const struct hotplug_request *req,
		 struct hotplug_target *target, const struct disk *disk,
		 struct hotplug_failure *failure)
{
	struct hotplug_book book = { 0 };
	int err = check_host(target, disk, &book, failure);

	if (!err) {
		do {
			hotplug_book_ask(&book);
			err = claim_locked(store, req, target, disk, &book, failure);
		} while (err == -EINPROGRESS);
	}
	hotplug_book_free(&book);
	if (!err && disk->image.driver)
		err = publish_served(store, req, target, disk, failure);
	return err;
}

/* The daemon does not wait for name servers. A script may. */
static int resolve(struct nbd_name *name, struct hotplug_failure *failure)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found;
	int err = getaddrinfo(name->where, NULL, &hints, &found);

	if (err)
		return hotplug_fail(failure, -EHOSTUNREACH, "NBD server %s cannot be found: %s",
				    name->where, gai_strerror(err));
	err = getnameinfo(found->ai_addr, found->ai_addrlen, name->where, sizeof(name->where), NULL,
			  0, NI_NUMERICHOST);
	freeaddrinfo(found);
	return err ? hotplug_fail(failure, -EHOSTUNREACH, "NBD server: %s", gai_strerror(err)) : 0;
}

/* Somebody else runs this server, so we cannot know who else uses its export. */
static int add_nbd(struct store *store, const struct hotplug_request *req, const char *text,
		   struct hotplug_failure *failure)
{
	char address[STORE_VALUE_MAX];
	struct hotplug_result result = { .physical_device_path = address };
	struct nbd_name name;
	const char *why = "";
	int err = nbd_name_parse(text, &name, &why);

	if (err)
		return hotplug_fail(failure, err, "%s cannot be used: %s", text, why);
	if (!name.is_unix) {
		err = resolve(&name, failure);
		if (err)
			return err;
	}
	if (nbd_name_format(&name, address, sizeof(address)) < 0)
		return hotplug_fail(failure, -ENAMETOOLONG, "%s is too long", text);
	return hotplug_backend_connected(store, req, &result, failure);
}

static int add(struct store *store, const struct hotplug_request *req,
	       struct hotplug_failure *failure)
{
	const struct hotplug_result no_medium = { 0 };
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

	if (!disk.image.path[0])
		return hotplug_backend_connected(store, req, &no_medium, failure);
	if (disk.image.is_nbd)
		return add_nbd(store, req, disk.image.path, failure);
	err = hotplug_target_inspect_in_time(disk.image.path, disk.mode, &target, failure);
	return err ? err : claim(store, req, &target, &disk, failure);
}

int block_script_run(struct store *store, const struct hotplug_request *req,
		     struct hotplug_failure *failure)
{
	switch (req->command) {
	case HOTPLUG_COMMAND_ADD:
		return add(store, req, failure);
	case HOTPLUG_COMMAND_REMOVE:
		return hotplug_server_stop(req, failure);
	case HOTPLUG_COMMAND_ONLINE:
	case HOTPLUG_COMMAND_OFFLINE:
		break; /* of a vif; hotplug_request_parse() lets none through */
	}
	return hotplug_fail(failure, -EINVAL, "a disk has no such command");
}
