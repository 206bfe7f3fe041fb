/* SPDX-License-Identifier: MIT */
/*
 * Has a disk's rings served, and handles the messages of the process that serves them (disk.c, through
 * control/guests.h). The messages are data to check: a guest may have taken over that process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blkback/vbd.h"
#include "control/guests.h"
#include "core/statefile.h"

/* Between two tries to lock a medium that is in use: the first interval, and the longest. */
#define FIRST_WAIT_NS 5000000ull
#define LONG_WAIT_NS  500000000ull

static void start(struct vbd *vbd);

/*
 * Nothing is attached. An earlier frontend in the domain may have left keys (several queues, a larger ring) that a
 * frontend with a plain ring does not overwrite. So a plain ring is tried before giving up.
 */
static void attach_failed(struct vbd *vbd, int err, const char *why)
{
	const struct vbd_id id = vbd_id_of(vbd);

	vbd_hang_up(vbd);
	if (!vbd->plain && vbd_front_has_plain(&vbd->dev)) {
		vbd->plain = true;
		start(vbd);
		return;
	}
	vbd_file_forget(&id);
	vbd_lock_forget(vbd);
	device_reason(&vbd->dev, err, "%s", why);
	vbd_close_image(vbd);
	device_attached(&vbd->dev, err);
}

/* --- the start --- */

/*
 * How many pages each ring keeps mapped. Both sides must agree. The frontend goes by what was published before state 4;
 * if an earlier control connected the ring, that is what it published.
 */
static uint32_t kept_pages(struct vbd *vbd, const struct vbd_front *front)
{
	bool offered = disk_offers_persistent(&vbd->options);

	if (vbd->resume)
		store_read_flag(vbd->dev.env->store, XBT_NULL, vbd->dev.be_path,
				"feature-persistent", false, &offered);
	return front->persistent && offered ? vbd->options.max_persistent_grants : 0;
}

/*
 * Whether it costs much to pin granted pages. In a PV kernel it takes several walks of page tables that belong to Xen,
 * and costs several times as much as copying. In other kernels it costs more than copying only for large requests
 * (bench/README.md).
 */
static bool pinning_is_dear(void)
{
	int fd = open("/sys/hypervisor/guest_type", O_RDONLY | O_CLOEXEC);
	char type[3] = "";
	bool dear = fd >= 0 && read(fd, type, sizeof(type)) == sizeof(type) &&
		    !memcmp(type, "PV\n", sizeof(type));

	if (fd >= 0)
		close(fd);
	return dear;
}

static void describe(struct vbd *vbd, const struct vbd_front *front,
		     struct message_start_disk *start)
{
	*start = (struct message_start_disk){
		.abi = (uint32_t)front->abi,
		.nr_rings = front->nr_queues,
		.max_kept = kept_pages(vbd, front),
		.copy_kept = disk_copies_kept(&vbd->options, pinning_is_dear()),
		.resume = vbd->resume,
		.halted = vbd->dev.halted,
		.discard = vbd->discard,
		.nbd = vbd->nbd,
		.nbd_timeout_s = vbd->options.nbd_timeout_s,
		.image = vbd->image,
		.tuning = vbd_tuning(vbd),
	};
	memcpy(start->rings, front->rings, sizeof(start->rings));
	snprintf(start->name, sizeof(start->name), "%s", vbd->image_name);
}

/* The descriptors of a START, in their order. */
struct descriptors {
	int journals[VBD_MAX_QUEUES], unflushed, counters;
	int all[VBD_MAX_QUEUES + 4]; /* borrowed from the members above and from the vbd */
	unsigned int nr;
};

static void add(struct descriptors *fds, int fd)
{
	fds->all[fds->nr++] = fd;
}

static void close_descriptors(struct descriptors *fds)
{
	for (unsigned int i = 0; i < VBD_MAX_QUEUES; i++)
		statefile_close(&fds->journals[i]);
	statefile_close(&fds->unflushed);
	statefile_close(&fds->counters);
}

