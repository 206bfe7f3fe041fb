/* SPDX-License-Identifier: MIT */
/* The life of a vif on the control thread: its tap, its keys, and the process that serves its rings (nic.c). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netback/quirks.h"
#include "netback/vif_file.h"
#include "netback/vif_front.h"
#include "netback/vif_options.h"
#include "netback/vif_pcap.h"
#include "netback/vif_quirks.h"
#include "netback/vif_state.h"
#include "netback/vif_steer.h"
#include "netback/vif_tune.h"
#include "netback/tap.h"
#include "netback/tap_keeper.h"
#include "netback/tap_mark.h"
#include "netback/tap_share.h"
#include "netback/vif.h"
#include "control/guests.h"
#include "control/json.h"
#include "control/rtnl.h"

#define GROUPS_KEY          "request-multicast-control"
#define CARRIER_INTERVAL_NS (100u * 1000u * 1000u)
#define PCAP_PATIENCE_NS                                                                           \
	UINT64_C(2000000000) /* the longest that a NIC waits for the file of its capture */

struct vif {
	struct device dev;          /* first */
	struct vif_options options; /* as the configuration says */
	struct tap tap;
	struct tap_mark *mark;      /* owned; NULL when it could not be opened */
	struct tap_share tap_share; /* a member while there are queues */
	struct vif_pcap pcap;
	struct loop_timer patience; /* armed: attach() waits for the capture's file */
	bool resume;                /* what attach() was told */
	struct vif_steer steer;
	unsigned int max_queues;          /* that are offered to the frontend */
	struct message_nic_tuning tuning; /* as the keys say now */
	bool any_ip; /* the rules ask for the addresses of ip=, and there are none */
	struct message_start_nic start; /* how its rings are served, and the tuning that was sent */
	unsigned int nr_tuning;         /* how many TUNED messages are to come */
	uint32_t stalled;    /* bits: queues whose guest takes no frames; then the carrier is off */
	struct pace carrier; /* limits changes, as each takes the kernel's RTNL lock */
};

static struct vif *vif_of(struct device *dev)
{
	return (struct vif *)(void *)dev; /* its first member */
}

/* --- the backend directory --- */

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

/* The file has the name that the interface has now. */
static void read_capture(struct vif *vif)
{
	const char *dir = vif->options.pcap_dir;
	char name[IFNAMSIZ] = "";

	tap_name(&vif->tap, name);
	if (vif_pcap_read(&vif->pcap, &vif->dev, name, *dir ? dir : vif->dev.env->runtime_dir) &&
	    vif->dev.activity == DEVICE_ATTACHED)
		vif_pcap_send(&vif->pcap, &vif->dev);
}

/* The settings that can change at any time: from the vif's own keys, else from the configuration. */
static void read_rules(struct vif *vif)
{
	struct device *dev = &vif->dev;
	struct vif_options options = *dev->env->vif;

	if (!device_settings(dev, vif_keys, &options))
		vif->options = options; /* else the settings in force stay */
	vif_tune_read(&vif->tuning, &vif->any_ip, dev, &vif->options);
}

static void read_own(struct vif *vif)
{
	struct device *dev = &vif->dev;

	store_hold_names(dev->env->store, dev->be_path);
	if (!vif->tap.adopted)
		read_mtu(vif);
	read_rules(vif);
	read_capture(vif);
	device_say_slips(dev, vif_own_keys);
	store_drop_names(dev->env->store);
}

static void set_carrier(struct vif *vif)
{
	bool on = vif->dev.activity == DEVICE_ATTACHED && !vif->stalled;
	int err = tap_set_carrier(&vif->tap, on);

	if (err)
		device_log(&vif->dev, LOG_LEVEL_WARNING, "carrier cannot be set: %s",
			   strerror(-err));
}

static void carrier_is_due(void *user)
{
	set_carrier(user);
}

static struct vif_id id_of(const struct vif *vif)
{
	return (struct vif_id){ vif->dev.env->runtime_dir, vif->dev.domid, vif->dev.devid };
}

/* Scripts and admins may rename the tap. One that an earlier daemon made is found by its mark. */
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

/* Whether an earlier daemon connected it, and its frontend is still connected. */
static bool is_connected(struct device *dev)
{
	return is_live(dev, dev->be_path, XENBUS_CONNECTED) &&
	       is_live(dev, dev->fe_path, XENBUS_INITIALISED);
}

static void capture_opened(struct device *dev);

