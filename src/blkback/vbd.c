/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/vbd.h"
#include "blkback/xentop.h"
#include "control/guests.h"
#include "control/json.h"
#include "core/statefile.h"

enum { INFO_CDROM = 1, INFO_REMOVABLE = 2, INFO_READ_ONLY = 4 }; /* blkif.h, VDISK_* */

struct vbd *vbd_of(struct device *dev)
{
	return (struct vbd *)(void *)dev;
}

/* --- identity, from the backend directory only --- */

int vbd_read_own(const struct vbd *vbd, const char *key, char *buf, size_t size)
{
	return store_read(vbd->dev.env->store, XBT_NULL, vbd->dev.be_path, key, buf, size);
}

static int vbd_probe(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);

	vbd->image_fd = vbd->lock_fd = -1;
	vbd->max_queues = device_offer_queues(dev, VBD_MAX_QUEUES);
	vbd->options = *dev->env->disk;
	device_settings(dev, disk_keys, &vbd->options);
	vbd_read_options(vbd);
	return 0;
}

static int write_features(struct vbd *vbd, xs_transaction_t t, const char *const *keys)
{
	int err = 0;

	for (; *keys && !err; keys++)
		err = store_write(vbd->dev.env->store, t, vbd->dev.be_path, *keys, "1");
	return err;
}

static bool is_vbd3(const struct vbd *vbd)
{
	return vbd->dev.ops == &vbd3_device_ops;
}

/* The process that had the disk before is gone, and its counters are useless. */
static int publish_pid(struct vbd *vbd, xs_transaction_t t)
{
	const struct device *dev = &vbd->dev;
	uint32_t pid, before;

	if (!is_vbd3(vbd))
		return 0;
	pid = (uint32_t)getpid();
	if (!store_read_u32(dev->env->store, t, dev->be_path, "kthread-pid", 1, INT32_MAX,
			    &before) &&
	    before != pid)
		xentop_forget(before, dev->domid, dev->devid);
	return store_writef(dev->env->store, t, dev->be_path, "kthread-pid", "%u", pid);
}

/* What may change with each connection. */
static int publish_life(struct vbd *vbd, xs_transaction_t t)
{
	int err = store_writef(vbd->dev.env->store, t, vbd->dev.be_path, "feature-persistent", "%d",
			       disk_offers_persistent(&vbd->options));

	return err ? err : publish_pid(vbd, t);
}

/* Features that do not depend on the image. Some frontends read them in state 2 already. */
static int vbd_advertise(struct device *dev, xs_transaction_t t)
{
	static const char *const features[] = { "feature-flush-cache", "feature-barrier", NULL };
	struct store *store = dev->env->store;
	const char *dir = dev->be_path;
	int err = write_features(vbd_of(dev), t, features);

	if (!err)
		err = store_writef(store, t, dir, "max-ring-page-order", "%u", VBD_MAX_RING_ORDER);
	if (!err) /* for frontends that do not know the order (blkif.h, note 5) */
		err = store_writef(store, t, dir, "max-ring-pages", "%u", 1u << VBD_MAX_RING_ORDER);
	if (!err)
		err = store_writef(store, t, dir, "feature-max-indirect-segments", "%u",
				   BLKIF_INDIRECT_SEGMENTS);
	if (!err)
		err = store_writef(store, t, dir, "multi-queue-max-queues", "%u",
				   vbd_of(dev)->max_queues);
	return err ? err : publish_life(vbd_of(dev), t);
}

static int write_pid(struct store *store, xs_transaction_t t, void *user)
{
	(void)store;
	return publish_pid(user, t);
}

void vbd_count(struct vbd *vbd, int *ret_fd)
{
	const struct device *dev = &vbd->dev;

	*ret_fd = -1;
	if (!is_vbd3(vbd))
		return;
	if (xentop_create(dev->domid, dev->devid, ret_fd)) {
		device_log(&vbd->dev, LOG_LEVEL_WARNING,
			   "no statistics for xentop: /dev/shm cannot be written");
		return;
	}
	vbd->xentop_pid = (uint32_t)getpid();
	if (vbd->resume)
		store_transact(dev->env->store, dev->be_path, write_pid, vbd);
}

void vbd_find_counters(struct vbd *vbd)
{
	const struct device *dev = &vbd->dev;

	if (is_vbd3(vbd))
		store_read_u32(dev->env->store, XBT_NULL, dev->be_path, "kthread-pid", 1, INT32_MAX,
			       &vbd->xentop_pid);
}

static int publish_discard(struct vbd *vbd, xs_transaction_t t)
{
	static const char *const features[] = { "feature-discard", NULL };
	struct store *store = vbd->dev.env->store;
	const char *dir = vbd->dev.be_path;
	int err;

	if (!vbd->discard || !vbd->image.discard)
		return 0;
	err = write_features(vbd, t, features);
	if (!err)
		err = store_writef(store, t, dir, "discard-granularity", "%u",
				   vbd->image.discard_granularity);
	if (!err)
		err = store_write(store, t, dir, "discard-alignment", "0");
	if (!err)
		err = store_writef(store, t, dir, "discard-secure", "%d",
				   vbd->image.secure_discard);
	return err;
}

/* The hotplug script has finished when it wrote either key. */
static bool vbd_plugged(struct device *dev)
{
	char status[32];

	if (!vbd_read_own(vbd_of(dev), "hotplug-status", status, sizeof(status)))
		return !strcmp(status, "connected");
	return store_exists(dev->env->store, XBT_NULL, dev->be_path, "physical-device");
}

