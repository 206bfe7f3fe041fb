/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netback/quirks.h"
#include "netback/vif_front.h"

#define HEADROOM_KEY "xdp-headroom"
#define READ_FAILED  "the frontend's %s cannot be used: %s"

static int read_number(struct device *dev, const char *dir, const char *key, uint32_t min,
		       uint32_t *ret)
{
	int err = store_read_u32(dev->env->store, XBT_NULL, dir, key, min, UINT32_MAX, ret);

	if (err)
		device_reason(dev, err, READ_FAILED, key, strerror(-err));
	return err;
}

static int read_flag(struct device *dev, const char *key, bool fallback, bool *ret)
{
	int err = store_read_flag(dev->env->store, XBT_NULL, dev->fe_path, key, fallback, ret);

	if (err)
		device_reason(dev, err, READ_FAILED, key, strerror(-err));
	return err;
}

/* Two ports, or one for both (netif.h, feature-split-event-channels). */
static int read_ports(struct device *dev, const char *dir, struct vif_front_queue *ret)
{
	int err;

	if (!store_exists(dev->env->store, XBT_NULL, dir, "event-channel-tx")) {
		ret->rx_port = 0;
		return read_number(dev, dir, "event-channel", 1, &ret->tx_port);
	}
	err = read_number(dev, dir, "event-channel-tx", 1, &ret->tx_port);
	return err ? err : read_number(dev, dir, "event-channel-rx", 1, &ret->rx_port);
}

static int read_queue(struct device *dev, const char *dir, struct vif_front_queue *ret)
{
	int err = read_number(dev, dir, "tx-ring-ref", 0, &ret->tx_ref);

	if (!err)
		err = read_number(dev, dir, "rx-ring-ref", 0, &ret->rx_ref);
	return err ? err : read_ports(dev, dir, ret);
}

/* One queue has flat keys, several have a folder each (netif.h). */
static int read_queues(struct device *dev, struct vif_front *front)
{
	char dir[STORE_PATH_MAX];
	int err = 0;

	if (front->nr_queues == 1)
		return read_queue(dev, dev->fe_path, &front->queues[0]);
	for (unsigned int i = 0; !err && i < front->nr_queues; i++) {
		if (snprintf(dir, sizeof(dir), "%s/queue-%u", dev->fe_path, i) >= (int)sizeof(dir))
			return -ENAMETOOLONG;
		err = read_queue(dev, dir, &front->queues[i]);
	}
	return err;
}

static int read_nr_queues(struct device *dev, unsigned int max_queues, unsigned int *ret)
{
	static const char key[] = "multi-queue-num-queues";
	uint32_t nr = 1;
	int err = store_read_u32(dev->env->store, XBT_NULL, dev->fe_path, key, 1, max_queues, &nr);

	if (err && err != -ENOENT) {
		device_reason(dev, err, "the frontend's %s is not a number from 1 to %u", key,
			      max_queues);
		return err;
	}
	*ret = nr;
	return 0;
}

/*
 * It knows several queues, as Linux does since 3.16 and Windows, and then those say something about IPv6
 * checksums too. FreeBSD does not.
 */
static bool looks_like_freebsd(struct device *dev)
{
	struct store *store = dev->env->store;

	return store_exists(store, XBT_NULL, dev->fe_path, "multi-queue-num-queues") &&
	       store_exists(store, XBT_NULL, dev->fe_path, "feature-rx-notify") &&
	       !store_exists(store, XBT_NULL, dev->fe_path, "feature-ipv6-csum-offload") &&
	       !store_exists(store, XBT_NULL, dev->fe_path, "feature-gso-tcpv6");
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

static int read_features(struct device *dev, struct vif_front *front)
{
	struct offload_accept *accept = &front->accept;
	bool no_csum;
	int err = read_flag(dev, "feature-rx-notify", false, &front->rx_notify);

	if (!err)
		err = read_flag(dev, "feature-sg", false, &accept->sg);
	if (!err)
		err = read_flag(dev, "feature-gso-tcpv4", false, &accept->gso_v4);
	if (!err)
		err = read_flag(dev, "feature-gso-tcpv6", false, &accept->gso_v6);
	if (!err)
		err = read_flag(dev, "feature-no-csum-offload", false, &no_csum);
	if (!err)
		err = read_flag(dev, "feature-ipv6-csum-offload", false, &accept->csum_v6);
	if (err)
		return err;
	accept->csum_v4 = !no_csum;
	front->is_freebsd = looks_like_freebsd(dev);
	/* A large frame comes with a blank checksum and needs more than one slot. */
	accept->gso_v4 = accept->gso_v4 && accept->csum_v4 && accept->sg;
	accept->gso_v6 = accept->gso_v6 && accept->csum_v6 && accept->sg;
	return 0;
}

int vif_front_read_headroom(struct device *dev, uint16_t *ret)
{
	uint32_t headroom = 0;
	int err = store_read_u32(dev->env->store, XBT_NULL, dev->fe_path, HEADROOM_KEY, 0,
				 NETIF_MAX_HEADROOM, &headroom);

	if (err && err != -ENOENT)
		return err;
	*ret = (uint16_t)headroom;
	return 0;
}

static int read_headroom(struct device *dev, struct vif_front *front)
{
	int err = vif_front_read_headroom(dev, &front->headroom);

	if (err)
		device_reason(dev, err,
			      "the frontend's " HEADROOM_KEY " is not a number from 0 to %u",
			      NETIF_MAX_HEADROOM);
	return err;
}

static int read_ctrl(struct device *dev, struct vif_front *front)
{
	int err;

	front->ctrl = store_exists(dev->env->store, XBT_NULL, dev->fe_path, "ctrl-ring-ref");
	if (!front->ctrl)
		return 0;
	err = read_number(dev, dev->fe_path, "ctrl-ring-ref", 0, &front->ctrl_ref);
	return err ? err
		   : read_number(dev, dev->fe_path, "event-channel-ctrl", 1, &front->ctrl_port);
}

static int read_front(struct device *dev, unsigned int max_queues, struct vif_front *ret)
{
	struct vif_front front = { 0 };
	bool copy;
	int err = read_flag(dev, "request-rx-copy", false, &copy);

	if (!err && !copy) {
		err = -EOPNOTSUPP;
		device_reason(dev, err,
			      "the frontend accepts no copied packets "
			      "(request-rx-copy), and we do nothing else");
	}
	if (!err)
		err = read_nr_queues(dev, max_queues, &front.nr_queues);
	if (!err)
		err = read_features(dev, &front);
	if (!err)
		err = read_queues(dev, &front);
	if (!err)
		err = read_ctrl(dev, &front);
	if (!err)
		err = read_headroom(dev, &front);
	if (!err)
		*ret = front;
	return err;
}

int vif_front_read(struct device *dev, unsigned int max_queues, struct vif_front *ret)
{
	int err;

	store_hold_names(dev->env->store, dev->fe_path);
	err = read_front(dev, max_queues, ret);
	store_drop_names(dev->env->store);
	return err;
}
