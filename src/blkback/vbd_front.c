/* SPDX-License-Identifier: MIT */
/* The frontend's side of xenstore: every value is hostile. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkback/vbd.h"
#include "control/front.h"

/* Of grant references and event channel ports, only the width can be checked. */
#define REF_MAX  UINT32_MAX
#define PORT_MAX (1u << 17) /* FIFO event channels; Xen refuses a port that is not the guest's */

static enum blkif_abi read_abi(struct front_reader *r)
{
	enum blkif_abi abi = BLKIF_ABI_64;
	char protocol[32];
	bool given = front_text(r, "protocol", protocol, sizeof(protocol));

	if (!r->err && blkif_abi_parse(given ? protocol : NULL, &abi))
		front_refuse(r, -EINVAL, "the frontend's key `protocol` is `%s`, and no ABI",
			     protocol);
	return abi;
}

/*
 * How many pages each ring has: by `ring-page-order`, or by the older `num-ring-pages`, a power of two (blkif.h). 0
 * when the frontend wrote neither.
 */
static uint32_t read_ring_pages(struct front_reader *r)
{
	uint32_t pages;

	if (front_has(r, "ring-page-order"))
		return 1u << front_number(r, "ring-page-order", 0, VBD_MAX_RING_ORDER);
	pages = front_optional(r, "num-ring-pages", 1, 1u << VBD_MAX_RING_ORDER, 0);
	if (pages & (pages - 1))
		front_refuse(r, -EINVAL, "the frontend's key `num-ring-pages` is no power of two");
	return pages;
}

/* Read `ring-ref`, or `ring-ref0`.. if the frontend wrote a size. Linux then numbers even a single page. */
static void read_refs(struct front_reader *r, bool sized, struct message_disk_ring *ring)
{
	char key[24];

	if (!sized || (ring->nr_pages == 1 && front_has(r, "ring-ref"))) {
		ring->refs[0] = front_number(r, "ring-ref", 0, REF_MAX);
		return;
	}
	for (uint32_t i = 0; i < ring->nr_pages; i++) {
		snprintf(key, sizeof(key), "ring-ref%u", i);
		ring->refs[i] = front_number(r, key, 0, REF_MAX);
	}
}

static void read_queue(struct front_reader *r, uint32_t pages, struct message_disk_ring *ring)
{
	ring->nr_pages = pages ? pages : 1;
	read_refs(r, pages > 0, ring);
	ring->port = front_number(r, "event-channel", 1, PORT_MAX);
}

bool vbd_front_has_plain(struct device *dev)
{
	static const char *const others[] = { "ring-page-order", "num-ring-pages",
					      "multi-queue-num-queues" };
	struct store *store = dev->env->store;
	bool found = false;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		found |= store_exists(store, XBT_NULL, dev->fe_path, others[i]);
	return found && store_exists(store, XBT_NULL, dev->fe_path, "ring-ref");
}

int vbd_front_read(struct device *dev, unsigned int max_queues, bool plain, struct vbd_front *front,
		   char *why, size_t size)
{
	struct front_reader r;
	uint32_t pages = 0;

	front_open(&r, dev);
	/* Nonsense counts as "no": the frontend then works without. */
	store_read_flag(dev->env->store, XBT_NULL, r.dir, "feature-persistent", false,
			&front->persistent);
	front->abi = read_abi(&r);
	front->nr_queues = 1;
	if (!plain) {
		pages = read_ring_pages(&r);
		front->nr_queues = front_optional(&r, "multi-queue-num-queues", 1, max_queues, 1);
	}
	for (unsigned int i = 0; i < front->nr_queues; i++) {
		if (front->nr_queues > 1)
			front_enter_queue(&r, i);
		read_queue(&r, pages, &front->rings[i]);
	}
	if (r.err)
		snprintf(why, size, "%s", r.why);
	return r.err;
}
