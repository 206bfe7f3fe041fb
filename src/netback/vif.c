/* SPDX-License-Identifier: MIT */
/* The life of a vif on the control thread: its tap, its keys, and its queues' comings and goings. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netback/quirks.h"
#include "netback/vif_ctrl.h"
#include "netback/vif_file.h"
#include "netback/vif_front.h"
#include "netback/vif_guard.h"
#include "netback/vif_limits.h"
#include "netback/vif_options.h"
#include "netback/vif_queue.h"
#include "netback/vif_quirks.h"
#include "netback/vif_steer.h"
#include "netback/tap.h"
#include "netback/tap_keeper.h"
#include "netback/tap_mark.h"
#include "netback/tap_share.h"
#include "netback/vif.h"
#include "core/statefile.h"
#include "control/rtnl.h"

struct vif {
	struct device dev;          /* first */
	struct vif_options options; /* what the configuration says of it */
	struct tap tap;
	struct tap_mark *mark;      /* owned; NULL when it could not be had */
	struct tap_share tap_share; /* while there are queues */
	struct vif_shared shared;
	struct vif_limits limits;
	struct vif_guard guard;
	struct vif_capture capture;
	struct vif_steer steer;
	unsigned int max_queues; /* what we offer */
	struct vif_front front;
	struct vif_queue *queues; /* owned; NULL when nothing is attached */
	struct stats_block stats; /* of these */
	unsigned int nr_syncing;  /* queues that do not know of the new headroom yet */
	struct vif_ctrl *ctrl;    /* owned; NULL when there is no control ring */
	unsigned int nr_waiting;  /* queues, and the control ring, that have not answered yet */
	unsigned int nr_stalled;  /* queues whose guest takes nothing: the carrier is off */
	int refused_err;          /* of the first one that could not be attached */
	char refused[128];        /* and what is to be said of it */
};

static struct vif *vif_of(struct device *dev)
{
	return (struct vif *)(void *)dev; /* its first member */
}

/* --- our own directory --- */

static void read_mtu(struct vif *vif)
{
	struct device *dev = &vif->dev;
	uint32_t mtu;
	int err = store_read_u32(dev->env->store, XBT_NULL, dev->be_path, "mtu", RTNL_MTU_MIN,
				 RTNL_MTU_MAX, &mtu);

	if (err == -ENOENT)
		return;
	if (!err)
		err = tap_set_mtu(&vif->tap, mtu);
	if (err)
		device_log(dev, LOG_LEVEL_WARNING, "`mtu` cannot be set: %s", strerror(-err));
}

/* Under the name that the interface has now. */
static void read_capture(struct vif *vif)
{
	char name[IFNAMSIZ] = "";

	tap_name(&vif->tap, name);
	vif_capture_read(&vif->capture, &vif->dev, name, vif->options.pcap_dir);
}

/* What is in force at any time: of its own keys, and for what they do not say of the configuration. */
static void read_rules(struct vif *vif)
{
	struct device *dev = &vif->dev;

	vif->options = *dev->env->vif;
	device_settings(dev, vif_keys, &vif->options);
	vif_limits_read(&vif->limits, dev, &vif->options);
	vif_guard_read(&vif->guard, dev, vif->options.antispoof);
}

static void read_own(struct vif *vif)
{
	struct device *dev = &vif->dev;

	store_hold_names(dev->env->store, dev->be_path);
	if (!vif->tap.adopted)
		read_mtu(vif);
	vif_limits_init(&vif->limits);
	read_rules(vif);
	read_capture(vif);
	device_say_slips(dev, vif_own_keys);
	store_drop_names(dev->env->store);
}

static void set_carrier(struct vif *vif)
{
	bool on = vif->queues && !vif->refused_err && vif->nr_stalled == 0;
	int err = tap_set_carrier(&vif->tap, on);

	if (err)
		device_log(&vif->dev, LOG_LEVEL_WARNING, "carrier cannot be set: %s",
			   strerror(-err));
}

static struct vif_id id_of(const struct vif *vif)
{
	return (struct vif_id){ vif->dev.env->runtime_dir, vif->dev.domid, vif->dev.devid };
}