static const char *journal_problem(int err)
{
	if (err == -EPERM)
		return "the journal is a link, belongs to somebody else, or others may write to it";
	return err == -EBADMSG ? "the journal that an earlier pvbackd left is damaged"
			       : strerror(-err);
}

static int open_journals(struct vbd *vbd, const struct message_start_disk *start,
			 struct descriptors *fds, char *why, size_t size)
{
	const struct vbd_id id = vbd_id_of(vbd);

	for (uint32_t i = 0; i < start->nr_rings; i++) {
		uint32_t nr_slots =
			blkif_ring_slots((enum blkif_abi)start->abi, start->rings[i].nr_pages);
		int err = vbd_file_journal(&id, i, nr_slots, vbd->resume, &fds->journals[i]);

		if (err) {
			snprintf(why, size, "ring %u cannot be attached: %s", i,
				 journal_problem(err));
			return err;
		}
		add(fds, fds->journals[i]);
	}
	return 0;
}

/* Open the unflushed writes of an NBD export, and the counters. Without counters the disk is still served. */
static int open_others(struct vbd *vbd, struct message_start_disk *start, struct descriptors *fds)
{
	const struct vbd_id id = vbd_id_of(vbd);
	bool lost = false;
	int err = 0;

	if (vbd->nbd && !start->image.read_only)
		err = vbd_file_unflushed(&id, vbd->resume, &fds->unflushed, &lost);
	if (err)
		return err;
	start->keep_lost = lost;
	start->keep = fds->unflushed >= 0;
	if (start->keep)
		add(fds, fds->unflushed);
	vbd_count(vbd, &fds->counters);
	start->xentop = fds->counters >= 0;
	if (start->xentop)
		add(fds, fds->counters);
	return 0;
}

static int send_start(struct vbd *vbd, const struct vbd_front *front, char *why, size_t size)
{
	struct descriptors fds = { .journals = { -1, -1, -1, -1 },
				   .unflushed = -1,
				   .counters = -1 };
	struct message message = { .type = MESSAGE_START_DISK };
	int err;

	describe(vbd, front, &message.disk);
	err = open_journals(vbd, &message.disk, &fds, why, size);
	if (!err && !vbd->nbd)
		add(&fds, vbd->image_fd);
	message.disk.lock = vbd->lock_fd >= 0;
	if (message.disk.lock)
		add(&fds, vbd->lock_fd);
	if (!err) {
		err = open_others(vbd, &message.disk, &fds);
		if (!err)
			err = guests_start(&vbd->dev, &message, fds.all, fds.nr);
		if (err)
			snprintf(why, size, "%s", strerror(-err));
	}
	close_descriptors(&fds);
	return err;
}

static void look_again(void *user)
{
	start(user);
}

/*
 * A late write for a guest that is gone could overwrite this guest's data; and one that this disk's last process has sent
 * could overwrite what the next process writes. The kernel needs some milliseconds until it has closed the files of a process
 * that has ended.
 */
static void await_requests(struct vbd *vbd, int err)
{
	bool was_short = !vbd->waits_for_others || vbd->wait_ns < LONG_WAIT_NS;

	if (!vbd->waits_for_others)
		vbd->wait_ns = FIRST_WAIT_NS;
	else if (was_short)
		vbd->wait_ns *= 2;
	if (was_short && vbd->wait_ns >= LONG_WAIT_NS)
		device_reason(&vbd->dev, -EBUSY,
			      "its image still has requests of %s, and has not answered them; this "
			      "disk waits until it has",
			      err == -EBUSY ? "a guest that is gone"
					    : "an earlier process of this guest");
	vbd->waits_for_others = true;
	loop_timer_set(vbd->dev.env->loop, &vbd->patience, vbd->wait_ns, look_again, vbd);
}

static const char *lock_problem(int err)
{
	return err == -EPERM ? "it is a link, belongs to somebody else, or others may write to it"
			     : strerror(-err);
}