/* The tap must exist before state 2 is first written: the toolstack's script then looks for it. */
static int vif_probe(struct device *dev)
{
	struct vif *vif = vif_of(dev);
	int err;

	vif->carrier = (struct pace){ .loop = dev->env->loop,
				      .interval_ns = CARRIER_INTERVAL_NS,
				      .fn = carrier_is_due,
				      .user = vif };
	vif->pcap.opened = capture_opened;
	vif->options = *dev->env->vif;
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

	set_carrier(vif_of(dev)); /* a frontend that was connected at the probe may be gone */
	for (size_t i = 0; !err && i < sizeof(offers) / sizeof(offers[0]); i++)
		err = store_write(dev->env->store, t, dev->be_path, offers[i].key, offers[i].value);
	if (err)
		return err;
	return store_writef(dev->env->store, t, dev->be_path, "multi-queue-max-queues", "%u",
			    vif_of(dev)->max_queues);
}

/* A device without a script is plugged at once: nobody reports for it. */
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

/* --- messages to the process that serves the rings --- */

/* Send the settings if they have changed. */
static void tune(struct vif *vif)
{
	struct message message = { .type = MESSAGE_TUNE_NIC };

	vif->tuning.trace = vif->dev.trace;
	if (vif->dev.activity != DEVICE_ATTACHED ||
	    !memcmp(&vif->start.tuning, &vif->tuning, sizeof(vif->tuning)))
		return;
	memcpy(&vif->start.tuning, &vif->tuning, sizeof(vif->tuning));
	message.tune_nic = vif->tuning;
	vif->nr_tuning++;
	guests_send(&vif->dev, &message, NULL, 0);
}

static void vif_changed(struct device *dev, const char *key)
{
	struct vif *vif = vif_of(dev);

	if (!key || vif_tune_reads(key))
		read_rules(vif);
	tune(vif);
	if (!key)
		return;
	if (vif_pcap_reads(key))
		read_capture(vif);
	device_say_slip(dev, vif_own_keys, key);
}

/* A wrong value changes nothing: the guest sees that its request has no effect. */
static void read_groups(struct vif *vif)
{
	struct device *dev = &vif->dev;
	bool wanted;

	if (store_read_flag(dev->env->store, XBT_NULL, dev->fe_path, GROUPS_KEY, false, &wanted)) {
		device_log(dev, LOG_LEVEL_WARNING, "the frontend's " GROUPS_KEY " is not 0 or 1");
		return;
	}
	if (vif->tuning.filters_groups != wanted)
		device_log(dev, LOG_LEVEL_DEBUG, "multicast control %s", wanted ? "on" : "off");
	vif->tuning.filters_groups = wanted;
}

static void vif_front_changed(struct device *dev)
{
	struct vif *vif = vif_of(dev);

	read_groups(vif);
	tune(vif);
}

/* --- attach --- */

/* No process serves the rings any more. `keep`: another one will serve the same rings. Idempotent. */
static void release(struct vif *vif, bool keep)
{
	guests_forget(&vif->dev);
	device_watch_front(&vif->dev, GROUPS_KEY, false);
	vif_steer_stop(&vif->steer, keep);
	pace_stop(&vif->carrier);
	tap_share_drop(&vif->tap_share);
	vif->nr_tuning = 0;
	vif->stalled = 0;
	if (keep)
		return;
	tap_set_queues(&vif->tap, 1);
	vif_state_remove(&vif->dev);
	set_carrier(vif);
}

static unsigned int largest_frame(const struct vif *vif)
{
	unsigned int mtu;

	if (vif->start.gso_v4 || vif->start.gso_v6 || tap_get_mtu(&vif->tap, &mtu))
		return FRAME_MAX;
	return mtu + NETIF_MIN_FRAME;
}

static int share_tap(struct vif *vif)
{
	unsigned int nr = vif->start.nr_queues;

	return tap_share_take(&vif->tap_share, &vif->tap, largest_frame(vif), nr);
}

static int prepare_tap(struct vif *vif, const struct vif_front *front)
{
	int err = tap_set_queues(&vif->tap, front->nr_queues);

	if (!err)
		err = tap_set_offload(&vif->tap, offload_tap_flags(&front->accept));
	if (!err)
		err = share_tap(vif);
	if (err)
		device_reason(&vif->dev, err, "the tap cannot be set up for %u queues: %s",
			      front->nr_queues, strerror(-err));
	return err;
}