/* Scripts and admins rename it: one that was there before us is found by its mark. */
static int open_tap(struct vif *vif)
{
	struct device *dev = &vif->dev;
	struct vif_id id = id_of(vif);
	char name[32];
	int err = tap_mark_open(&id, &vif->mark);

	if (err)
		device_log(dev, LOG_LEVEL_WARNING, "its tap is not noted in %s: %s",
			   dev->env->runtime_dir, strerror(-err));
	snprintf(name, sizeof(name), "vif%u.%u", dev->domid, dev->devid);
	err = vif->mark ? tap_mark_adopt(vif->mark, &id, &vif->tap, vif->max_queues) : -ENODEV;
	if (err == -ENODEV)
		err = strlen(name) < IFNAMSIZ ? tap_open(&vif->tap, name, vif->max_queues)
					      : -ENAMETOOLONG;
	if (err)
		device_reason(dev, err, "the tap %s cannot be opened: %s", name, strerror(-err));
	if (err)
		return err;
	if (vif->mark)
		tap_mark_note(vif->mark, &vif->tap);
	tap_keeper_keep(&id, &vif->tap);
	return 0;
}

static bool is_live(struct device *dev, const char *dir, enum xenbus_state first)
{
	uint32_t state;
	int err = store_read_u32(dev->env->store, XBT_NULL, dir, "state", first, XENBUS_NR_STATES,
				 &state);

	return !err && state != XENBUS_CLOSING && state != XENBUS_CLOSED;
}

/* By an earlier life of ours, and its frontend has not left it since. */
static bool is_connected(struct device *dev)
{
	return is_live(dev, dev->be_path, XENBUS_CONNECTED) &&
	       is_live(dev, dev->fe_path, XENBUS_INITIALISED);
}

/* The tap must be there before the first state 2: the toolstack's script looks for it then. */
static int vif_probe(struct device *dev)
{
	struct vif *vif = vif_of(dev);
	int err;

	vif_shared_init(&vif->shared);
	vif->max_queues = device_offer_queues(dev, TAP_MAX_QUEUES);
	err = open_tap(vif);
	if (err)
		return err;
	if (vif->max_queues > vif->tap.nr_fds)
		vif->max_queues = vif->tap.nr_fds;
	if (!is_connected(dev))
		set_carrier(vif);
	read_own(vif);
	device_log(dev, LOG_LEVEL_DEBUG, "its tap is %s",
		   vif->tap.adopted ? "taken over" : "created");
	return 0;
}

static bool vif_known(struct device *dev)
{
	const struct vif_id id = { dev->env->runtime_dir, dev->domid, dev->devid };

	return tap_mark_exists(&id);
}

static int vif_advertise(struct device *dev, xs_transaction_t t)
{
	static const struct {
		const char *key, *value;
	} offers[] = {
		{ "feature-rx-copy", "1" },
		{ "feature-rx-flip", "0" },
		{ "feature-sg", "1" },
		{ "feature-gso-tcpv4", "1" },
		{ "feature-gso-tcpv6", "1" },
		{ "feature-ipv6-csum-offload", "1" },
		{ "feature-split-event-channels", "1" },
		{ "feature-multicast-control", "1" },
		{ "feature-dynamic-multicast-control", "1" },
		{ "feature-ctrl-ring", "1" },
		{ "feature-xdp-headroom", "1" },
	};
	int err = 0;

	set_carrier(vif_of(dev)); /* a frontend that was there at the probe may have gone since */
	for (size_t i = 0; !err && i < sizeof(offers) / sizeof(offers[0]); i++)
		err = store_write(dev->env->store, t, dev->be_path, offers[i].key, offers[i].value);
	if (err)
		return err;
	return store_writef(dev->env->store, t, dev->be_path, "multi-queue-max-queues", "%u",
			    vif_of(dev)->max_queues);
}

/* A device without a script has nobody who would report. */
static bool vif_plugged(struct device *dev)
{
	struct store *store = dev->env->store;
	char text[STORE_VALUE_MAX];

	if (store_read(store, XBT_NULL, dev->be_path, "hotplug-status", text, sizeof(text)) == 0 &&
	    strcmp(text, "connected") == 0)
		return true;
	return store_read(store, XBT_NULL, dev->be_path, "script", text, sizeof(text)) == -ENOENT ||
	       text[0] == '\0';
}

