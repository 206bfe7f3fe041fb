/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as values in xenstore: in the frontend's directory, in our own directory, and for the
 * scripts. All accepted values are within the ranges of the protocol.
 */
#include <stdio.h>

#include "blkback/vbd.h"
#include "fuzz/fakes.h"
#include "fuzz/fuzz.h"
#include "hotplug/target.h"
#include "hotplug/vifconf.h"
#include "core/rate.h"
#include "netback/vif_front.h"

#define BE "/local/domain/0/backend/vbd/1/51712"
#define FE "/local/domain/1/device/vbd/51712"

enum { VALUE_MAX = 72 };

static const char *const keys[] = {
	/* disks */
	"ring-ref", "ring-ref0", "ring-ref1", "ring-ref15", "event-channel", "protocol",
	"ring-page-order", "multi-queue-num-queues", "queue-0/ring-ref", "queue-0/event-channel",
	"queue-1/ring-ref", "queue-1/event-channel", "queue-1/ring-ref1",
	/* NICs */
	"request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv4",
	"feature-gso-tcpv6", "feature-no-csum-offload", "feature-ipv6-csum-offload", "tx-ring-ref",
	"rx-ring-ref", "event-channel-tx", "event-channel-rx", "queue-0/tx-ring-ref",
	"queue-0/rx-ring-ref", "queue-1/tx-ring-ref", "queue-1/rx-ring-ref",
	"queue-0/event-channel-tx", "queue-0/event-channel-rx", "queue-1/event-channel-tx"
};

enum { NR_KEYS = sizeof(keys) / sizeof(keys[0]) };

static bool plugged(struct device *dev)
{
	(void)dev;
	return true;
}

static void judge_vbd(struct device *dev, unsigned int max_queues, bool plain)
{
	struct vbd_front front = { 0 };
	char why[160] = "";

	if (vbd_front_read(dev, max_queues, plain, &front, why, sizeof(why))) {
		HOLDS(strlen(why) < sizeof(why));
		return;
	}
	HOLDS(front.nr_queues >= 1 && front.nr_queues <= (plain ? 1 : max_queues));
	HOLDS((unsigned int)front.abi <= 2);
	for (unsigned int i = 0; i < front.nr_queues; i++) {
		const struct message_disk_ring *q = &front.rings[i];

		HOLDS(q->port >= 1);
		HOLDS(q->nr_pages >= 1 && q->nr_pages <= 1u << VBD_MAX_RING_ORDER);
		HOLDS((q->nr_pages & (q->nr_pages - 1)) == 0 && (!plain || q->nr_pages == 1));
	}
}

static void judge_vif(struct device *dev, unsigned int max_queues)
{
	struct vif_front front;

	if (vif_front_read(dev, max_queues, &front))
		return;
	HOLDS(front.nr_queues >= 1 && front.nr_queues <= max_queues);
	HOLDS(!front.accept.gso_v4 || (front.accept.sg && front.accept.csum_v4));
	HOLDS(!front.accept.gso_v6 || (front.accept.sg && front.accept.csum_v6));
	for (unsigned int i = 0; i < front.nr_queues; i++)
		HOLDS(front.queues[i].tx_port >= 1);
}

/* Values of the admin: for a wrong one there is an error message. */
static void judge_texts(const char *text, const char *other)
{
	struct hotplug_failure failure = { 0 };
	struct hotplug_image image;
	char name[IFNAMSIZ];
	unsigned int mtu = 0;
	uint32_t bytes, usecs;

	if (rate_parse(text, &bytes, &usecs) == 0)
		HOLDS(strchr(text, ','));
	if (hotplug_target_parse(other, text, &image, &failure) == 0)
		HOLDS(image.is_nbd || !*image.path || *image.path == '/');
	if (vifconf_final_name("vif1.0", text, HOTPLUG_IFTYPE_TAP, name, &failure) == 0)
		HOLDS(*name && strlen(name) < IFNAMSIZ && !strchr(name, '/'));
	if (vifconf_mtu(text, 1500, &mtu, &failure) == 0)
		HOLDS(mtu >= 68 && mtu <= 65521);
	if (vifconf_old_bridge_name(text, name))
		HOLDS(strlen(name) < IFNAMSIZ);
}

static void fill(struct fuzz_input *in, char last[2][VALUE_MAX + 1])
{
	for (unsigned int i = 0; in->left; i++) {
		uint8_t key = fuzz_u8(in), len = fuzz_u8(in) % (VALUE_MAX + 1);
		char path[96], *value = last[i % 2];

		memset(value, 0, VALUE_MAX + 1);
		fuzz_bytes(in, value, len);
		snprintf(path, sizeof(path), FE "/%s", keys[key % NR_KEYS]);
		fake_write(path, value, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_ops ops = { .kind = "vbd",
					       .size = sizeof(struct device),
					       .plugged = plugged };
	struct fuzz_input in = { data, size };
	char last[2][VALUE_MAX + 1] = { "", "" };
	struct store store;
	struct device_env env = { .store = &store, .nr_workers = 4 };
	struct device *dev;
	unsigned int max_queues;

	fake_reset();
	HOLDS(store_open(&store) == 0);
	dev = device_new(&ops, &env, 1, 51712);
	HOLDS(dev);
	strcpy(dev->fe_path, FE);
	fake_writef(BE "/state", "4");
	max_queues = 1 + fuzz_u8(&in) % 4;
	fill(&in, last);
	judge_vbd(dev, max_queues, false);
	judge_vbd(dev, max_queues, true);
	vbd_front_has_plain(dev);
	judge_vif(dev, max_queues);
	judge_texts(last[0], last[1]);
	device_free(dev);
	store_close(&store);
	return 0;
}
