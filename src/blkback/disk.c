/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/container_of.h"
#include "blkback/disk.h"
#include "blkback/medium_lock.h"
#include "blkback/nbd_link.h"
#include "core/log.h"
#include "core/nbd_name.h"
#include "core/statefile.h"

#define NS_PER_S   1000000000ull
#define PHASE_NS   (NS_PER_S / 16 * 17) /* between the looks at disks of domid N and N + 1 */
#define REST_S     64u /* the longest interval between looks at the size of an image that nobody uses */
#define PATIENCE_S 5u /* until control is told that the medium does not answer */

static struct disk *disk_of(struct guest_device *device)
{
	return (struct disk *)(void *)device;
}

static struct disk *disk_of_rings(struct ringset *rings)
{
	return container_of(rings, struct disk, rings);
}

static uint64_t sectors_of(const struct disk *disk)
{
	return disk->image.bytes / BLKIF_SECTOR_SIZE;
}

/* --- to control --- */

static void send_plain(struct disk *disk, uint32_t type)
{
	struct message message = guest_message(&disk->device, type);

	guest_send(&disk->device, &message);
}

static void send_error(struct disk *disk, uint32_t type, int err)
{
	struct message message = guest_message(&disk->device, type);

	message.error.err = err;
	guest_send(&disk->device, &message);
}

static void send_flag(struct disk *disk, uint32_t type, bool on)
{
	struct message message = guest_message(&disk->device, type);

	message.flag.on = on;
	guest_send(&disk->device, &message);
}

static void send_size(struct disk *disk)
{
	struct message message = guest_message(&disk->device, MESSAGE_SIZE);

	message.size.bytes = disk->told * BLKIF_SECTOR_SIZE;
	guest_send(&disk->device, &message);
}

/* --- what the rings report --- */

static void answer_flow(struct disk *disk);

static void run_notice(struct loop_task *task)
{
	struct disk *disk = container_of(task, struct disk, notice);
	int stall_err, flush_err;

	atomic_store(&disk->noticed, false);
	stall_err = atomic_exchange(&disk->stall_err, 0);
	flush_err = atomic_exchange(&disk->flush_err, 0);
	if (stall_err) {
		disk->stalled_by = stall_err;
		send_error(disk, MESSAGE_STALLED, stall_err);
	}
	if (flush_err)
		send_error(disk, MESSAGE_FLUSH_FAILED, flush_err);
	if (atomic_exchange(&disk->flowed, false))
		answer_flow(disk);
	if (atomic_exchange(&disk->dials, false))
		send_plain(disk, MESSAGE_NBD_CONNECT);
}

static void notice(struct disk *disk)
{
	if (atomic_exchange(&disk->noticed, true))
		return;
	disk->notice.run = run_notice;
	loop_post(disk->rings.home, &disk->notice);
}

/* Does nothing while control has not been told of the last stall. */
void disk_stalled(struct disk *disk, int err)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&disk->stall_err, &none, err))
		notice(disk);
}

void disk_flush_failed(struct disk *disk, int err)
{
	if (atomic_exchange(&disk->refuses, true))
		return;
	atomic_store(&disk->flush_err, err);
	notice(disk);
}

void disk_flows(struct disk *disk)
{
	if (atomic_fetch_sub(&disk->nr_unflowed, 1) > 1)
		return;
	atomic_store(&disk->flowed, true);
	notice(disk);
}

/* --- what changes while the rings are attached --- */

/* The rings read `now` until ringset_sync() ends. Newer changes wait in `next` until then. */
static void pass_on(struct disk *disk)
{
	if (!disk->device.started || disk->device.stopping || disk->syncing)
		return;
	if (disk->next.flow_nr != disk->now.flow_nr)
		atomic_store(&disk->nr_unflowed, disk->start->nr_rings);
	disk->now = disk->next;
	disk->next.tuning.retry = false;
	disk->changed = false;
	disk->syncing = true;
	ringset_sync(&disk->rings);
}

