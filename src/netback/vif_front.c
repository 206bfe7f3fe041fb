/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "control/front.h"
#include "netback/quirks.h"
#include "netback/vif_front.h"

#define HEADROOM_KEY "xdp-headroom"

static uint32_t read_ref(struct front_reader *r, const char *key)
{
	return front_number(r, key, 0, UINT32_MAX);
}

static uint32_t read_port(struct front_reader *r, const char *key)
{
	return front_number(r, key, 1, UINT32_MAX);
}

/* A queue has two ports, or one for both directions (netif.h, feature-split-event-channels). */
static void read_queue(struct front_reader *r, struct message_nic_queue *queue)
{
	bool split = front_has(r, "event-channel-tx");

	queue->tx_ref = read_ref(r, "tx-ring-ref");
	queue->rx_ref = read_ref(r, "rx-ring-ref");
	queue->tx_port = read_port(r, split ? "event-channel-tx" : "event-channel");
	queue->rx_port = split ? read_port(r, "event-channel-rx") : 0;
}

/*
 * Linux since 3.16 and Windows know several queues, and they also write a key about IPv6 checksums. FreeBSD knows
 * several queues, but writes no such key.
 */
static bool looks_like_freebsd(const struct front_reader *r)
{
	return front_has(r, "multi-queue-num-queues") && front_has(r, "feature-rx-notify") &&
	       !front_has(r, "feature-ipv6-csum-offload") && !front_has(r, "feature-gso-tcpv6");
}

static void read_features(struct front_reader *r, struct vif_front *front)
{
	struct offload_accept *accept = &front->accept;

	front->rx_notify = front_flag(r, "feature-rx-notify", false);
	accept->sg = front_flag(r, "feature-sg", false);
	accept->csum_v4 = !front_flag(r, "feature-no-csum-offload", false);
	accept->csum_v6 = front_flag(r, "feature-ipv6-csum-offload", false);
	/* A large frame has a blank checksum and needs more than one slot. */
	accept->gso_v4 = front_flag(r, "feature-gso-tcpv4", false) && accept->csum_v4 && accept->sg;
	accept->gso_v6 = front_flag(r, "feature-gso-tcpv6", false) && accept->csum_v6 && accept->sg;
	front->headroom = (uint16_t)front_optional(r, HEADROOM_KEY, 0, NETIF_MAX_HEADROOM, 0);
	front->is_freebsd = looks_like_freebsd(r);
}

int vif_front_read_headroom(struct device *dev, uint16_t *ret)
{
	struct front_reader r;
	uint32_t headroom;

	front_open(&r, dev);
	headroom = front_optional(&r, HEADROOM_KEY, 0, NETIF_MAX_HEADROOM, 0);
	if (!r.err)
		*ret = (uint16_t)headroom;
	return r.err;
}

static void read_ctrl(struct front_reader *r, struct vif_front *front)
{
	front->ctrl = front_has(r, "ctrl-ring-ref");
	if (!front->ctrl)
		return;
	front->ctrl_ref = read_ref(r, "ctrl-ring-ref");
	front->ctrl_port = read_port(r, "event-channel-ctrl");
}

/* One queue has flat keys. Several have a folder each (netif.h), which is read last. */
static void read_front(struct front_reader *r, unsigned int max_queues, struct vif_front *front)
{
	if (!front_flag(r, "request-rx-copy", false))
		front_refuse(r, -EOPNOTSUPP,
			     "the frontend accepts no copied packets (request-rx-copy), and we do "
			     "nothing else");
	read_features(r, front);
	read_ctrl(r, front);
	front->nr_queues = front_optional(r, "multi-queue-num-queues", 1, max_queues, 1);
	for (unsigned int i = 0; i < front->nr_queues; i++) {
		if (front->nr_queues > 1)
			front_enter_queue(r, i);
		read_queue(r, &front->queues[i]);
	}
}

int vif_front_read(struct device *dev, unsigned int max_queues, struct vif_front *ret)
{
	struct vif_front front = { 0 };
	struct front_reader r;

	store_hold_names(dev->env->store, dev->fe_path);
	front_open(&r, dev);
	read_front(&r, max_queues, &front);
	store_drop_names(dev->env->store);
	if (r.err)
		device_reason(dev, r.err, "%s", r.why);
	else
		*ret = front;
	return r.err;
}

void vif_front_apply_quirks(struct vif_front *front, unsigned int quirks)
{
	struct offload_accept *accept = &front->accept;

	if (quirks & QUIRK_NO_CSUM) {
		accept->csum_v4 = accept->csum_v6 = false;
		front->finish_csum = true;
	}
	if (quirks & QUIRK_SINGLE_SLOT)
		accept->sg = false;
	if (quirks & QUIRK_POLL)
		front->rx_notify = false;
	if (quirks & (QUIRK_NO_CSUM | QUIRK_NO_GSO | QUIRK_SINGLE_SLOT))
		accept->gso_v4 = accept->gso_v6 = false;
}
