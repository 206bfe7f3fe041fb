/* SPDX-License-Identifier: MIT */
/* What an admin says about one disk in its backend directory, and what the disk says back there. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "blkback/vbd.h"

/* --- options --- */

static void set_rate(struct rate *rate, uint64_t per_second, uint64_t burst)
{
	uint32_t amount, usecs;

	disk_rate(per_second, burst, &amount, &usecs);
	rate_set(rate, amount, usecs);
}

/* What kind of disk the toolstack made of it. */
static void read_kind(struct vbd *vbd)
{
	char text[32];

	vbd->cdrom =
		!vbd_read_own(vbd, "device-type", text, sizeof(text)) && !strcmp(text, "cdrom");
	vbd->discard = vbd_read_own(vbd, "discard-enable", text, sizeof(text)) || strcmp(text, "0");
	vbd->removable = !vbd_read_own(vbd, "removable", text, sizeof(text)) && !strcmp(text, "1");
}

/* A value that is wrong is said, with what is allowed, and leaves in force what was. */
static void read_option(struct vbd *vbd, const struct key *key,
			const struct disk_options *otherwise)
{
	char value[64] = "too long", allowed[200];
	int err = store_read(vbd->dev.env->store, XBT_NULL, vbd->dev.be_path, key->name, value,
			     sizeof(value));

	if (err == -ENOENT)
		key_copy(key, otherwise, &vbd->options);
	else if (!err)
		err = keys_set(disk_keys, &vbd->options, key->name, value);
	if (!err || err == -ENOENT)
		return;
	key_allowed(key, allowed, sizeof(allowed));
	device_log(&vbd->dev, LOG_LEVEL_WARNING,
		   "its key `%s` cannot be `%s`, and what was in force stays: it takes %s",
		   key->name, value, allowed);
}

void vbd_read_options(struct vbd *vbd)
{
	struct store *store = vbd->dev.env->store;
	struct disk_options otherwise = *vbd->dev.env->disk;
	bool online = true;

	device_settings(&vbd->dev, disk_keys, &otherwise);
	store_hold_names(store, vbd->dev.be_path);
	read_kind(vbd);
	for (const struct key *key = disk_keys; key->name; key++)
		read_option(vbd, key, &otherwise);
	store_read_flag(store, XBT_NULL, vbd->dev.be_path, "online", true, &online);
	vbd->leaving = !online;
	device_say_slips(&vbd->dev, disk_keys);
	store_drop_names(store);
	set_rate(&vbd->rates.packets, vbd->options.iops, vbd->options.iops_burst);
	set_rate(&vbd->rates.bytes, vbd->options.bps, vbd->options.bps_burst);
}

struct vbd_tuning vbd_tuning(const struct vbd *vbd)
{
	return (struct vbd_tuning){ .stall = vbd->options.errors == DISK_ERRORS_STALL,
				    .leaving = vbd->leaving,
				    .poll_ns = vbd->options.poll_us * 1000ull };
}

static void tune(struct vbd *vbd, bool retry)
{
	struct vbd_tuning tuning = vbd_tuning(vbd);

	if (!tuning.stall)
		vbd_unstall(vbd);
	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		vbd_queue_tune(&vbd->queues[i], &tuning, retry || !tuning.stall);
}

/* --- stalled --- */

static int write_stalled(struct store *store, xs_transaction_t t, void *user)
{
	struct vbd *vbd = user;

	if (!store_exists(store, t, vbd->dev.be_path, "state"))
		return -ENOENT;
	return store_write(store, t, vbd->dev.be_path, "stalled", strerror(vbd->stall_err));
}

void vbd_queue_stalled(struct vbd_queue *q, int err)
{
	struct vbd *vbd = q->owner;

	if (vbd->dev.activity == DEVICE_DETACHING)
		return;
	vbd->stall_err = -err;
	device_log(&vbd->dev, LOG_LEVEL_WARNING,
		   "the image says: %s; requests are held. When that is mended: xenstore-write "
		   "/local/domain/%u/%s/retry 1",
		   strerror(-err), vbd->dev.env->store->domid, vbd->dev.be_path);
	store_transact(vbd->dev.env->store, vbd->dev.be_path, write_stalled, vbd);
}