/* Ends in device_attached(), at once or when STARTED comes. */
static void start(struct vbd *vbd)
{
	struct vbd_front front = { 0 };
	char why[MESSAGE_WHY_MAX];
	int err;

	if (!device_may_go_on(&vbd->dev)) {
		vbd->waits_for_others = false;
		vbd_close_image(vbd);
		return;
	}
	err = vbd_lock_open(vbd);
	if (err == -EBUSY || err == -EAGAIN) {
		await_requests(vbd, err);
		return;
	}
	vbd->waits_for_others = false;
	if (err)
		snprintf(why, sizeof(why), "the lock file of its image cannot be opened: %s",
			 lock_problem(err));
	if (!err)
		err = vbd_front_read(&vbd->dev, vbd->max_queues, vbd->plain, &front, why,
				     sizeof(why));
	if (!err)
		err = send_start(vbd, &front, why, sizeof(why));
	vbd->starting = !err;
	if (err)
		attach_failed(vbd, err, why);
}

void vbd_image_opened(struct vbd *vbd, int err)
{
	if (!err) {
		start(vbd);
		return;
	}
	vbd_close_image(vbd);
	device_attached(&vbd->dev, err);
}

static void attached(struct vbd *vbd)
{
	vbd_resize_start(vbd);
	device_attached(&vbd->dev, 0);
	if (vbd->changed_late) {
		vbd->changed_late = false;
		vbd_changed(&vbd->dev, "online");
		vbd_changed(&vbd->dev, "retry");
	}
}

/* --- a disk that is still served after a restart of control --- */

/* The image's facts serve only the log and later looks at its size. */
static void adopt(struct vbd *vbd)
{
	struct message_served served;
	struct message message;
	bool named;

	guests_adopt(&vbd->dev, &message, &served);
	named = !vbd_params(vbd, vbd->image_name, sizeof(vbd->image_name));
	vbd->nbd = message.disk.nbd && named;
	vbd->image = message.disk.image;
	vbd->image.bytes = served.bytes;
	vbd_find_counters(vbd);
	vbd->stalled = served.stalled;
	if (!served.stalled)
		vbd_unstall(vbd);
	device_log(&vbd->dev, LOG_LEVEL_INFO, "is served still");
	attached(vbd);
	if (!vbd_retry(vbd, true)) /* written while there was no control */
		vbd_tune(vbd, false, true);
	if (served.broke.err)
		device_broken(&vbd->dev, served.broke.err, served.broke.why);
}

int vbd_attach(struct device *dev, bool resume)
{
	struct vbd *vbd = vbd_of(dev);
	const struct vbd_id id = vbd_id_of(vbd);

	vbd->resume = resume;
	vbd->plain = false;
	if (resume && guests_left(dev)) {
		vbd_find_flush_failed(vbd);
		adopt(vbd);
		return 0;
	}
	if (!resume) { /* else the probe has just read them */
		vbd_read_options(vbd);
		vbd_file_forget(&id);
	}
	vbd_unstall(vbd);
	vbd_find_flush_failed(vbd);
	return vbd_open_image(vbd);
}

/* --- messages to the process that serves it --- */

void vbd_detach(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);
	struct message message = { .type = MESSAGE_STOP,
				   .stop = { .keep = dev->suspending,
					     .abandon = dev->abandoned_ns != 0 } };

	if (!dev->suspending)
		vbd_unstall(vbd);
	if (dev->abandoned_ns)
		vbd_lock_leave(vbd);
	guests_send(dev, &message, NULL, 0);
}

void vbd_halt(struct device *dev)
{
	struct message message = { .type = MESSAGE_HALT, .flag.on = dev->halted };

	guests_send(dev, &message, NULL, 0);
}

void vbd_ask_flow(struct device *dev)
{
	struct message message = { .type = MESSAGE_FLOW, .flow.asked_ns = dev->flow_asked_ns };

	guests_send(dev, &message, NULL, 0);
}

/* --- messages from that process --- */

