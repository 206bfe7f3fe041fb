/* SPDX-License-Identifier: MIT */
/*
 * Handing a disk's rings to the workers and taking them back. Control thread only; each worker
 * answers through the control loop's mailbox.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blkback/vbd.h"
#include "core/statefile.h"

static void start(struct vbd *vbd);

static void __attribute__((format(printf, 3, 4)))
remember(struct vbd *vbd, int err, const char *fmt, ...)
{
	va_list ap;

	if (vbd->attach_err)
		return;
	vbd->attach_err = err;
	va_start(ap, fmt);
	vsnprintf(vbd->why, sizeof(vbd->why), fmt, ap);
	va_end(ap);
}

static void refused(struct vbd *vbd)
{
	device_attached(&vbd->dev, vbd->attach_err);
}

static void image_closed(struct vbd *vbd)
{
	device_detached(&vbd->dev);
}

static void free_queues(struct vbd *vbd)
{
	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		statefile_close(&vbd->queues[i].setup.journal_fd);
	free(vbd->queues);
	vbd->queues = NULL;
	stats_block_close(&vbd->stats);
	vbd->nr_queues = 0;
}

/*
 * Nothing is attached. The keys of an earlier frontend (several queues, a larger ring) stay behind
 * when the next one in the domain writes a plain ring only: worth a second look before giving up.
 */
static void attach_failed(struct vbd *vbd)
{
	const struct vbd_id id = vbd_id_of(vbd);

	free_queues(vbd);
	if (!vbd->plain && vbd_front_has_plain(&vbd->dev)) {
		vbd->plain = true;
		start(vbd);
		return;
	}
	vbd_file_forget_journals(&id);
	device_reason(&vbd->dev, vbd->attach_err, "%s", vbd->why);
	vbd_close_image(vbd, refused);
}

/* All workers have let go. */
static void all_detached(struct vbd *vbd)
{
	const struct vbd_id id = vbd_id_of(vbd);

	if (vbd->attach_err) {
		attach_failed(vbd);
		return;
	}
	if (!vbd->queues[0].keep_journal)
		vbd_file_forget_journals(&id);
	free_queues(vbd);
	/* Whoever takes the device away next must not find it busy. */
	vbd_close_image(vbd, image_closed);
}

static void queue_detached(struct vbd_queue *q)
{
	struct vbd *vbd = q->owner;

	if (--vbd->nr_reports == 0)
		all_detached(vbd);
}

/* Take back the queues that did attach while another failed. */
static void roll_back(struct vbd *vbd)
{
	for (unsigned int i = 0; i < vbd->nr_queues; i++) {
		if (vbd->queues[i].result)
			continue;
		vbd->nr_reports++;
		vbd_queue_detach(&vbd->queues[i]);
	}
	if (vbd->nr_reports == 0)
		all_detached(vbd);
}

static const char *attach_problem(int err)
{
	switch (err) {
	case -EPROTO:
		return "its indices are impossible";
	case -EBADMSG:
		return "the journal that an earlier pvbackd left is damaged, or of another ring";
	case -EPROTONOSUPPORT:
		return "the journal that an earlier pvbackd left is of a version that this one "
		       "cannot read";
	case -EPERM:
		return "the journal is a link, belongs to somebody else, or others may write to it";
	case -ENOENT:
		return "requests are in flight and no journal of them is left";
	default:
		return strerror(-err);
	}
}

static void say_resumed(struct vbd *vbd)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		nr += vbd->queues[i].nr_replayed;
	device_log(&vbd->dev, LOG_LEVEL_INFO, "resumed, replayed=%u", nr);
	if (nr && !vbd->image.fenced)
		device_log(&vbd->dev, LOG_LEVEL_WARNING,
			   "the server may still execute what the last pvbackd had sent to it; see "
			   "RESTARTS in pvbackd(8)");
}

static void queue_attached(struct vbd_queue *q, int err)
{
	struct vbd *vbd = q->owner;

	if (err)
		remember(vbd, err, "ring %u cannot be attached: %s", q->id.queue,
			 attach_problem(err));
	if (--vbd->nr_reports)
		return;
	if (vbd->attach_err) {
		roll_back(vbd);
		return;
	}
	if (vbd->resume)
		say_resumed(vbd);
	vbd_resize_start(vbd);
	device_attached(&vbd->dev, 0);
	if (vbd->changed_late) {
		vbd->changed_late = false;
		vbd_changed(&vbd->dev, "online");
		vbd_changed(&vbd->dev, "retry");
	}
}

static void queue_broken(struct vbd_queue *q, int err)
{
	struct vbd *vbd = q->owner;

	device_broken(&vbd->dev, err, "the frontend published an impossible ring index");
}

static void queue_flowed(struct vbd_queue *q)
{
	struct vbd *vbd = q->owner;

	if (--vbd->nr_unflowed == 0)
		device_flowed(&vbd->dev);
}

void vbd_ask_flow(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);

	vbd->nr_unflowed = vbd->nr_queues;
	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		vbd_queue_ask_flow(&vbd->queues[i]);
}