static void change(struct disk *disk)
{
	disk->changed = true;
	pass_on(disk);
}

static void end(struct disk *disk);

static void rings_synced(struct ringset *rings)
{
	struct disk *disk = disk_of_rings(rings);

	disk->syncing = false;
	if (disk->stopped) {
		end(disk);
		return;
	}
	if (disk->told != disk->now.nr_sectors) {
		disk->told = disk->now.nr_sectors;
		send_size(disk);
	}
	if (disk->changed)
		pass_on(disk);
}

/* Only `retry` ends a refusal. A TUNE without flush_failed may be older than the failure. */
static void tune(struct disk *disk, const struct message_disk_tuning *tuning)
{
	bool retry = disk->next.tuning.retry || tuning->retry;

	if (tuning->flush_failed)
		atomic_store(&disk->refuses, true);
	else if (tuning->retry)
		atomic_store(&disk->refuses, false);
	for (unsigned int i = 0; i < MESSAGE_DISK_RINGS; i++)
		disk->queues[i].trace = tuning->trace;
	rate_set(&disk->rates.packets, tuning->requests, tuning->requests_usecs);
	rate_set(&disk->rates.bytes, tuning->bytes, tuning->bytes_usecs);
	if (tuning->retry || !tuning->stall)
		disk->stalled_by = 0;
	disk->next.tuning = *tuning;
	disk->next.tuning.retry = retry;
}

/* One question at a time. If control asks again meanwhile, the rings are asked after this answer. */
static void ask_flow(struct disk *disk, uint64_t asked_ns)
{
	disk->flow_next_ns = asked_ns;
	if (disk->flow_ns)
		return;
	disk->flow_ns = asked_ns;
	disk->next.flow_nr++;
	change(disk);
}

static void answer_flow(struct disk *disk)
{
	struct message message = guest_message(&disk->device, MESSAGE_FLOWED);
	bool more = disk->flow_next_ns != disk->flow_ns;

	message.flow.asked_ns = disk->flow_ns;
	guest_send(&disk->device, &message);
	disk->flow_ns = 0;
	if (more)
		ask_flow(disk, disk->flow_next_ns);
}

/* --- the medium's size, and closing it --- */

static void close_image(struct disk *disk);

static void answered_in_time(struct disk *disk)
{
	disk->nr_looks = 0;
	if (disk->late)
		send_flag(disk, MESSAGE_LATE, false);
	disk->late = false;
}

static void ask_size(struct slow_request *req)
{
	struct disk *disk = container_of(req, struct disk, asking);

	disk->size_err = image_size(&disk->image, &disk->bytes);
}

static void compare_size(struct disk *disk)
{
	if (disk->size_err || disk->bytes == disk->image.bytes)
		return;
	disk->image.bytes = disk->bytes;
	disk->next.nr_sectors = sectors_of(disk);
	change(disk);
}

static void look_again_later(struct disk *disk);

static void size_came(struct slow_request *req)
{
	struct disk *disk = container_of(req, struct disk, asking);

	disk->asked = false;
	answered_in_time(disk);
	if (disk->closes) {
		close_image(disk);
		return;
	}
	compare_size(disk);
	look_again_later(disk);
}

static void look(void *user);

/*
 * Each look wakes a sleeping process, so the interval doubles while nobody uses the disk. Looks come at whole multiples
 * of the interval, so that a guest's disks share one wake-up. The phase keeps guests apart.
 */
static void look_again_later(struct disk *disk)
{
	uint64_t every_ns = (disk->asked || disk->closes ? 1 : disk->rest_s) * NS_PER_S;
	uint64_t phase_ns = loop_now_ns() + disk->device.domid * PHASE_NS;

	loop_timer_set(disk->rings.home, &disk->look, every_ns - phase_ns % every_ns, look, disk);
}

