/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/log.h"
#include "core/pace.h"
#include "core/statefile.h"
#include "netback/nic.h"
#include "netback/vif_ctrl.h"
#include "netback/vif_queue.h"

/* A guest may change its hash all the time: control is told at most this often. */
#define HASH_INTERVAL_NS (100u * 1000u * 1000u)

struct nic {
	struct guest_device device; /* first */
	struct ringset set;
	struct vif_shared shared;
	struct vif_queue *queues; /* owned */
	unsigned int
		nr_queues; /* this many have a descriptor, which is owned, and so is their undo */
	struct vif_ctrl *ctrl; /* owned; NULL when there is no control ring */
	struct pace hash_pace;
	unsigned int nr_tunes;         /* tunings that not every queue has seen yet */
	struct loop_tick capture_tick; /* while a capture runs */
};

static struct nic *nic_of(struct guest_device *device)
{
	return (struct nic *)(void *)device; /* its first member */
}

/* --- what control is told --- */

static void set_started(struct ringset *set, int err, const char *why)
{
	struct nic *nic = set->user;

	guest_device_started(&nic->device, err, why, NULL);
}

static void set_stopped(struct ringset *set)
{
	struct nic *nic = set->user;

	guest_device_stopped(&nic->device);
}

static void set_broke(struct ringset *set, int err, const char *why)
{
	struct nic *nic = set->user;

	guest_device_broke(&nic->device, err, why);
}

/* Control gets one answer for each tuning. */
static void set_synced(struct ringset *set)
{
	struct nic *nic = set->user;
	struct message message = guest_message(&nic->device, MESSAGE_TUNED);

	for (; nic->nr_tunes; nic->nr_tunes--)
		guest_send(&nic->device, &message);
}

void vif_queue_stall_changed(struct vif_queue *queue, bool stalled)
{
	struct nic *nic = queue->part.set->user;
	struct message message = guest_message(&nic->device, MESSAGE_CARRIER);

	if (queue->stalled == stalled)
		return;
	queue->stalled = stalled;
	message.carrier.queue = queue->id.queue;
	message.carrier.stalled = stalled;
	guest_send(&nic->device, &message);
}

static void tell_hash(void *user)
{
	struct nic *nic = user;
	struct message message = guest_message(&nic->device, MESSAGE_HASH);
	uint32_t none = 0;

	vif_shared_get_hash(&nic->shared, &none, &message.hash);
	guest_send(&nic->device, &message);
}

void vif_ctrl_changed(struct vif_ctrl *ctrl)
{
	struct nic *nic = ctrl->part.set->user;

	pace_ask(&nic->hash_pace);
}

/* --- start --- */

static bool makes_sense(const struct message_start_nic *start, unsigned int nr_fds)
{
	uint32_t nr = start->nr_queues;

	return nr >= 1 && nr <= MESSAGE_NIC_QUEUES && nr_fds == 2 * nr + start->ctrl + 1 &&
	       start->tuning.filter.nr_addrs <= MESSAGE_ADDRS;
}

static int map_undo(int fd, struct vif_undo **ret)
{
	void *addr;
	int err = statefile_map(fd, sizeof(**ret), &addr);

	if (!err)
		*ret = addr;
	return err;
}

/* Set up what queues and the control ring have in common. */
static int add_part(struct nic *nic, struct ring_part *part, const struct ring_ops *ops,
		    unsigned int index)
{
	part->queue.domain_halted = &nic->device.halted;
	part->worker = guest_worker(nic->device.guest, &nic->device, index);
	if (!part->worker)
		return -errno;
	ringset_add(&nic->set, part, ops);
	return 0;
}

static int add_queue(struct nic *nic, int *tap_fd, int undo_fd)
{
	const struct message_start_nic *start = &nic->device.start.nic;
	unsigned int index = nic->nr_queues;
	struct vif_queue *queue = &nic->queues[index];
	int err = map_undo(undo_fd, &queue->undo);

	if (err)
		return err;
	queue->shared = &nic->shared;
	queue->stats = stats_block_queue(&nic->device.stats, index);
	queue->id = (struct trace_id){ .kind = "vif",
				       .domid = nic->device.domid,
				       .devid = nic->device.devid,
				       .queue = index };
	queue->resume = start->resume;
	queue->rx_notify = start->rx_notify;
	queue->accept = (struct offload_accept){ .sg = start->sg,
						 .csum_v4 = start->csum_v4,
						 .csum_v6 = start->csum_v6,
						 .gso_v4 = start->gso_v4,
						 .gso_v6 = start->gso_v6 };
	queue->drain_ns = start->drain_ns;
	queue->stall_ns = start->stall_ns;
	queue->finish_csum = start->finish_csum;
	queue->front = start->queues[index];
	queue->fd = *tap_fd;
	*tap_fd = -1;
	nic->nr_queues++;
	return add_part(nic, &queue->part, &vif_queue_ops, index);
}

static int add_ctrl(struct nic *nic, int undo_fd)
{
	const struct message_start_nic *start = &nic->device.start.nic;
	struct vif_ctrl *ctrl = calloc(1, sizeof(*ctrl));
	int err;

	nic->ctrl = ctrl;
	if (!ctrl)
		return -ENOMEM;
	err = map_undo(undo_fd, &ctrl->undo);
	if (err)
		return err;
	ctrl->shared = &nic->shared;
	ctrl->id = nic->queues[0].id;
	ctrl->ref = start->ctrl_ref;
	ctrl->remote_port = start->ctrl_port;
	ctrl->nr_queues = start->nr_queues;
	return add_part(nic, &ctrl->part, &vif_ctrl_ops, 0);
}