static void vif_changed(struct device *dev, const char *key)
{
	if (!key || vif_limits_reads(key) || vif_guard_reads(key))
		read_rules(vif_of(dev));
	if (!key)
		return;
	if (vif_capture_reads(key))
		read_capture(vif_of(dev));
	device_say_slip(dev, vif_own_keys, key);
}

static void vif_front_changed(struct device *dev)
{
	struct vif *vif = vif_of(dev);

	if (vif->shared.kept)
		vif_shared_sample(&vif->shared, dev);
}

/* --- attach --- */

/* Spread by vif and by queue, so that neither many vifs nor many queues end up on one worker. */
static struct worker *pick_worker(const struct device *dev, unsigned int index)
{
	return &dev->env->workers[(dev->domid + dev->devid + index) % dev->env->nr_workers];
}

static void init_queue(struct vif *vif, unsigned int index, bool resume)
{
	struct device *dev = &vif->dev;
	struct vif_queue *queue = &vif->queues[index];

	queue->queue.domain_halted = &dev->halted;
	queue->worker = pick_worker(dev, index);
	queue->control = dev->env->loop;
	queue->shared = &vif->shared;
	queue->limits = &vif->limits;
	queue->guard = &vif->guard;
	queue->capture = &vif->capture;
	queue->stats = stats_block_queue(&vif->stats, index);
	queue->owner = vif;
	queue->id = (struct trace_id){
		.kind = "vif", .domid = dev->domid, .devid = dev->devid, .queue = index
	};
	queue->trace = dev->trace;
	queue->resume = resume;
	queue->undo_fd = -1;
	queue->rx_notify = vif->front.rx_notify;
	queue->accept = vif->front.accept;
	queue->drain_ns = vif->options.rx_drain_ms * UINT64_C(1000000);
	queue->stall_ns = vif->options.rx_stall_ms * UINT64_C(1000000);
	queue->finish_csum = vif->front.finish_csum;
	queue->front = vif->front.queues[index];
	queue->fd = vif->tap.fds[index];
}

static void init_ctrl(struct vif *vif)
{
	struct device *dev = &vif->dev;
	struct vif_ctrl *ctrl = vif->ctrl;

	ctrl->queue.domain_halted = &dev->halted;
	ctrl->worker = vif->queues[0].worker;
	ctrl->control = dev->env->loop;
	ctrl->shared = &vif->shared;
	ctrl->owner = vif;
	ctrl->id = vif->queues[0].id;
	ctrl->trace = dev->trace;
	ctrl->ref = vif->front.ctrl_ref;
	ctrl->remote_port = vif->front.ctrl_port;
	ctrl->nr_queues = vif->front.nr_queues;
	ctrl->steer = &vif->steer;
	ctrl->undo_fd = -1;
}

/* Without a file all works but a death in the middle of answering: no reason to refuse a guest. */
static int open_undo(struct vif *vif, unsigned int queue, bool resume, int *ret_fd)
{
	const struct vif_id id = id_of(vif);
	int err = vif_file_undo(&id, queue, resume, ret_fd);

	if (err != -EBADMSG && err != -EPERM)
		return 0;
	device_reason(&vif->dev, err, "what an earlier pvbackd left of its rings is damaged: %s",
		      strerror(-err));
	return err;
}

static int open_undos(struct vif *vif, bool resume)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < vif->front.nr_queues; i++)
		err = open_undo(vif, i, resume, &vif->queues[i].undo_fd);
	if (!err && vif->ctrl)
		err = open_undo(vif, VIF_UNDO_CTRL, resume, &vif->ctrl->undo_fd);
	return err;
}

static void close_undos(struct vif *vif)
{
	const struct vif_id id = id_of(vif);

	for (unsigned int i = 0; vif->queues && i < vif->front.nr_queues; i++)
		statefile_close(&vif->queues[i].undo_fd);
	if (vif->ctrl)
		statefile_close(&vif->ctrl->undo_fd);
	if (!vif->dev.suspending)
		vif_file_forget_undo(&id);
}

