/* SPDX-License-Identifier: MIT */
/* Who else uses a disk; see claims.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "hotplug/backend.h"
#include "hotplug/claims.h"
#include "hotplug/medium.h"

#define VM_MAX 128 /* of "/vm/UUID" */

/* The VMs that a domain belongs to: its own and, for a device model's stub domain, that of its guest. */
struct vms {
	char own[VM_MAX]; /* "" if unknown */
	char target[VM_MAX];
};

struct walk {
	struct store *store;
	const struct hotplug_request *req;
	const struct hotplug_target *target;
	enum hotplug_mode mode;
	struct hotplug_failure *failure;
	struct hotplug_book *book;
	int err;          /* -EINPROGRESS: go on, to note all that has to be asked */
	const char *kind; /* which part of the backend directory is being walked */
	struct vms own_vms;
};

static void read_vm(struct store *store, uint32_t domid, char vm[VM_MAX])
{
	char dir[STORE_PATH_MAX];

	snprintf(dir, sizeof(dir), "/local/domain/%u", domid);
	if (store_read(store, XBT_NULL, dir, "vm", vm, VM_MAX) < 0)
		vm[0] = '\0';
}

static void vms_read(struct store *store, uint32_t domid, struct vms *ret)
{
	char dir[STORE_PATH_MAX];
	uint32_t target;

	snprintf(dir, sizeof(dir), "/local/domain/%u", domid);
	read_vm(store, domid, ret->own);
	ret->target[0] = '\0';
	if (store_read_u32(store, XBT_NULL, dir, "target", 0, UINT32_MAX, &target) == 0)
		read_vm(store, target, ret->target);
}

static bool vm_equal(const char *a, const char *b)
{
	return a[0] && strcmp(a, b) == 0;
}

static bool vms_overlap(const struct vms *a, const struct vms *b)
{
	return vm_equal(a->own, b->own) || vm_equal(a->own, b->target) ||
	       vm_equal(a->target, b->own) || vm_equal(a->target, b->target);
}

/* Skip what is before the path. The format that it names concerns only that disk. */
static const char *path_in_params(const char *params)
{
	const char *slash = strchr(params, '/');

	return slash ? slash : params;
}

static bool is_on_target(struct walk *walk, const struct hotplug_identity *identity)
{
	struct hotplug_medium medium;

	if (hotplug_medium_find("", walk->book, identity, &medium)) {
		walk->err = -EINPROGRESS;
		return false;
	}
	return hotplug_media_collide(&medium, &walk->target->medium);
}

/* Storage that does not answer cannot be the target, which has just answered. */
static bool path_is_on_target(struct walk *walk, const char *path)
{
	struct hotplug_identity identity;
	int err;

	if (path[0] != '/')
		return false;
	err = hotplug_book_look(walk->book, path, false, &identity);
	if (err == -EINPROGRESS)
		walk->err = err;
	return !err && is_on_target(walk, &identity);
}

static bool read_key(struct walk *walk, const char *dir, const char *key, char *buf, size_t size)
{
	return store_read(walk->store, XBT_NULL, dir, key, buf, size) == 0;
}

/*
 * Whether its script has claimed it. Two guests that start together must not stop each other only because of their
 * configurations.
 */
static bool is_claimed(struct walk *walk, const char *dir)
{
	static const char *const keys[] = { HOTPLUG_STORAGE_KEY, "physical-device",
					    "physical-device-path", NULL };
	char status[16];

	for (const char *const *key = keys; *key; key++)
		if (store_exists(walk->store, XBT_NULL, dir, *key))
			return true;
	return read_key(walk, dir, "hotplug-status", status, sizeof(status)) &&
	       strcmp(status, "connected") == 0;
}

/*
 * An entry without our key may name its disk by number (the stock script), by the path that a script found, or only by
 * what the admin wrote.
 */
static bool names_target(struct walk *walk, const char *dir)
{
	struct hotplug_identity identity = { .is_block = true };
	char value[PATH_MAX];
	unsigned int maj, min;

	if (read_key(walk, dir, "physical-device", value, sizeof(value)) &&
	    sscanf(value, "%x:%x", &maj, &min) == 2) {
		identity.dev = makedev(maj, min);
		if (is_on_target(walk, &identity))
			return true;
	}
	if (read_key(walk, dir, "physical-device-path", value, sizeof(value)) &&
	    path_is_on_target(walk, value))
		return true;
	return read_key(walk, dir, "params", value, sizeof(value)) &&
	       path_is_on_target(walk, path_in_params(value));
}

static bool collides(struct walk *walk, const char *dir)
{
	char text[HOTPLUG_MEDIUM_TEXT];
	struct hotplug_medium medium;

	if (read_key(walk, dir, HOTPLUG_STORAGE_KEY, text, sizeof(text)) &&
	    hotplug_medium_parse(text, &medium) == 0)
		return hotplug_media_collide(&medium, &walk->target->medium);
	return names_target(walk, dir);
}

/*
 * Whether the guest exists. A driver domain may not look into other domains: a guest that it cannot see counts as
 * existing.
 */