static void note_use(struct disk *disk)
{
	uint64_t answers = 0;

	for (unsigned int i = 0; i < disk->start->nr_rings; i++)
		answers += stat_get(&disk->queues[i].stats->notify_sent) +
			   stat_get(&disk->queues[i].stats->notify_suppressed);
	if (answers != disk->answers)
		disk->rest_s = 1;
	else if (disk->rest_s < REST_S)
		disk->rest_s *= 2;
	disk->answers = answers;
}

static void look_at_size(struct disk *disk)
{
	note_use(disk);
	if (disk->image.size_at_hand) {
		disk->size_err = image_size(&disk->image, &disk->bytes);
		compare_size(disk);
		return;
	}
	disk->asking = (struct slow_request){ .home = disk->rings.home,
					      .work = ask_size,
					      .done = size_came };
	disk->asked = slow_run(disk->slow, &disk->asking) == 0;
}

static void look(void *user)
{
	struct disk *disk = user;

	if (!disk->asked && !disk->closes)
		look_at_size(disk);
	else if (++disk->nr_looks == PATIENCE_S) {
		disk->late = true;
		send_flag(disk, MESSAGE_LATE, true);
	}
	look_again_later(disk);
}

static void image_is_closed(struct disk *disk)
{
	disk->closes = false;
	loop_timer_cancel(&disk->look);
	loop_timer_cancel(&disk->patience);
	if (disk->device.let_go)
		log_info("%s: its image has ended all requests and is closed", disk->device.name);
	if (disk->err)
		guest_device_started(&disk->device, disk->err, disk->why, NULL);
	else
		guest_device_stopped(&disk->device);
}

static void run_close(struct slow_request *req)
{
	image_close(&container_of(req, struct disk, closing)->image);
}

static void close_done(struct slow_request *req)
{
	struct disk *disk = container_of(req, struct disk, closing);

	answered_in_time(disk);
	image_is_closed(disk);
}

/* The next user of the device must not find it busy, so the image is closed. The medium may hold this up, too. */
static void close_image(struct disk *disk)
{
	disk->closes = true;
	look_again_later(disk);
	if (disk->asked && slow_recall(disk->slow, &disk->asking))
		disk->asked = false;
	if (disk->asked)
		return; /* size_came() continues */
	if (disk->image.nbd) {
		image_close(&disk->image); /* nbd_ended() follows */
		return;
	}
	disk->closing = (struct slow_request){ .home = disk->rings.home,
					       .work = run_close,
					       .done = close_done };
	if (slow_run(disk->slow, &disk->closing) == 0)
		return;
	image_close(&disk->image);
	image_is_closed(disk);
}

/* --- the rings --- */

static void rings_started(struct ringset *rings, int err, const char *why)
{
	struct disk *disk = disk_of_rings(rings);
	struct message_started facts = { .image = image_facts(&disk->image) };
	unsigned int ring = 0;

	if (err) {
		while (disk->queues[ring].part.err != err)
			ring++;
		disk->err = err;
		snprintf(disk->why, sizeof(disk->why), "ring %u cannot be attached: %s", ring, why);
		close_image(disk);
		return;
	}
	for (; ring < disk->start->nr_rings; ring++)
		facts.nr_replayed += disk->queues[ring].nr_replayed;
	guest_device_started(&disk->device, 0, "", &facts);
	disk->rest_s = 1;
	look_again_later(disk);
	if (disk->changed)
		pass_on(disk);
}

static bool lingers(const struct disk *disk)
{
	for (unsigned int i = 0; i < MESSAGE_DISK_RINGS; i++)
		if (disk->queues[i].lingers)
			return true;
	return false;
}

static void let_go(void *user)
{
	struct disk *disk = user;

	if (!disk->device.let_go)
		log_warning(
			"%s: its guest is gone, and its image still has requests of it or does not "
			"close: until then no other disk that writes to it is connected",
			disk->device.name);
	guest_device_let_go(&disk->device);
}

/*
 * No ring is left. For an abandoned disk, the toolstack waits neither for requests that the medium still has nor for a
 * close that takes long.
 */