/* Undo prepare(); idempotent. Keeps one queue of the tap, without a carrier. */
static void forget_queues(struct vif *vif)
{
	vif_steer_stop(&vif->steer, vif->dev.suspending);
	if (!vif->dev.suspending)
		tap_set_queues(&vif->tap, 1);
	close_undos(vif);
	free(vif->queues);
	vif->queues = NULL;
	stats_block_close(&vif->stats);
	free(vif->ctrl);
	vif->ctrl = NULL;
	vif_shared_close(&vif->shared, &vif->dev, vif->dev.suspending);
	tap_share_drop(&vif->tap_share);
	vif->refused_err = 0;
	vif->nr_stalled = 0;
	if (!vif->dev.suspending)
		set_carrier(vif);
}

static unsigned int largest_frame(const struct vif *vif)
{
	unsigned int mtu;

	if (vif->front.accept.gso_v4 || vif->front.accept.gso_v6 || tap_get_mtu(&vif->tap, &mtu))
		return FRAME_MAX;
	return mtu + NETIF_MIN_FRAME;
}

static int prepare_tap(struct vif *vif)
{
	unsigned int nr = vif->front.nr_queues;
	int err = tap_set_queues(&vif->tap, nr);

	if (!err)
		err = tap_set_offload(&vif->tap, offload_tap_flags(&vif->front.accept));
	if (!err)
		err = tap_share_take(&vif->tap_share, &vif->tap, largest_frame(vif), nr);
	return err;
}

static int make_parts(struct vif *vif, bool resume)
{
	unsigned int nr = vif->front.nr_queues;
	int err = stats_block_open(&vif->stats, &vif_stat_list, nr);

	if (!err)
		vif->queues = calloc(nr, sizeof(vif->queues[0]));
	for (unsigned int i = 0; vif->queues && i < nr; i++)
		init_queue(vif, i, resume);
	if (vif->queues && vif->front.ctrl)
		vif->ctrl = calloc(1, sizeof(*vif->ctrl));
	if (vif->ctrl)
		init_ctrl(vif);
	if (vif->queues && (vif->ctrl || !vif->front.ctrl))
		return 0;
	err = err ? err : -ENOMEM;
	device_reason(&vif->dev, err, "no memory for %u queues", nr);
	return err;
}

static int prepare(struct vif *vif, bool resume)
{
	unsigned int nr = vif->front.nr_queues;
	int err = prepare_tap(vif);

	if (err) {
		device_reason(&vif->dev, err, "the tap cannot be set up for %u queues: %s", nr,
			      strerror(-err));
		return err;
	}
	err = make_parts(vif, resume);
	if (!err)
		err = open_undos(vif, resume);
	if (!err)
		err = vif_shared_open(&vif->shared, &vif->dev, nr, resume);
	if (!err)
		vif_steer_start(&vif->steer, vif->dev.env->loop, &vif->shared, &vif->tap, nr);
	return err;
}

/* A guest without scatter-gather takes a page at most; the MTU is what the bridge and the admin want. */
static void note_mtu(struct vif *vif)
{
	unsigned int mtu;

	if (vif->front.accept.sg || tap_get_mtu(&vif->tap, &mtu) ||
	    mtu + NETIF_MIN_FRAME + vif->front.headroom <= NETIF_PAGE_SIZE)
		return;
	device_log(&vif->dev, LOG_LEVEL_WARNING,
		   "the MTU is %u, but the guest's driver takes no frame above a page (no "
		   "feature-sg): longer ones are dropped",
		   mtu);
}

static void note_place(struct vif *vif)
{
	char name[IFNAMSIZ] = "";

	if (tap_is_here(&vif->tap))
		return;
	tap_name(&vif->tap, name);
	device_log(&vif->dev, LOG_LEVEL_WARNING,
		   "its interface %s is in another network namespace: it is served, but what "
		   "pvbackd cannot see there is not told to the guest (MTU) and stays as it is "
		   "(length of the queue)",
		   name);
}

/* What has to answer when it is started or stopped. */
static unsigned int count_parts(const struct vif *vif)
{
	return vif->front.nr_queues + (vif->ctrl ? 1 : 0);
}