static void fill_queue(struct vbd *vbd, struct vbd_queue *q, unsigned int index)
{
	const struct device_env *env = vbd->dev.env;

	q->worker = vbd->image.home;
	if (!q->worker)
		q->worker = &env->workers[(vbd->dev.domid + vbd->dev.devid / 16 + index) %
					  env->nr_workers];
	q->queue.domain_halted = &vbd->dev.halted;
	q->control = env->loop;
	q->image = &vbd->image;
	q->rates = &vbd->rates;
	q->xentop = vbd->xentop.stats;
	q->stats = stats_block_queue(&vbd->stats, index);
	q->id = (struct trace_id){ .kind = vbd->dev.ops->kind,
				   .domid = vbd->dev.domid,
				   .devid = vbd->dev.devid,
				   .queue = index };
	q->trace = vbd->dev.trace;
	q->setup.resume = vbd->resume;
	q->discard = vbd->discard && vbd->image.discard;
	q->owner = vbd;
	q->attached = queue_attached;
	q->detached = queue_detached;
	q->broken = queue_broken;
	q->resized = vbd_resize_queue_done;
	q->stalled = vbd_queue_stalled;
	q->flowed = queue_flowed;
	q->refuses = &vbd->flush_failed;
	q->flush_failed = vbd_queue_flush_failed;
}

/*
 * How many pages each ring keeps mapped. Both sides must agree: we by what is published before state
 * 4, and when an earlier life of this daemon connected the ring, by what it published.
 */
static uint32_t kept_pages(struct vbd *vbd, const struct vbd_front *front)
{
	bool offered = vbd->options.persistent_grants;

	if (vbd->resume)
		store_read_flag(vbd->dev.env->store, XBT_NULL, vbd->dev.be_path,
				"feature-persistent", false, &offered);
	return front->persistent && offered ? vbd->options.max_persistent_grants : 0;
}

static int fill_queues(struct vbd *vbd, const struct vbd_front *front)
{
	uint32_t max_kept = kept_pages(vbd, front);
	struct vbd_tuning tuning = vbd_tuning(vbd);
	int err;

	vbd->queues = calloc(front->nr_queues, sizeof(vbd->queues[0]));
	if (!vbd->queues)
		return -ENOMEM;
	err = stats_block_open(&vbd->stats, &vbd_stat_list, front->nr_queues);
	if (err)
		return err;
	vbd->nr_queues = front->nr_queues;
	for (unsigned int i = 0; i < front->nr_queues; i++) {
		vbd->queues[i].setup = front->queues[i];
		vbd->queues[i].setup.max_kept = max_kept;
		vbd->queues[i].setup.tuning = tuning;
		vbd->queues[i].setup.max_kept_by_worker = KEPT_MAX / vbd->dev.env->nr_workers;
		vbd->queues[i].setup.journal_fd = -1;
		fill_queue(vbd, &vbd->queues[i], i);
	}
	return 0;
}

/* 0, or -errno after remember(). */
static int open_journals(struct vbd *vbd)
{
	const struct vbd_id id = vbd_id_of(vbd);

	for (unsigned int i = 0; i < vbd->nr_queues; i++) {
		struct vbd_queue_setup *setup = &vbd->queues[i].setup;
		int err = vbd_file_journal(&id, i, blkif_ring_slots(setup->abi, setup->nr_pages),
					   vbd->resume, &setup->journal_fd);

		if (err) {
			remember(vbd, err, "ring %u cannot be attached: %s", i,
				 attach_problem(err));
			return err;
		}
	}
	return 0;
}

/* Ends in device_attached(), at once or when the workers have answered. */
static void start(struct vbd *vbd)
{
	struct vbd_front front = { 0 };
	char why[sizeof(vbd->why)];
	int err;

	vbd->attach_err = 0;
	err = vbd_front_read(&vbd->dev, vbd->max_queues, vbd->plain, &front, why, sizeof(why));
	if (err) {
		remember(vbd, err, "%s", why);
		attach_failed(vbd);
		return;
	}
	err = fill_queues(vbd, &front);
	if (err)
		remember(vbd, err, "%s", strerror(-err));
	else
		err = open_journals(vbd);
	if (err) {
		attach_failed(vbd);
		return;
	}
	vbd->nr_reports = vbd->nr_queues;
	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		vbd_queue_attach(&vbd->queues[i]);
}

void vbd_image_opened(struct vbd *vbd, int err)
{
	if (err) {
		vbd->attach_err = err;
		vbd_close_image(vbd, refused);
		return;
	}
	vbd_count(vbd);
	start(vbd);
}

int vbd_attach(struct device *dev, bool resume)
{
	struct vbd *vbd = vbd_of(dev);
	const struct vbd_id id = vbd_id_of(vbd);

	vbd->resume = resume;
	vbd->plain = false;
	if (!resume) { /* else the probe has just read them */
		vbd_read_options(vbd);
		vbd_file_forget_journals(&id);
	}
	vbd_unstall(vbd);
	vbd_find_flush_failed(vbd);
	return vbd_open_image(vbd);
}

void vbd_detach(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);

	vbd_resize_stop(vbd);
	if (!dev->suspending)
		vbd_unstall(vbd);
	vbd->attach_err = 0;
	vbd->nr_reports = vbd->nr_queues;
	for (unsigned int i = 0; i < vbd->nr_queues; i++) {
		vbd->queues[i].keep_journal = dev->suspending;
		vbd_queue_detach(&vbd->queues[i]);
	}
}

void vbd_halt(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);

	for (unsigned int i = 0; i < vbd->nr_queues; i++)
		queue_halt_changed(&vbd->queues[i].queue, vbd->queues[i].worker);
}