static void say_resumed(struct vbd *vbd, uint32_t nr_replayed)
{
	device_log(&vbd->dev, LOG_LEVEL_INFO, "resumed, replayed=%u", nr_replayed);
	if (nr_replayed && !vbd->image.fenced)
		device_log(&vbd->dev, LOG_LEVEL_WARNING,
			   "the server may still execute what the last pvbackd had sent to it; see "
			   "WHAT IS NOT PROMISED in pvbackd-restart(7)");
}

static bool image_makes_sense(const struct message_image *image)
{
	return image->bytes >= BLKIF_SECTOR_SIZE && image->block >= BLKIF_SECTOR_SIZE &&
	       image->physical_block >= image->block;
}

/* For an NBD export, the process that serves it learns the facts first. */
static void started(struct vbd *vbd, const struct message_started *answer)
{
	int err = message_err(answer->err);

	if (!err && vbd->nbd && !image_makes_sense(&answer->image))
		err = -EPROTO;
	if (err) {
		guests_forget(&vbd->dev);
		attach_failed(vbd, err, answer->why);
		return;
	}
	if (vbd->nbd) {
		vbd->image = answer->image;
		vbd_log_image(vbd);
	}
	vbd_close_image(vbd);
	if (vbd->resume)
		say_resumed(vbd, answer->nr_replayed);
	attached(vbd);
}

/*
 * The journals are deleted even if the medium still has requests of an abandoned disk: its frontend is gone, so a
 * replay would answer nobody.
 */
static void stopped(struct vbd *vbd)
{
	const struct vbd_id id = vbd_id_of(vbd);

	guests_forget(&vbd->dev);
	vbd_hang_up(vbd);
	vbd_image_answered(vbd);
	if (!vbd->dev.suspending)
		vbd_file_forget(&id);
	vbd_lock_forget(vbd);
	device_detached(&vbd->dev);
}

static int error_of(const struct message_error *error)
{
	return message_err(error->err) ?: -EIO;
}

/* Messages that may come while the rings are attached. */
static void attached_answer(struct vbd *vbd, const struct message *message)
{
	switch (message->type) {
	case MESSAGE_BROKE:
		device_broken(&vbd->dev, error_of(&message->error), message->error.why);
		break;
	case MESSAGE_STALLED:
		vbd_note_stalled(vbd, error_of(&message->error));
		break;
	case MESSAGE_SIZE:
		if (message->size.bytes >= BLKIF_SECTOR_SIZE)
			vbd_resized(vbd, message->size.bytes);
		break;
	case MESSAGE_FLOWED:
		device_flowed(&vbd->dev, message->flow.asked_ns);
		break;
	}
}

/* A message that does not fit the disk's state is ignored: it was late, or it is a lie. */
void vbd_answer(struct device *dev, const struct message *message, int *fds, unsigned int nr_fds)
{
	struct vbd *vbd = vbd_of(dev);

	(void)fds, (void)nr_fds;
	if (message->type == MESSAGE_STARTED && vbd->starting) {
		vbd->starting = false;
		started(vbd, &message->started);
	} else if (message->type == MESSAGE_STOPPED && dev->activity == DEVICE_DETACHING) {
		stopped(vbd);
	} else if (message->type == MESSAGE_FLUSH_FAILED && !vbd->flush_failed) {
		vbd_note_flush_failed(vbd, error_of(&message->error));
	} else if (message->type == MESSAGE_NBD_CONNECT) {
		if (vbd->nbd)
			vbd_dial(vbd);
	} else if (message->type == MESSAGE_LATE && message->flag.on) {
		vbd_image_late(vbd);
	} else if (message->type == MESSAGE_LATE) {
		vbd_image_answered(vbd);
	} else if (dev->activity == DEVICE_ATTACHED) {
		attached_answer(vbd, message);
	}
}

/* The next process finds the disk's state in its files, as after a restart of the daemon. */
void vbd_lost(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);

	vbd->starting = false;
	vbd_hang_up(vbd);
	vbd_image_answered(vbd);
	vbd_close_image(vbd);
}