static void end(struct disk *disk)
{
	if (disk->syncing)
		return; /* rings_synced() continues */
	if (lingers(disk)) {
		let_go(disk);
		return; /* disk_ring_gone() continues */
	}
	if (atomic_load(&disk->abandoned))
		loop_timer_set(disk->rings.home, &disk->patience, NS_PER_S, let_go, disk);
	if (!disk->closes)
		close_image(disk);
}

static void rings_stopped(struct ringset *rings)
{
	struct disk *disk = disk_of_rings(rings);

	disk->stopped = true;
	end(disk);
}

void disk_ring_gone(struct disk *disk, struct vbd_queue *q)
{
	q->lingers = false;
	if (disk->stopped)
		end(disk);
}

void disk_keeps_pages(struct disk *disk)
{
	log_warning("%s: its guest is no more, and its image has not given back pages of it: the "
		    "domain stays until it does",
		    disk->device.name);
}

static void rings_broke(struct ringset *rings, int err, const char *why)
{
	guest_device_broke(&disk_of_rings(rings)->device, err, why);
}

/* 0, or -errno when there is no worker for the ring. A medium may need all its rings on one worker. */
static int add_ring(struct disk *disk, unsigned int index)
{
	struct vbd_queue *q = &disk->queues[index];
	const struct guest_device *device = &disk->device;

	q->part.worker = disk->image.home ?: guest_worker(device->guest, device, index);
	if (!q->part.worker)
		return -errno;
	q->part.queue.domain_halted = &device->halted;
	q->disk = disk;
	q->stats = stats_block_queue(&disk->device.stats, index);
	q->shared = &disk->start->rings[index];
	q->abi = (enum blkif_abi)disk->start->abi;
	q->id = (struct trace_id){ .kind = message_kind_name(device->kind),
				   .domid = device->domid,
				   .devid = device->devid,
				   .queue = index };
	ringset_add(&disk->rings, &q->part, &vbd_ring_ops);
	return 0;
}

static int start_rings(struct disk *disk)
{
	int err = stats_block_open(&disk->device.stats, &vbd_stat_list, disk->start->nr_rings);

	disk->told = disk->next.nr_sectors = sectors_of(disk);
	disk->now = disk->next;
	for (unsigned int i = 0; i < disk->start->nr_rings && !err; i++)
		err = add_ring(disk, i);
	if (!err)
		ringset_start(&disk->rings);
	return err;
}

/* --- its descriptors --- */

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static int take_lock(const struct disk *disk, int *fd)
{
	return disk->start->lock ? take(fd) : -1;
}

/* --- an NBD export --- */

static void say_unusable(const struct disk *disk, char why[MESSAGE_WHY_MAX], const char *wrong)
{
	snprintf(why, MESSAGE_WHY_MAX, "cannot use the image %.70s: %.60s", disk->start->name,
		 wrong);
}

static void nbd_opened(void *user, int err, const char *why, const struct nbd_facts *facts)
{
	struct disk *disk = user;

	if (err) {
		say_unusable(disk, disk->why, why);
	} else {
		image_learn(&disk->image, facts);
		err = start_rings(disk);
		snprintf(disk->why, sizeof(disk->why), "there is no worker: %s", strerror(-err));
	}
	disk->err = err;
	if (err)
		close_image(disk);
}

/* On the link's worker: asks control to connect. */
static void dial(void *user)
{
	struct disk *disk = user;

	atomic_store(&disk->dials, true);
	notice(disk);
}

static void run_ended(struct loop_task *task)
{
	image_is_closed(container_of(task, struct disk, nbd_ended));
}

/* On the link's worker: the last call that the link makes. */
static void nbd_ended(void *user)
{
	struct disk *disk = user;

	disk->nbd_ended.run = run_ended;
	loop_post(disk->rings.home, &disk->nbd_ended);
}

