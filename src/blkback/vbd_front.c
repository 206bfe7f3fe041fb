/* SPDX-License-Identifier: MIT */
/* The frontend's side of xenstore: every value is hostile. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkback/vbd.h"

/* Grant references and event channel ports have no meaning to check beyond their width. */
#define REF_MAX  UINT32_MAX
#define PORT_MAX (1u << 17) /* FIFO event channels; Xen refuses what the guest does not have */

struct reader {
	struct device *dev;
	char dir[STORE_PATH_MAX]; /* the frontend's, or its queue-N */
	char *why;
	size_t why_size;
};

static int read_number(struct reader *r, const char *key, uint32_t min, uint32_t max, uint32_t *ret)
{
	return store_read_u32(r->dev->env->store, XBT_NULL, r->dir, key, min, max, ret);
}

static int complain(struct reader *r, const char *key, int err)
{
	snprintf(r->why, r->why_size, "the frontend's key `%s` is %s", key,
		 err == -ENOENT ? "missing" : "not what the protocol allows");
	return err;
}

static int read_needed(struct reader *r, const char *key, uint32_t min, uint32_t max, uint32_t *ret)
{
	int err = read_number(r, key, min, max, ret);

	return err ? complain(r, key, err) : 0;
}

/* A key that may be missing. */
static int read_optional(struct reader *r, const char *key, uint32_t min, uint32_t max,
			 uint32_t *ret)
{
	int err = read_number(r, key, min, max, ret);

	return err && err != -ENOENT ? complain(r, key, err) : 0;
}

static int read_abi(struct reader *r, enum blkif_abi *ret)
{
	char protocol[32];
	int err = store_read(r->dev->env->store, XBT_NULL, r->dir, "protocol", protocol,
			     sizeof(protocol));

	if (err && err != -ENOENT)
		return complain(r, "protocol", err);
	err = blkif_abi_parse(err ? NULL : protocol, ret);
	return err ? complain(r, "protocol", err) : 0;
}

/*
 * How many pages each ring has, by `ring-page-order` or by the older `num-ring-pages`, a power
 * of two (blkif.h). 0 with *ret 0 when the frontend wrote neither.
 */
static int read_ring_pages(struct reader *r, uint32_t *ret)
{
	uint32_t order = UINT32_MAX, pages = 0;
	int err = read_optional(r, "ring-page-order", 0, VBD_MAX_RING_ORDER, &order);

	if (!err && order != UINT32_MAX)
		pages = 1u << order;
	else if (!err)
		err = read_optional(r, "num-ring-pages", 1, 1u << VBD_MAX_RING_ORDER, &pages);
	if (!err && pages & (pages - 1))
		err = complain(r, "num-ring-pages", -EINVAL);
	if (!err)
		*ret = pages;
	return err;
}

/* `ring-ref`, or `ring-ref0`.. when a size was agreed; Linux numbers even a single one then. */
static int read_refs(struct reader *r, bool sized, struct vbd_queue_setup *setup)
{
	char key[24];

	if (!sized || setup->nr_pages == 1) {
		int err = read_number(r, "ring-ref", 0, REF_MAX, &setup->refs[0]);

		if (!err || !sized)
			return err ? complain(r, "ring-ref", err) : 0;
	}
	for (uint32_t i = 0; i < setup->nr_pages; i++) {
		int err;

		snprintf(key, sizeof(key), "ring-ref%u", i);
		err = read_needed(r, key, 0, REF_MAX, &setup->refs[i]);
		if (err)
			return err;
	}
	return 0;
}

static int read_queue(struct reader *r, bool sized, struct vbd_queue_setup *setup)
{
	int err = read_refs(r, sized, setup);

	return err ? err : read_needed(r, "event-channel", 1, PORT_MAX, &setup->port);
}

static int enter_queue(struct reader *r, unsigned int index)
{
	int n = snprintf(r->dir, sizeof(r->dir), "%s/queue-%u", r->dev->fe_path, index);

	return n < 0 || (size_t)n >= sizeof(r->dir) ? -ENAMETOOLONG : 0;
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
	struct reader r = { .dev = dev, .why = why, .why_size = size };
	uint32_t pages = 0, nr_queues = 1;
	int err;

	memcpy(r.dir, dev->fe_path, sizeof(r.dir));
	store_read_flag(dev->env->store, XBT_NULL, r.dir, "feature-persistent", false,
			&front->persistent);
	err = read_abi(&r, &front->abi);
	if (!err && !plain)
		err = read_ring_pages(&r, &pages);
	if (!err && !plain)
		err = read_optional(&r, "multi-queue-num-queues", 1, max_queues, &nr_queues);
	for (unsigned int i = 0; i < nr_queues && !err; i++) {
		struct vbd_queue_setup *setup = &front->queues[i];

		setup->abi = front->abi;
		setup->nr_pages = pages ? pages : 1;
		if (nr_queues > 1)
			err = enter_queue(&r, i);
		if (!err)
			err = read_queue(&r, pages > 0, setup);
	}
	front->nr_queues = nr_queues;
	return err;
}