static bool domain_exists(struct store *store, uint32_t domid)
{
	static const char *const keys[] = { "vm", "domid", NULL };
	char dir[STORE_PATH_MAX];
	char value[VM_MAX];

	snprintf(dir, sizeof(dir), "/local/domain/%u", domid);
	for (const char *const *key = keys; *key; key++)
		if (store_read(store, XBT_NULL, dir, *key, value, sizeof(value)) != -ENOENT)
			return true;
	return false;
}

static void claim_read(struct walk *walk, const char *dir, uint32_t domid,
		       struct hotplug_claim *claim)
{
	char value[STORE_VALUE_MAX];
	struct vms vms;

	/* A key that cannot be read counts as a use: better refuse a disk than destroy it. */
	if (store_read_u32(walk->store, XBT_NULL, dir, "state", 0, 8, &claim->state) < 0)
		claim->state = store_exists(walk->store, XBT_NULL, dir, "state") ? 4 : 0;
	if (store_read_flag(walk->store, XBT_NULL, dir, "online", false, &claim->online) < 0)
		claim->online = true;
	if (store_read(walk->store, XBT_NULL, dir, "mode", value, sizeof(value)) < 0 ||
	    hotplug_mode_parse(value, &claim->mode) < 0)
		claim->mode = HOTPLUG_MODE_WRITE;

	claim->domain_exists = domain_exists(walk->store, domid);
	vms_read(walk->store, domid, &vms);
	claim->same_vm = domid == walk->req->domid || vms_overlap(&vms, &walk->own_vms);
}

static int fail_in_use(struct walk *walk, const char *dir, uint32_t domid,
		       const struct hotplug_claim *claim)
{
	char domain[STORE_PATH_MAX];
	char name[64];

	snprintf(domain, sizeof(domain), "/local/domain/%u", domid);
	if (store_read(walk->store, XBT_NULL, domain, "name", name, sizeof(name)) < 0)
		snprintf(name, sizeof(name), "(no name)");
	return hotplug_fail_busy(
		walk->failure,
		"%s is in use %s by guest %s (domain %u, %s); detach it there, or use "
		"another image",
		walk->target->path, claim->mode == HOTPLUG_MODE_READ ? "read-only" : "read-write",
		name, domid, dir);
}

static int check_entry(struct walk *walk, uint32_t domid, uint32_t devid)
{
	struct hotplug_claim claim = { 0 };
	char dir[STORE_PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/%s/%u/%u", walk->req->base, walk->kind, domid, devid);
	if (strcmp(dir, walk->req->path) == 0 || !is_claimed(walk, dir))
		return 0;
	claim_read(walk, dir, domid, &claim);
	if (!hotplug_claim_forbids(&claim, walk->mode) || !collides(walk, dir))
		return 0;
	return fail_in_use(walk, dir, domid, &claim);
}

/* The children of `dir`. NULL with *ret_nr 0 and *ret_err 0 if it does not exist. */
static char **list(struct walk *walk, const char *dir, unsigned int *ret_nr, int *ret_err)
{
	char **names = NULL;
	int err = store_list(walk->store, XBT_NULL, dir, &names, ret_nr);

	*ret_err = err == -ENOENT ? 0 : err;
	if (err)
		*ret_nr = 0;
	return names;
}

static int check_domain(struct walk *walk, uint32_t domid)
{
	char dir[STORE_PATH_MAX];
	unsigned int nr;
	char **names;
	int err;

	snprintf(dir, sizeof(dir), "%s/%s/%u", walk->req->base, walk->kind, domid);
	names = list(walk, dir, &nr, &err);
	for (unsigned int i = 0; !err && i < nr; i++)
		err = check_entry(walk, domid, (uint32_t)strtoul(names[i], NULL, 10));
	free(names);
	return err;
}

static int check_kind(struct walk *walk)
{
	char dir[STORE_PATH_MAX];
	unsigned int nr;
	char **names;
	int err;

	snprintf(dir, sizeof(dir), "%s/%s", walk->req->base, walk->kind);
	names = list(walk, dir, &nr, &err);
	for (unsigned int i = 0; !err && i < nr; i++)
		err = check_domain(walk, (uint32_t)strtoul(names[i], NULL, 10));
	free(names);
	return err;
}

int hotplug_claims_check(struct store *store, const struct hotplug_request *req,
			 const struct hotplug_target *target, enum hotplug_mode mode,
			 struct hotplug_book *book, struct hotplug_failure *failure)
{
	static const char *const kinds[] = { "vbd", "vbd3", "qdisk", NULL };
	struct walk walk = {
		.store = store,
		.req = req,
		.target = target,
		.mode = mode,
		.book = book,
		.failure = failure,
	};

	if (mode == HOTPLUG_MODE_UNCHECKED)
		return 0;
	failure->text[0] = '\0';
	vms_read(store, req->domid, &walk.own_vms);
	for (const char *const *kind = kinds; *kind; kind++) {
		int err;

		walk.kind = *kind;
		err = check_kind(&walk);
		if (err && !failure->text[0])
			hotplug_fail(failure, err, "%s/%s cannot be read from xenstore: %s",
				     req->base, *kind, strerror(-err));
		if (err)
			return err;
	}
	return walk.err;
}