/* If it returns 0, nbd_opened() follows. */
static int open_nbd(struct disk *disk, int *fds, char why[MESSAGE_WHY_MAX])
{
	const struct message_start_disk *start = disk->start;
	struct guest_device *device = &disk->device;
	int *keep_fd = start->keep ? fds + start->lock : NULL;
	struct nbd_link_setup setup = { .worker = guest_worker(device->guest, device, 0),
					.control = disk->rings.home,
					.read_only = start->image.read_only,
					.halted = device->halted,
					.resume = start->resume,
					.timeout_s = start->nbd_timeout_s,
					.keep_fd = keep_fd ? *keep_fd : -1,
					.keep_lost = start->keep_lost,
					.connect = dial,
					.ended = nbd_ended,
					.dial = disk,
					.opened = nbd_opened,
					.user = disk };
	const char *wrong = "";
	int err = setup.worker ? nbd_name_parse(start->name, &setup.name, &wrong) : -errno;

	if (!err) {
		snprintf(setup.who, sizeof(setup.who), "%s", device->name);
		snprintf(setup.image, sizeof(setup.image), "%s", start->name);
		err = image_open_nbd(&disk->image, &setup, take_lock(disk, fds));
		wrong = err == -EOPNOTSUPP ? "this pvbackd was built without libnbd"
					   : strerror(-err);
	}
	if (err)
		say_unusable(disk, why, wrong);
	else if (keep_fd)
		*keep_fd = -1;
	return err;
}

/* --- as in struct guest_device_ops --- */

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static unsigned int count_fds(const struct message_start_disk *start)
{
	return start->nr_rings + !start->nbd + start->lock + start->keep + start->xentop;
}

static bool rings_make_sense(const struct message_start_disk *start)
{
	if (start->abi > BLKIF_ABI_X86_32 || start->nr_rings == 0 ||
	    start->nr_rings > MESSAGE_DISK_RINGS)
		return false;
	for (uint32_t i = 0; i < start->nr_rings; i++) {
		uint32_t nr_pages = start->rings[i].nr_pages;

		if (!is_power_of_two(nr_pages) || nr_pages > MESSAGE_RING_PAGES)
			return false;
	}
	return true;
}

static bool image_makes_sense(const struct message_image *image)
{
	return is_power_of_two(image->block) && image->block >= BLKIF_SECTOR_SIZE &&
	       image->block <= IMAGE_BLOCK_MAX && image->bytes >= image->block &&
	       image->physical_block >= image->block;
}

static int check(const struct message_start_disk *start, unsigned int nr_fds)
{
	if (!rings_make_sense(start) || nr_fds != count_fds(start))
		return -EINVAL;
	return start->nbd || image_makes_sense(&start->image) ? 0 : -EINVAL;
}

static int use_image(struct disk *disk, int *fds, char why[MESSAGE_WHY_MAX])
{
	int fd = take(fds);
	int err = image_use(&disk->image, fd, take_lock(disk, fds + 1), &disk->start->image);

	disk->image.slow = disk->slow;
	if (!err)
		err = start_rings(disk);
	snprintf(why, MESSAGE_WHY_MAX, "%s", strerror(-err));
	return err;
}

static void prepare(struct disk *disk)
{
	struct guest *guest = disk->device.guest;

	disk->start = &disk->device.start.disk;
	disk->image = (struct image)IMAGE_CLOSED;
	atomic_store(&disk->device.halted, disk->start->halted);
	for (unsigned int i = 0; i < MESSAGE_DISK_RINGS; i++)
		disk->queues[i].journal_fd = -1;
	disk->rings.home = guest_loop(guest);
	disk->rings.started = rings_started;
	disk->rings.stopped = rings_stopped;
	disk->rings.broke = rings_broke;
	disk->rings.synced = rings_synced;
	disk->max_kept_by_worker = KEPT_MAX / guest_nr_workers(guest);
	disk->rates.packets.min_burst = 1;
	disk->rates.packets.max_debt = MESSAGE_DISK_RINGS; /* all rings may take one at once */
	disk->rates.bytes.min_burst = BLKIF_INDIRECT_SEGMENTS * GRANT_PAGE_SIZE;
}