/* A guest without scatter-gather takes frames of a page at most. The MTU is the choice of the bridge and the admin. */
static void note_mtu(struct vif *vif)
{
	unsigned int mtu;

	if (vif->start.sg || tap_get_mtu(&vif->tap, &mtu) ||
	    mtu + NETIF_MIN_FRAME + vif->tuning.headroom <= NETIF_PAGE_SIZE)
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

static void fill_start(struct vif *vif, const struct vif_front *front, bool resume)
{
	const struct device *dev = &vif->dev;

	vif->start = (struct message_start_nic){
		.nr_queues = front->nr_queues,
		.ctrl = front->ctrl,
		.ctrl_ref = front->ctrl_ref,
		.ctrl_port = front->ctrl_port,
		.resume = resume,
		.halted = atomic_load(&dev->halted),
		.rx_notify = front->rx_notify,
		.finish_csum = front->finish_csum,
		.sg = front->accept.sg,
		.csum_v4 = front->accept.csum_v4,
		.csum_v6 = front->accept.csum_v6,
		.gso_v4 = front->accept.gso_v4,
		.gso_v6 = front->accept.gso_v6,
		.drain_ns = vif->options.rx_drain_ms * UINT64_C(1000000),
		.stall_ns = vif->options.rx_stall_ms * UINT64_C(1000000),
	};
	memcpy(vif->start.queues, front->queues, sizeof(vif->start.queues));
	vif->tuning.headroom = front->headroom;
}

/* If the list is lost, the guest will not send it again. Then the filter must not drop its frames. */
static void follow_groups(struct vif *vif, int left_err)
{
	read_groups(vif);
	if (!vif->start.resume || !left_err || !vif->tuning.filters_groups) {
		device_watch_front(&vif->dev, GROUPS_KEY, true);
		return;
	}
	vif->tuning.filters_groups = false;
	device_log(&vif->dev, LOG_LEVEL_WARNING,
		   "the multicast list that an earlier pvbackd kept is %s: all multicast passes "
		   "until the guest connects again",
		   left_err == -ENOENT ? "gone" : "damaged or not of this version");
}

static int start_serving(struct vif *vif, const struct vif_state *state)
{
	struct message message = { .type = MESSAGE_START_NIC };
	unsigned int nr_queues = vif->start.nr_queues;
	int fds[MESSAGE_MAX_FDS], err;

	follow_groups(vif, state->left_err);
	vif->tuning.trace = vif->dev.trace;
	vif_steer_start(&vif->steer, vif->dev.env->loop, &vif->tap, nr_queues, &state->hash);
	memcpy(&vif->start.tuning, &vif->tuning, sizeof(vif->tuning));
	message.nic = vif->start;
	memcpy(fds, vif->tap.fds, nr_queues * sizeof(fds[0]));
	memcpy(fds + nr_queues, state->fds, state->nr_fds * sizeof(fds[0]));
	err = guests_start(&vif->dev, &message, fds, nr_queues + state->nr_fds);
	if (err) {
		device_reason(&vif->dev, err, "nobody can be started to serve it: %s",
			      strerror(-err));
		return err;
	}
	vif->pcap.told = false;
	vif_pcap_send(&vif->pcap,
		      &vif->dev); /* before START, so that the capture has the first frame */
	return 0;
}

static int begin(struct vif *vif, bool resume)
{
	struct device *dev = &vif->dev;
	struct vif_front front;
	struct vif_state state;
	int err = vif_front_read(dev, vif->max_queues, &front);

	if (err)
		return err;
	if (!resume) /* else the probe has just read them */
		read_rules(vif);
	vif_front_apply_quirks(&front, vif_quirks_find(dev, &front, &vif->options.quirks));
	fill_start(vif, &front, resume);
	err = prepare_tap(vif, &front);
	if (!err)
		err = vif_state_open(&state, dev, &vif->start);
	if (err)
		return err;
	err = start_serving(vif, &state);
	vif_state_close(&state);
	return err;
}

/* The rings are attached, now or by an earlier daemon. */
static void attached(struct vif *vif)
{
	device_attached(&vif->dev, 0);
	set_carrier(vif);
	tune(vif);
	vif_pcap_send(&vif->pcap, &vif->dev);
}

/* STOPPED follows. */
static void stop_serving(struct vif *vif)
{
	struct message message = { .type = MESSAGE_STOP };

	message.stop.keep = vif->dev.suspending;
	message.stop.abandon = vif->dev.abandoned_ns != 0;
	guests_send(&vif->dev, &message, NULL, 0);
}

static void broke(struct vif *vif, const struct message_error *error)
{
	device_broken(&vif->dev, message_err(error->err) ?: -EPROTO, error->why);
}

/* A new tap would be in no bridge, and no script would put it there. */
static int tap_was_removed(struct vif *vif)
{
	device_reason(&vif->dev, -ENODEV, "its network interface was removed while no pvbackd ran");
	return -ENODEV;
}

/*
 * Adopt the vif from a process that outlived the last control. The facts that the process reports are checked before
 * use.
 */
static int take_up(struct vif *vif)
{
	struct message start;
	struct message_served served;
	struct message_hash hash;
	uint32_t nr_queues;
	int err = 0;

	guests_adopt(&vif->dev, &start, &served);
	nr_queues = start.nic.nr_queues;
	if (!vif->tap.adopted) {
		err = tap_was_removed(vif);
	} else if (nr_queues < 1 || nr_queues > vif->tap.nr_fds) {
		err = -EPROTO;
		device_reason(&vif->dev, err, "its rings are served with another tap");
	}
	if (err) {
		stop_serving(vif);
		return err;
	}
	vif->start = start.nic;
	vif->tuning.headroom = start.nic.tuning.headroom;
	/* The settings in force are unknown, so they are sent again. */
	memset(&vif->start.tuning, 0xff, sizeof(vif->start.tuning));
	vif->stalled = served.carrier_off & ((1u << nr_queues) - 1);
	share_tap(vif);
	follow_groups(vif, 0);
	vif_front_read_headroom(&vif->dev, &vif->tuning.headroom);
	vif_state_read_hash(&vif->dev, nr_queues, &hash);
	vif_steer_start(&vif->steer, vif->dev.env->loop, &vif->tap, nr_queues, &hash);
	device_log(&vif->dev, LOG_LEVEL_INFO, "is served still");
	attached(vif);
	if (served.broke.err)
		broke(vif, &served.broke);
	return 0;
}

static int attach(struct vif *vif)
{
	struct device *dev = &vif->dev;
	int err;

	if (guests_left(dev))
		err = take_up(vif);
	else if (vif->resume && !vif->tap.adopted)
		err = tap_was_removed(vif);
	else
		err = begin(vif, vif->resume);
	if (err) {
		release(vif, dev->suspending);
		return err;
	}
	note_mtu(vif);
	note_place(vif);
	return 0;
}

static void attach_without_waiting(void *user)
{
	struct vif *vif = user;
	int err = device_may_go_on(&vif->dev) ? attach(vif) : 0;

	if (err)
		device_attached(&vif->dev, err);
}

/*
 * A capture should have the first frame. But its file may be on storage that does not answer, so the wait is bounded.
 */
static int vif_attach(struct device *dev, bool resume)
{
	struct vif *vif = vif_of(dev);

	vif->resume = resume;
	if (!vif_pcap_opens(&vif->pcap) || guests_left(dev))
		return attach(vif);
	loop_timer_set(dev->env->loop, &vif->patience, PCAP_PATIENCE_NS, attach_without_waiting,
		       vif);
	return 0;
}

static void capture_opened(struct device *dev)
{
	struct vif *vif = vif_of(dev);

	if (dev->activity == DEVICE_ATTACHED)
		vif_pcap_send(&vif->pcap, dev);
	if (!vif->patience.armed)
		return;
	loop_timer_cancel(&vif->patience);
	attach_without_waiting(vif);
}

static void vif_give_up(struct device *dev)
{
	struct vif *vif = vif_of(dev);

	if (!vif->patience.armed)
		return;
	loop_timer_cancel(&vif->patience);
	if (vif->resume)
		device_not_yet(dev); /* the ring is live: try again later */
	else
		device_attached(dev, -ECANCELED);
}

/* --- messages from the process that serves the rings: a guest may have taken it over --- */

static void started(struct vif *vif, const struct message_started *started)
{
	int err = message_err(started->err);

	if (!err) {
		if (vif->dev.resuming)
			device_log(&vif->dev, LOG_LEVEL_INFO, "resumed");
		attached(vif);
		return;
	}
	device_reason(&vif->dev, err, "%s: %s", started->why, strerror(-err));
	release(vif, vif->dev.suspending);
	device_attached(&vif->dev, err);
}

static void stopped(struct vif *vif)
{
	release(vif, vif->dev.suspending);
	device_detached(&vif->dev);
}

/* False when no TUNED was to come. */
static bool tuned(struct vif *vif)
{
	if (!vif->nr_tuning)
		return false;
	if (--vif->nr_tuning == 0)
		vif->dev.env->ready(&vif->dev);
	return true;
}

static bool carrier_changed(struct vif *vif, const struct message_carrier *carrier)
{
	uint32_t bit;

	if (carrier->queue >= vif->start.nr_queues)
		return false;
	bit = 1u << carrier->queue;
	if (!carrier->stalled == !(vif->stalled & bit))
		return true;
	vif->stalled = carrier->stalled ? vif->stalled | bit : vif->stalled & ~bit;
	device_notice(
		&vif->dev, LOG_LEVEL_INFO, "guest-takes-no-frames", "queue %u: the guest %s",
		carrier->queue,
		carrier->stalled
			? "takes no frames, carrier off: is its driver stuck, or the guest paused?"
			: "takes frames again");
	pace_ask(&vif->carrier);
	return true;
}

static bool hash_changed(struct vif *vif, const struct message_hash *hash)
{
	if (!vif->start.ctrl || !hash_config_is_valid(hash, vif->start.nr_queues))
		return false;
	vif_steer_change(&vif->steer, hash);
	return true;
}

static bool answer_attached(struct vif *vif, const struct message *message)
{
	switch (message->type) {
	case MESSAGE_BROKE:
		broke(vif, &message->error);
		return true;
	case MESSAGE_TUNED:
		return tuned(vif);
	case MESSAGE_CARRIER:
		return carrier_changed(vif, &message->carrier);
	case MESSAGE_HASH:
		return hash_changed(vif, &message->hash);
	case MESSAGE_CAPTURED:
		return vif_pcap_ended(&vif->pcap, &message->captured);
	default:
		return false;
	}
}

/* A message that does not fit the device's activity was late, and is ignored. */
static void vif_answer(struct device *dev, const struct message *message, int *fds,
		       unsigned int nr_fds)
{
	struct vif *vif = vif_of(dev);

	(void)fds, (void)nr_fds;
	if (dev->activity == DEVICE_ATTACHING && message->type == MESSAGE_STARTED)
		started(vif, &message->started);
	else if (dev->activity == DEVICE_DETACHING && message->type == MESSAGE_STOPPED)
		stopped(vif);
	else if (dev->activity == DEVICE_ATTACHED && !answer_attached(vif, message))
		device_broken(dev, -EPROTO, "whoever serves its rings says what cannot be");
}

static void vif_lost(struct device *dev)
{
	release(vif_of(dev), true);
	vif_of(dev)->tap.adopted = true; /* for the next process: it has been there all the time */
}

static void vif_detach(struct device *dev)
{
	stop_serving(vif_of(dev));
}

/* --- while connected --- */

static void vif_halt(struct device *dev)
{
	struct message message = { .type = MESSAGE_HALT };

	message.flag.on = atomic_load(&dev->halted);
	guests_send(dev, &message, NULL, 0);
}

/* True when every queue has seen the new headroom: frames that they send from now on have it. */
static bool vif_reconfigure(struct device *dev)
{
	struct vif *vif = vif_of(dev);
	int err;

	if (vif->nr_tuning)
		return false;
	err = vif_front_read_headroom(dev, &vif->tuning.headroom);
	if (err)
		device_log(dev, LOG_LEVEL_WARNING, "the frontend's new xdp-headroom cannot be: %s",
			   strerror(-err));
	tune(vif);
	return !vif->nr_tuning;
}

static int write_mtu(struct store *store, xs_transaction_t t, void *user)
{
	struct vif *vif = user;
	unsigned int mtu;
	uint32_t now;
	int err = tap_get_mtu(&vif->tap, &mtu);

	if (err == -EXDEV) /* in another network namespace its MTU cannot be read */
		return 0;
	if (err || (store_read_u32(store, t, vif->dev.fe_path, "mtu", 0, UINT32_MAX, &now) == 0 &&
		    now == mtu))
		return err;
	return store_writef(store, t, vif->dev.fe_path, "mtu", "%u", mtu);
}

/* The guest may use the MTU that the script has set. Not all scripts tell the guest. */
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

	loop_timer_cancel(&vif->patience);
	vif_pcap_done(&vif->pcap);
	tap_close(&vif->tap, removed);
	if (removed || !dev->suspending) /* without a guest no carrier can be lost */
		tap_keeper_drop(&id);
	vif->mark = tap_mark_close(vif->mark);
	if (removed) {
		vif_file_forget_mark(&id);
		vif_state_remove(dev);
	}
}