static void tune_all(struct nic *nic, const struct message_nic_tuning *tuning)
{
	for (unsigned int i = 0; i < nic->nr_queues; i++)
		nic->queues[i].trace = tuning->trace;
	if (nic->ctrl)
		nic->ctrl->trace = tuning->trace;
	vif_shared_tune(&nic->shared, tuning);
}

/* The order of `fds`: see struct message_start_nic. */
static int add_parts(struct nic *nic, int *fds)
{
	const struct message_start_nic *start = &nic->device.start.nic;
	int *undo_fds = fds + start->nr_queues, err = 0;

	nic->queues = calloc(start->nr_queues, sizeof(nic->queues[0]));
	if (!nic->queues)
		return -ENOMEM;
	err = stats_block_open(&nic->device.stats, &vif_stat_list, start->nr_queues);
	for (uint32_t i = 0; !err && i < start->nr_queues; i++)
		err = add_queue(nic, &fds[i], undo_fds[i]);
	if (!err && start->ctrl)
		err = add_ctrl(nic, undo_fds[start->nr_queues]);
	return err;
}

static int nic_begin(struct guest_device *device, int *fds, unsigned int nr_fds,
		     char why[MESSAGE_WHY_MAX])
{
	struct nic *nic = nic_of(device);
	const struct message_start_nic *start = &device->start.nic;
	int err;

	if (!makes_sense(start, nr_fds)) {
		snprintf(why, MESSAGE_WHY_MAX, "its start makes no sense");
		return -EINVAL;
	}
	atomic_store(&device->halted, start->halted);
	nic->set = (struct ringset){ .home = guest_loop(device->guest),
				     .user = nic,
				     .started = set_started,
				     .stopped = set_stopped,
				     .broke = set_broke,
				     .synced = set_synced };
	nic->hash_pace = (struct pace){
		.loop = nic->set.home, .interval_ns = HASH_INTERVAL_NS, .fn = tell_hash, .user = nic
	};
	err = vif_shared_init(&nic->shared, fds[nr_fds - 1]);
	if (!err)
		err = add_parts(nic, fds);
	if (err) {
		snprintf(why, MESSAGE_WHY_MAX, "its queues cannot be made");
		return err;
	}
	tune_all(nic, &start->tuning);
	ringset_start(&nic->set);
	return 0;
}

/* --- while it runs --- */

static void nic_halt(struct guest_device *device)
{
	ringset_halt_changed(&nic_of(device)->set);
}

static void tune(struct nic *nic, const struct message_nic_tuning *tuning)
{
	if (!nic->device.started || tuning->filter.nr_addrs > MESSAGE_ADDRS)
		return;
	tune_all(nic, tuning);
	nic->nr_tunes++;
	ringset_sync(&nic->set);
}

static void look_at_capture(void *user)
{
	struct nic *nic = user;
	struct message message = guest_message(&nic->device, MESSAGE_CAPTURED);

	if (!vif_capture_ended(&nic->shared.capture, &message.captured))
		return;
	loop_tick_remove(&nic->capture_tick);
	guest_send(&nic->device, &message);
}

static void no_capture(struct nic *nic, const struct message_capture *what, int err)
{
	struct message message = guest_message(&nic->device, MESSAGE_CAPTURED);

	log_about(LOG_LEVEL_WARNING, nic->device.name, "no capture in %s: %s", what->name,
		  strerror(-err));
	message.captured = (struct message_captured){ .number = what->number, .err = err };
	guest_send(&nic->device, &message);
}

static void capture(struct nic *nic, const struct message_capture *what, int *fd)
{
	int err = vif_capture_switch(&nic->shared.capture, what, nic->device.name, *fd);

	*fd = -1;
	loop_tick_remove(&nic->capture_tick);
	if (err)
		no_capture(nic, what, err);
	else if (what->on)
		loop_tick_add(nic->set.home, &nic->capture_tick, look_at_capture, nic);
}

static void nic_message(struct guest_device *device, const struct message *message, int *fds,
			unsigned int nr_fds)
{
	struct nic *nic = nic_of(device);
	int none = -1;

	if (message->type == MESSAGE_TUNE_NIC)
		tune(nic, &message->tune_nic);
	else if (message->type == MESSAGE_CAPTURE)
		capture(nic, &message->capture, nr_fds ? fds : &none);
}

static void nic_tell(struct guest_device *device, struct message_served *served)
{
	struct nic *nic = nic_of(device);

	for (unsigned int i = 0; i < nic->nr_queues; i++)
		if (nic->queues[i].stalled)
			served->carrier_off |= 1u << i;
}

/* --- the end --- */

static void nic_stop(struct guest_device *device, const struct message_stop *stop)
{
	ringset_stop(&nic_of(device)->set, stop->keep);
}

static void nic_done(struct guest_device *device)
{
	struct nic *nic = nic_of(device);

	loop_tick_remove(&nic->capture_tick);
	pace_stop(&nic->hash_pace);
	for (unsigned int i = 0; i < nic->nr_queues; i++) {
		close(nic->queues[i].fd);
		statefile_unmap(nic->queues[i].undo, sizeof(struct vif_undo));
	}
	free(nic->queues);
	stats_block_close(&nic->device.stats);
	if (nic->ctrl)
		statefile_unmap(nic->ctrl->undo, sizeof(struct vif_undo));
	free(nic->ctrl);
	vif_shared_done(&nic->shared, nic->set.keep);
}

const struct guest_device_ops nic_device_ops = {
	.start = MESSAGE_START_NIC,
	.size = sizeof(struct nic),
	.begin = nic_begin,
	.stop = nic_stop,
	.halt = nic_halt,
	.message = nic_message,
	.tell = nic_tell,
	.done = nic_done,
};