static int disk_begin(struct guest_device *device, int *fds, unsigned int nr_fds,
		      char why[MESSAGE_WHY_MAX])
{
	struct disk *disk = disk_of(device);
	const struct message_start_disk *start = &device->start.disk;
	int err = check(start, nr_fds);

	prepare(disk);
	if (err) {
		snprintf(why, MESSAGE_WHY_MAX, "a start that makes no sense");
		return err;
	}
	for (uint32_t i = 0; i < start->nr_rings; i++)
		disk->queues[i].journal_fd = take(fds++);
	if (start->xentop)
		disk->xentop = xentop_map(fds[nr_fds - start->nr_rings - 1]);
	disk->slow = slow_new();
	if (!disk->slow)
		return -ENOMEM;
	tune(disk, &start->tuning);
	if (start->nbd)
		return open_nbd(disk, fds, why);
	return use_image(disk, fds, why);
}

/* Control does the same, unless it adopted this disk after a restart. */
static void leave(struct disk *disk)
{
	if (disk->image.lock_fd >= 0)
		medium_lock_leave(disk->image.lock_fd);
}

static void disk_stop(struct guest_device *device, const struct message_stop *stop)
{
	struct disk *disk = disk_of(device);

	atomic_store(&disk->abandoned, stop->abandon);
	if (stop->abandon)
		leave(disk);
	ringset_stop(&disk->rings, stop->keep);
}

/* The rings learn of it in their sync(), on their workers. */
static void disk_abandon(struct guest_device *device)
{
	struct disk *disk = disk_of(device);

	if (atomic_exchange(&disk->abandoned, true))
		return;
	leave(disk);
	if (disk->stopped) {
		end(disk);
		return;
	}
	disk->syncing = true;
	ringset_sync(&disk->rings);
}

static void disk_halt(struct guest_device *device)
{
	ringset_halt_changed(&disk_of(device)->rings);
}

/* Repeat what the last control may not have received. */
static void tell_again(struct disk *disk)
{
	if (disk->refuses)
		send_error(disk, MESSAGE_FLUSH_FAILED, -EIO);
	if (disk->stalled_by)
		send_error(disk, MESSAGE_STALLED, disk->stalled_by);
	if (disk->late)
		send_flag(disk, MESSAGE_LATE, true);
	send_size(disk);
}

static void disk_message(struct guest_device *device, const struct message *message, int *fds,
			 unsigned int nr_fds)
{
	struct disk *disk = disk_of(device);

	if (message->type == MESSAGE_NBD_CONNECTED && disk->image.nbd) {
		nbd_link_connected(disk->image.nbd, message->connected.err, message->connected.why,
				   nr_fds ? take(fds) : -1, message->connected.fenced);
	} else if (message->type == MESSAGE_TUNE_DISK) {
		tune(disk, &message->tune_disk);
		change(disk);
		if (message->tune_disk.again)
			tell_again(disk);
	} else if (message->type == MESSAGE_FLOW) {
		ask_flow(disk, message->flow.asked_ns);
	}
}

static void disk_tell(struct guest_device *device, struct message_served *served)
{
	struct disk *disk = disk_of(device);

	served->flush_failed = disk->refuses;
	served->stalled = disk->stalled_by != 0;
	served->bytes = disk->told * BLKIF_SECTOR_SIZE;
}

static void disk_done(struct guest_device *device)
{
	struct disk *disk = disk_of(device);

	image_close(&disk->image);
	for (unsigned int i = 0; i < MESSAGE_DISK_RINGS; i++)
		statefile_close(&disk->queues[i].journal_fd);
	stats_block_close(&disk->device.stats);
	xentop_unmap(disk->xentop);
	disk->xentop = NULL;
	disk->slow = slow_free(disk->slow);
}

const struct guest_device_ops disk_device_ops = {
	.start = MESSAGE_START_DISK,
	.size = sizeof(struct disk),
	.begin = disk_begin,
	.stop = disk_stop,
	.abandon = disk_abandon,
	.halt = disk_halt,
	.message = disk_message,
	.tell = disk_tell,
	.done = disk_done,
};