static int vif_capture(struct device *dev, const struct device_capture *what, const char **ret_why)
{
	struct vif *vif = vif_of(dev);
	char name[IFNAMSIZ] = "";
	int err;

	if (vif->tap.open)
		tap_name(&vif->tap, name);
	err = vif_pcap_direct(&vif->pcap, what, name, ret_why);
	if (err)
		return err;
	if (what->fd < 0)
		read_capture(vif);
	if (dev->activity == DEVICE_ATTACHED)
		vif_pcap_send(&vif->pcap, dev);
	return 0;
}

static bool vif_captures(const struct device *dev, const void *owner, struct message_captured *ret)
{
	return vif_pcap_captures(&((const struct vif *)(const void *)dev)->pcap, owner, ret);
}

/* The values of its own keys are in the tuning. */
static void vif_in_force(const struct device *dev, void *ret)
{
	const struct vif *vif = (const struct vif *)(const void *)dev;
	struct vif_options *options = ret;

	*options = vif->options;
	options->rate = vif->tuning.tx_bytes;
	options->rate_rx = vif->tuning.rx_bytes;
	options->packet_rate = vif->tuning.tx_packets;
	options->packet_rate_rx = vif->tuning.rx_packets;
	options->antispoof = vif->tuning.filter.want;
}