static int vif_attach(struct device *dev, bool resume)
{
	struct vif *vif = vif_of(dev);
	int err = resume && !vif->tap.adopted ? -ENODEV : 0;

	if (err) /* the new one is in no bridge, and no script will put it there */
		device_reason(dev, err, "its network interface was removed while no pvbackd ran");
	else
		err = vif_front_read(dev, vif->max_queues, &vif->front);
	if (!err) {
		if (!resume) /* else the probe has just read them */
			read_rules(vif);
		vif_front_apply_quirks(&vif->front,
				       vif_quirks_find(dev, &vif->front, &vif->options.quirks));
		err = prepare(vif, resume);
	}
	if (err) {
		forget_queues(vif);
		return err;
	}
	note_mtu(vif);
	note_place(vif);
	atomic_store(&vif->shared.headroom, vif->front.headroom);
	vif->nr_waiting = count_parts(vif);
	for (unsigned int i = 0; i < vif->front.nr_queues; i++)
		vif_queue_start(&vif->queues[i]);
	if (vif->ctrl)
		vif_ctrl_start(vif->ctrl);
	return 0;
}

static void stop_queues(struct vif *vif)
{
	vif->nr_waiting = count_parts(vif);
	for (unsigned int i = 0; i < vif->front.nr_queues; i++)
		vif_queue_stop(&vif->queues[i]);
	if (vif->ctrl)
		vif_ctrl_stop(vif->ctrl);
}

/* The first one that could not be attached has the words for all. */
static void fail_attach(struct vif *vif)
{
	int err = vif->refused_err;

	device_reason(&vif->dev, err, "%s: %s", vif->refused, strerror(-err));
	forget_queues(vif);
	device_attached(&vif->dev, err);
}

/* A queue may have met an impossible ring in its very first pass, before we said "attached". */
static void report_broken(struct vif *vif)
{
	for (unsigned int i = 0; i < vif->front.nr_queues; i++)
		if (vif->queues[i].broken_seen)
			device_broken(&vif->dev, vif->queues[i].err, vif->queues[i].why);
	if (vif->ctrl && vif->ctrl->broken_seen)
		device_broken(&vif->dev, vif->ctrl->err, vif->ctrl->why);
}

static void part_started(struct vif *vif)
{
	if (--vif->nr_waiting)
		return;
	if (vif->refused_err) {
		stop_queues(vif); /* part_stopped() goes on */
		return;
	}
	set_carrier(vif);
	if (vif->dev.resuming)
		device_log(&vif->dev, LOG_LEVEL_INFO, "resumed");
	device_attached(&vif->dev, 0);
	report_broken(vif);
}

void vif_queue_started(struct vif_queue *queue)
{
	struct vif *vif = queue->owner;

	if (!queue->started && !vif->refused_err) {
		vif->refused_err = queue->err;
		snprintf(vif->refused, sizeof(vif->refused), "queue %u: %s", queue->id.queue,
			 queue->why);
	}
	part_started(vif);
}

void vif_ctrl_started(struct vif_ctrl *ctrl)
{
	struct vif *vif = ctrl->owner;

	if (!ctrl->started && !vif->refused_err) {
		vif->refused_err = ctrl->err;
		snprintf(vif->refused, sizeof(vif->refused), "%s", ctrl->why);
	}
	part_started(vif);
}

/* --- detach --- */

static void vif_detach(struct device *dev)
{
	struct vif *vif = vif_of(dev);

	stop_queues(vif);
}

static void part_stopped(struct vif *vif)
{
	if (--vif->nr_waiting)
		return;
	if (vif->refused_err) {
		fail_attach(vif);
		return;
	}
	forget_queues(vif);
	device_detached(&vif->dev);
}

void vif_queue_stopped(struct vif_queue *queue)
{
	part_stopped(queue->owner);
}

void vif_ctrl_stopped(struct vif_ctrl *ctrl)
{
	part_stopped(ctrl->owner);
}

static void part_broke(struct vif *vif)
{
	if (vif->dev.activity == DEVICE_ATTACHED)
		report_broken(vif);
}

void vif_queue_broke(struct vif_queue *queue)
{
	queue->broken_seen = true;
	part_broke(queue->owner);
}

void vif_ctrl_broke(struct vif_ctrl *ctrl)
{
	ctrl->broken_seen = true;
	part_broke(ctrl->owner);
}