void vbd_unstall(struct vbd *vbd)
{
	struct store *store = vbd->dev.env->store;

	if (store_exists(store, XBT_NULL, vbd->dev.be_path, "stalled"))
		store_remove(store, XBT_NULL, vbd->dev.be_path, "stalled");
}

/* --- a failed flush --- */

#define FLUSH_KEY "flush-failed"

struct flush_note {
	struct vbd *vbd;
	int err;
};

static int write_flush_failed(struct store *store, xs_transaction_t t, void *user)
{
	const struct flush_note *note = user;

	return store_write(store, t, note->vbd->dev.be_path, FLUSH_KEY, strerror(-note->err));
}

static void note_flush_failed(struct vbd *vbd, int err)
{
	struct flush_note note = { .vbd = vbd, .err = err };

	device_log(&vbd->dev, LOG_LEVEL_ERROR,
		   "a flush failed: %s. What the guest had written may be lost: all but reads "
		   "fails until the "
		   "disk is attached again, or an admin says go: xenstore-write "
		   "/local/domain/%u/%s/retry 1",
		   strerror(-err), vbd->dev.env->store->domid, vbd->dev.be_path);
	store_transact(vbd->dev.env->store, vbd->dev.be_path, write_flush_failed, &note);
}

void vbd_queue_flush_failed(struct vbd_queue *q, int err)
{
	const struct vbd *vbd = q->owner;

	if (!device_is_gone(&vbd->dev)) /* else there may be another disk in its place */
		note_flush_failed(q->owner, err);
}

void vbd_find_flush_failed(struct vbd *vbd)
{
	struct store *store = vbd->dev.env->store;
	const struct vbd_id id = vbd_id_of(vbd);

	if (store_exists(store, XBT_NULL, vbd->dev.be_path, FLUSH_KEY))
		vbd->flush_failed = true;
	else if (vbd->resume && vbd_file_flush_failed(&id) &&
		 !atomic_exchange(&vbd->flush_failed, true))
		note_flush_failed(vbd, -EIO);
}

static void forgive_flush(struct vbd *vbd)
{
	struct store *store = vbd->dev.env->store;

	if (store_exists(store, XBT_NULL, vbd->dev.be_path, FLUSH_KEY))
		store_remove(store, XBT_NULL, vbd->dev.be_path, FLUSH_KEY);
	vbd->flush_failed = false;
}

/* --- the admin says go --- */

static void retry(struct vbd *vbd)
{
	struct store *store = vbd->dev.env->store;

	if (!store_exists(store, XBT_NULL, vbd->dev.be_path, "retry"))
		return; /* the echo of what follows */
	store_remove(store, XBT_NULL, vbd->dev.be_path, "retry");
	vbd_unstall(vbd);
	forgive_flush(vbd);
	device_log(&vbd->dev, LOG_LEVEL_INFO, "what was held is tried again");
	tune(vbd, true);
	if (vbd->awaited)
		vbd->dev.env->ready(&vbd->dev);
}

/* --- the watch --- */

/* What changes while the rings are on their way to the workers is looked at when they are there. */
void vbd_changed(struct device *dev, const char *key)
{
	struct vbd *vbd = vbd_of(dev);

	vbd->changed_late |= dev->activity == DEVICE_ATTACHING;
	if (dev->activity == DEVICE_IDLE && key && !strcmp(key, "retry"))
		retry(vbd);
	if (dev->activity != DEVICE_ATTACHED)
		return;
	if (!key || !strcmp(key, "online") || keys_find(disk_keys, key)) {
		vbd_read_options(vbd);
		tune(vbd, false);
	} else if (!strcmp(key, "retry")) {
		retry(vbd);
	} else {
		device_say_slip(dev, disk_keys, key);
	}
}