static int vbd_publish(struct device *dev, xs_transaction_t t)
{
	struct vbd *vbd = vbd_of(dev);
	struct store *store = dev->env->store;
	const char *dir = dev->be_path;
	unsigned int info = (vbd->cdrom ? INFO_CDROM : 0u) |
			    (vbd->removable ? INFO_REMOVABLE : 0u) |
			    (vbd->image.read_only ? INFO_READ_ONLY : 0u);
	int err = publish_life(vbd, t);

	if (!err)
		err = publish_discard(vbd, t);
	vbd->told = vbd->image.bytes / BLKIF_SECTOR_SIZE;
	if (!err)
		err = store_writef(store, t, dir, "sectors", "%llu", (unsigned long long)vbd->told);
	if (!err)
		err = store_writef(store, t, dir, "info", "%u", info);
	if (!err)
		err = store_writef(store, t, dir, "sector-size", "%u", BLKIF_SECTOR_SIZE);
	if (!err)
		err = store_writef(store, t, dir, "physical-sector-size", "%u",
				   vbd->image.physical_block);
	return err;
}

struct vbd_id vbd_id_of(const struct vbd *vbd)
{
	return (struct vbd_id){ .dir = vbd->dev.env->runtime_dir,
				.domid = vbd->dev.domid,
				.devid = vbd->dev.devid };
}

static bool vbd_known(struct device *dev)
{
	const struct vbd_id id = vbd_id_of(vbd_of(dev));

	return vbd_file_has_journal(&id);
}

static bool vbd_left(struct device *dev)
{
	return guests_left(dev) || vbd_known(dev);
}

static void vbd_done(struct device *dev, bool removed)
{
	struct vbd *vbd = vbd_of(dev);
	const struct vbd_id id = vbd_id_of(vbd);

	loop_timer_cancel(&vbd->patience);
	if (vbd->max_queues) { /* else it was never probed, and lock_fd 0 is not ours */
		if (removed)
			vbd_lock_leave(vbd);
		statefile_close(&vbd->lock_fd);
	}
	if (vbd->xentop_pid && (removed || !dev->served_by))
		xentop_forget(vbd->xentop_pid, dev->domid, dev->devid);
	if (removed)
		vbd_file_forget(&id);
}

static const struct notice_rule notices[] = {
	{ .name = "medium-silent",
	  .figure = "oldest_submitted",
	  .kind = STAT_SINCE,
	  .seconds = 10,
	  .text = "its medium has not answered a request for 10 s: look at the storage (dmesg, "
		  "multipath, the NFS or "
		  "NBD server)",
	  .over = "its medium answers again" },
	{ .name = "limit-reached",
	  .figure = "throttled",
	  .kind = STAT_COUNTER,
	  .seconds = 60,
	  .text = "it has been at its limit (iops, bps) for a minute, and its guest waits: raise "
		  "the limit if that is not "
		  "wanted",
	  .over = "it is no longer at its limit" },
	{ 0 }
};

/* --- what an admin sees of it --- */

static void vbd_in_force(const struct device *dev, void *ret)
{
	*(struct disk_options *)ret = ((const struct vbd *)(const void *)dev)->options;
}

static bool vbd_holds(const struct device *dev)
{
	const struct vbd *vbd = (const struct vbd *)(const void *)dev;

	return vbd->stalled || vbd->flush_failed || vbd->awaited;
}

/* While it is not attached, xenstore says what it will open. */
static void add_target(const struct vbd *vbd, struct json_object *ret)
{
	char params[MESSAGE_NAME_MAX];
	bool waits =
		vbd->dev.activity != DEVICE_ATTACHED && !vbd_params(vbd, params, sizeof(params));

	json_add_text(ret, "target", waits ? params : vbd->image_name);
}

static void vbd_describe(const struct device *dev, struct json_object *ret,
			 struct json_object *detail)
{
	const struct vbd *vbd = (const struct vbd *)(const void *)dev;

	add_target(vbd, ret);
	json_add_flag(ret, "stalled", vbd->stalled);
	json_add_flag(ret, "late", vbd->waits);
	if (!detail)
		return;
	json_add_u64(detail, "bytes", vbd->image.bytes);
	json_add_u64(detail, "block", vbd->image.block);
	json_add_flag(detail, "read_only", vbd->image.read_only);
	json_add_flag(detail, "direct", vbd->image.direct);
	json_add_flag(detail, "nbd", vbd->nbd);
	json_add_flag(detail, "flush_failed", vbd->flush_failed);
}

#define VBD_OPS(kind_)                                                                             \
	{                                                                                          \
		.kind = kind_, .kernel_module = "xen-blkback", .size = sizeof(struct vbd),         \
		.name_key = "dev", .notices = notices, .section = "disk", .holds = vbd_holds,      \
		.keys = disk_keys, .own_keys = disk_keys, .defaults = &disk_options_default,       \
		.options_size = sizeof(struct disk_options), .in_force = vbd_in_force,             \
		.describe = vbd_describe, .probe = vbd_probe, .advertise = vbd_advertise,          \
		.plugged = vbd_plugged, .attach = vbd_attach, .publish = vbd_publish,              \
		.detach = vbd_detach, .abandon = vbd_detach, .halt = vbd_halt,                     \
		.ask_flow = vbd_ask_flow, .changed = vbd_changed, .known = vbd_known,              \
		.left = vbd_left, .give_up = vbd_give_up, .answer = vbd_answer, .lost = vbd_lost,  \
		.done = vbd_done                                                                   \
	}

const struct device_ops vbd_device_ops = VBD_OPS("vbd");
const struct device_ops vbd3_device_ops = VBD_OPS("vbd3");