static void add_key(const struct vif *vif, struct json_object *ret, const char *key)
{
	char text[STORE_VALUE_MAX];

	if (store_read(vif->dev.env->store, XBT_NULL, vif->dev.be_path, key, text, sizeof(text)))
		text[0] = '\0';
	json_add_text(ret, key, text);
}

static void vif_describe(const struct device *dev, struct json_object *ret,
			 struct json_object *detail)
{
	const struct vif *vif = (const struct vif *)(const void *)dev;
	char name[IFNAMSIZ] = "", master[IFNAMSIZ];

	if (vif->tap.open)
		tap_name(&vif->tap, name);
	tap_master("/sys/class/net", name, master);
	json_add_text(ret, "tap", name);
	json_add_text(ret, "master", master);
	add_key(vif, ret, "bridge");
	add_key(vif, ret, "script");
	add_key(vif, ret, "mac");
	json_add_flag(ret, "carrier", dev->activity == DEVICE_ATTACHED && !vif->stalled);
	if (!detail)
		return;
	json_add_flag(detail, "sg", vif->start.sg);
	json_add_flag(detail, "gso_v4", vif->start.gso_v4);
	json_add_flag(detail, "gso_v6", vif->start.gso_v6);
	json_add_flag(detail, "control_ring", vif->start.ctrl);
	json_add_flag(detail, "capturing", vif->pcap.now != NULL);
}