void vif_ctrl_changed(struct vif_ctrl *ctrl)
{
	struct vif *vif = ctrl->owner;

	vif_steer_changed(&vif->steer);
}

void vif_queue_stall_changed(struct vif_queue *queue, bool stalled)
{
	struct vif *vif = queue->owner;

	if (queue->stalled == stalled)
		return;
	queue->stalled = stalled;
	vif->nr_stalled += stalled ? 1 : -1u;
	device_log(&vif->dev, LOG_LEVEL_INFO, "queue %u: the guest %s", queue->id.queue,
		   stalled ? "takes no packets, carrier off" : "takes packets again");
	set_carrier(vif);
}

/* --- while connected --- */

static void vif_halt(struct device *dev)
{
	struct vif *vif = vif_of(dev);

	for (unsigned int i = 0; i < vif->front.nr_queues; i++)
		queue_halt_changed(&vif->queues[i].queue, vif->queues[i].worker);
	if (vif->ctrl)
		queue_halt_changed(&vif->ctrl->queue, vif->ctrl->worker);
}

/* True once every queue has seen it: what they send from now on has the new headroom. */
static bool vif_reconfigure(struct device *dev)
{
	struct vif *vif = vif_of(dev);
	uint16_t headroom;
	int err;

	if (vif->nr_syncing)
		return false;
	err = vif_front_read_headroom(dev, &headroom);
	if (err)
		device_log(dev, LOG_LEVEL_WARNING, "the frontend's new xdp-headroom cannot be: %s",
			   strerror(-err));
	if (err || headroom == atomic_load(&vif->shared.headroom))
		return true;
	atomic_store(&vif->shared.headroom, headroom);
	vif->nr_syncing = vif->front.nr_queues;
	for (unsigned int i = 0; i < vif->front.nr_queues; i++)
		vif_queue_sync(&vif->queues[i]);
	return false;
}

void vif_queue_synced(struct vif_queue *queue)
{
	struct vif *vif = queue->owner;

	if (--vif->nr_syncing == 0)
		vif->dev.env->ready(&vif->dev);
}

static int write_mtu(struct store *store, xs_transaction_t t, void *user)
{
	struct vif *vif = user;
	unsigned int mtu;
	uint32_t now;
	int err = tap_get_mtu(&vif->tap, &mtu);

	if (err == -EXDEV) /* nobody can ask there */
		return 0;
	if (err || (store_read_u32(store, t, vif->dev.fe_path, "mtu", 0, UINT32_MAX, &now) == 0 &&
		    now == mtu))
		return err;
	return store_writef(store, t, vif->dev.fe_path, "mtu", "%u", mtu);
}

/* Whatever the script has set is what the guest may use; not all scripts tell it. */
static void vif_online(struct device *dev)
{
	struct vif *vif = vif_of(dev);
	int err = vif->tap.open ? store_transact(dev->env->store, dev->fe_path, write_mtu, vif) : 0;

	if (err && err != -ENOENT)
		device_log(dev, LOG_LEVEL_WARNING, "the guest cannot be told its MTU: %s",
			   strerror(-err));
}

static void vif_done(struct device *dev, bool removed)
{
	struct vif *vif = vif_of(dev);
	struct vif_id id = id_of(vif);

	vif_guard_done(&vif->guard);
	vif_capture_done(&vif->capture, !removed);
	tap_close(&vif->tap, removed);
	if (removed || !dev->suspending) /* without a guest there is no carrier to be lost */
		tap_keeper_drop(&id);
	vif->mark = tap_mark_close(vif->mark);
	vif_shared_done(&vif->shared);
	if (removed) {
		vif_file_forget_mark(&id);
		vif_file_forget_undo(&id);
		vif_file_forget_state(&id);
	}
}

const struct device_ops vif_device_ops = {
	.kind = "vif",
	.name_key = "mac",
	.size = sizeof(struct vif),
	.probe = vif_probe,
	.advertise = vif_advertise,
	.plugged = vif_plugged,
	.online = vif_online,
	.attach = vif_attach,
	.detach = vif_detach,
	.halt = vif_halt,
	.changed = vif_changed,
	.front_changed = vif_front_changed,
	.reconfigure = vif_reconfigure,
	.known = vif_known,
	.done = vif_done,
};
