/* SPDX-License-Identifier: MIT */
/* What an admin writes about one disk in its backend directory, and what control writes back there. */
#include <errno.h>
#include <string.h>

#include "blkback/vbd.h"
#include "control/guests.h"

/* --- options --- */

/* What kind of disk the toolstack set up. */
static void read_kind(struct vbd *vbd)
{
	char text[32];

	vbd->cdrom =
		!vbd_read_own(vbd, "device-type", text, sizeof(text)) && !strcmp(text, "cdrom");
	vbd->discard = vbd_read_own(vbd, "discard-enable", text, sizeof(text)) || strcmp(text, "0");
	vbd->removable = !vbd_read_own(vbd, "removable", text, sizeof(text)) && !strcmp(text, "1");
}

/* A wrong value is logged with what is allowed. The value in force stays. */
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

	if (device_settings(&vbd->dev, disk_keys, &otherwise))
		otherwise = vbd->options; /* the values in force stay */
	store_hold_names(store, vbd->dev.be_path);
	read_kind(vbd);
	for (const struct key *key = disk_keys; key->name; key++)
		read_option(vbd, key, &otherwise);
	store_read_flag(store, XBT_NULL, vbd->dev.be_path, "online", true, &online);
	vbd->leaving = !online;
	device_say_slips(&vbd->dev, disk_keys);
	store_drop_names(store);
}

struct message_disk_tuning vbd_tuning(const struct vbd *vbd)
{
	const struct disk_options *options = &vbd->options;
	struct message_disk_tuning tuning = { .stall = options->errors == DISK_ERRORS_STALL,
					      .leaving = vbd->leaving,
					      .trace = vbd->dev.trace,
					      .flush_failed = vbd->flush_failed,
					      .poll_ns = options->poll_us * 1000ull };

	disk_rate(options->iops, options->iops_burst, &tuning.requests, &tuning.requests_usecs);
	disk_rate(options->bps, options->bps_burst, &tuning.bytes, &tuning.bytes_usecs);
	return tuning;
}

void vbd_tune(struct vbd *vbd, bool retry, bool again)
{
	struct message message = { .type = MESSAGE_TUNE_DISK, .tune_disk = vbd_tuning(vbd) };

	message.tune_disk.retry = retry;
	message.tune_disk.again = again;
	if (!message.tune_disk.stall)
		vbd_unstall(vbd);
	guests_send(&vbd->dev, &message, NULL, 0);
}

/* --- stalled --- */

struct note {
	struct vbd *vbd;
	int err;
};

static int write_stalled(struct store *store, xs_transaction_t t, void *user)
{
	const struct note *note = user;
	const char *dir = note->vbd->dev.be_path;

	if (!store_exists(store, t, dir, "state"))
		return -ENOENT;
	return store_write(store, t, dir, "stalled", strerror(-note->err));
}

void vbd_note_stalled(struct vbd *vbd, int err)
{
	struct note note = { .vbd = vbd, .err = err };

	vbd->stalled = true;
	device_log(&vbd->dev, LOG_LEVEL_WARNING,
		   "the image says: %s; requests are held. When that is mended: pvbackctl "
		   "retry %s/%u/%u",
		   strerror(-err), vbd->dev.ops->kind, vbd->dev.domid, vbd->dev.devid);
	store_transact(vbd->dev.env->store, vbd->dev.be_path, write_stalled, &note);
}

void vbd_unstall(struct vbd *vbd)
{
	struct store *store = vbd->dev.env->store;

	vbd->stalled = false;
	if (store_exists(store, XBT_NULL, vbd->dev.be_path, "stalled"))
		store_remove(store, XBT_NULL, vbd->dev.be_path, "stalled");
}

/* --- a failed flush --- */

#define FLUSH_KEY "flush-failed"

static int write_flush_failed(struct store *store, xs_transaction_t t, void *user)
{
	const struct note *note = user;

	return store_write(store, t, note->vbd->dev.be_path, FLUSH_KEY, strerror(-note->err));
}

void vbd_note_flush_failed(struct vbd *vbd, int err)
{
	struct note note = { .vbd = vbd, .err = err };

	vbd->flush_failed = true;
	if (device_is_gone(&vbd->dev)) /* another disk may be in its place */
		return;
	device_log(&vbd->dev, LOG_LEVEL_ERROR,
		   "a flush failed: %s. What the guest had written may be lost: all but reads "
		   "fails until the "
		   "disk is attached again, or an admin says go: pvbackctl retry %s/%u/%u",
		   strerror(-err), vbd->dev.ops->kind, vbd->dev.domid, vbd->dev.devid);
	store_transact(vbd->dev.env->store, vbd->dev.be_path, write_flush_failed, &note);
}

void vbd_find_flush_failed(struct vbd *vbd)
{
	const struct vbd_id id = vbd_id_of(vbd);

	if (store_exists(vbd->dev.env->store, XBT_NULL, vbd->dev.be_path, FLUSH_KEY))
		vbd->flush_failed = true;
	else if (vbd->resume && !vbd->flush_failed && vbd_file_flush_failed(&id))
		vbd_note_flush_failed(vbd, -EIO);
}

static void forgive_flush(struct vbd *vbd)
{
	struct store *store = vbd->dev.env->store;

	if (store_exists(store, XBT_NULL, vbd->dev.be_path, FLUSH_KEY))
		store_remove(store, XBT_NULL, vbd->dev.be_path, FLUSH_KEY);
	vbd->flush_failed = false;
}

/* --- an admin's retry --- */

/* `retry` is removed last: if control dies before that, the next control finds it. */
bool vbd_retry(struct vbd *vbd, bool again)
{
	struct store *store = vbd->dev.env->store;

	if (!store_exists(store, XBT_NULL, vbd->dev.be_path, "retry"))
		return false; /* or this is the event of the removal below */
	forgive_flush(vbd);
	device_log(&vbd->dev, LOG_LEVEL_INFO, "what was held is tried again");
	vbd_tune(vbd, true, again);
	vbd_unstall(vbd);
	store_remove(store, XBT_NULL, vbd->dev.be_path, "retry");
	if (vbd->awaited)
		vbd->dev.env->ready(&vbd->dev);
	return true;
}

/* --- the watch --- */

/* A change that comes while the rings start is read when they have started. */
void vbd_changed(struct device *dev, const char *key)
{
	struct vbd *vbd = vbd_of(dev);

	vbd->changed_late |= dev->activity == DEVICE_ATTACHING;
	if (dev->activity == DEVICE_IDLE && key && !strcmp(key, "retry"))
		vbd_retry(vbd, false);
	if (dev->activity != DEVICE_ATTACHED)
		return;
	if (!key || !strcmp(key, "online") || keys_find(disk_keys, key)) {
		vbd_read_options(vbd);
		vbd_tune(vbd, false, false);
	} else if (!strcmp(key, "retry")) {
		vbd_retry(vbd, false);
	} else {
		device_say_slip(dev, disk_keys, key);
	}
}