static void vif_dump(const struct device *dev, FILE *out)
{
	vif_steer_dump(&((const struct vif *)(const void *)dev)->steer, out);
}

#define AT_ITS_LIMIT(figure_, direction_, keys_)                                                   \
	{                                                                                          \
		.name = "limit-reached", .figure = figure_, .kind = STAT_COUNTER, .seconds = 60,   \
		.text = "what its guest " direction_ " has been at its limit (" keys_              \
			") for a minute: raise the limit if that is not wanted",                   \
		.over = "what its guest " direction_ " is no longer at its limit"                  \
	}

static const struct notice_rule notices[] = {
	AT_ITS_LIMIT("tx_throttled", "sends", "rate, packet-rate"),
	AT_ITS_LIMIT("rx_throttled", "receives", "rate-rx, packet-rate-rx"),
	{ 0 }
};

const struct device_ops vif_device_ops = {
	.notices = notices,
	.kind = "vif",
	.kernel_module = "xen-netback",
	.name_key = "mac",
	.section = "vif",
	.number_prefix = "vif",
	.keys = vif_keys,
	.own_keys = vif_own_keys,
	.defaults = &vif_options_default,
	.options_size = sizeof(struct vif_options),
	.capture = vif_capture,
	.captures = vif_captures,
	.in_force = vif_in_force,
	.describe = vif_describe,
	.size = sizeof(struct vif),
	.probe = vif_probe,
	.advertise = vif_advertise,
	.plugged = vif_plugged,
	.online = vif_online,
	.attach = vif_attach,
	.give_up = vif_give_up,
	.detach = vif_detach,
	.halt = vif_halt,
	.changed = vif_changed,
	.front_changed = vif_front_changed,
	.reconfigure = vif_reconfigure,
	.answer = vif_answer,
	.lost = vif_lost,
	.dump = vif_dump,
	.known = vif_known,
	.done = vif_done,
};
