/* SPDX-License-Identifier: MIT */
/* blk_bus.c - how different frontends connect and disconnect. */
#include "simblk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static uint64_t most_order(struct blk_front *f)
{
	uint64_t pages;

	if (!f->opt.ring_pages)
		return bus_read_back(&f->bus, "max-ring-page-order", 0);
	pages = bus_read_back(&f->bus, "max-ring-pages", 0);
	return pages ? 63u - (unsigned int)__builtin_clzll(pages) : 0;
}

/* Choose the features that the backend offers, of those that were asked for, before the rings are made. */
static void negotiate(struct blk_front *f)
{
	bool plain = f->opt.profile == BLK_LEGACY || f->opt.profile == BLK_OVMF;
	uint64_t order = plain ? 0 : most_order(f);
	uint64_t queues = plain ? 1 : bus_read_back(&f->bus, "multi-queue-max-queues", 1);

	if (order > f->opt.ring_order)
		order = f->opt.ring_order;
	f->nr_ring_pages = 1u << order;
	f->nr_queues = queues && queues < f->opt.queues ? (uint32_t)queues : f->opt.queues;
}

static void write_queue(struct blk_front *f, xs_transaction_t t, uint32_t i)
{
	struct blk_queue *q = &f->queue[i];
	char dir[24] = "", key[64];

	if (f->nr_queues > 1)
		snprintf(dir, sizeof(dir), "queue-%u/", i);
	for (uint32_t k = 0; k < q->nr_pages; k++) {
		if (q->nr_pages == 1)
			snprintf(key, sizeof(key), "%sring-ref", dir);
		else
			snprintf(key, sizeof(key), "%sring-ref%u", dir, k);
		bus_write(&f->bus, t, key, "%u", q->ref[k]);
	}
	snprintf(key, sizeof(key), "%sevent-channel", dir);
	bus_write(&f->bus, t, key, "%d", q->port);
}

static void write_keys(void *user, xs_transaction_t t)
{
	struct blk_front *f = user;
	struct bus *bus = &f->bus;
	uint32_t order = (uint32_t)__builtin_ctz(f->nr_ring_pages);

	if (order && f->opt.ring_pages)
		bus_write(bus, t, "num-ring-pages", "%u", f->nr_ring_pages);
	else if (order)
		bus_write(bus, t, "ring-page-order", "%u", order);
	if (f->nr_queues > 1)
		bus_write(bus, t, "multi-queue-num-queues", "%u", f->nr_queues);
	for (uint32_t i = 0; i < f->nr_queues; i++)
		write_queue(f, t, i);
	if (!f->opt.no_protocol)
		bus_write(bus, t, "protocol", "%s",
			  f->opt.abi == BLK_ABI_32 ? "x86_32-abi" : "x86_64-abi");
	if (f->opt.profile == BLK_LINUX || f->opt.profile == BLK_KEXEC)
		bus_write(bus, t, "feature-persistent", "%u", f->opt.persistent);
	if (f->opt.profile == BLK_WINDOWS) {
		bus_write(bus, t, "target-id", "0");
		bus_write(bus, t, "feature-surprise-remove", "1");
		bus_write(bus, t, "feature-online-resize", "1");
	}
}

static bool is_ovmf(const struct blk_front *f)
{
	return f->opt.profile == BLK_OVMF;
}

/* OVMF says in the same transaction that it is connected. */
static void write_keys_and_state(void *user, xs_transaction_t t)
{
	struct blk_front *f = user;

	write_keys(f, t);
	bus_write(&f->bus, t, "state", "%d", BUS_CONNECTED);
}

static int publish(struct blk_front *f)
{
	int err = bus_publish(&f->bus, is_ovmf(f) ? write_keys_and_state : write_keys, f);

	if (!err && !is_ovmf(f))
		bus_switch(&f->bus, BUS_INITIALISED);
	return err;
}

/* The backend is connected: what is this disk? */
static int read_disk(struct blk_front *f)
{
	struct bus *bus = &f->bus;
	uint64_t segs = bus_read_back(bus, "feature-max-indirect-segments", 0);
	uint64_t sector_size = bus_read_back(bus, "sector-size", 0);

	f->nr_sectors = bus_read_back(bus, "sectors", 0);
	if (!f->nr_sectors || sector_size != BLK_SECTOR) {
		fprintf(stderr, "simblk: sectors=%llu sector-size=%llu\n",
			(unsigned long long)f->nr_sectors, (unsigned long long)sector_size);
		return -EPROTO;
	}
	/* Like Linux: decided by what the backend says once it is connected. */
	f->persistent = f->opt.persistent && bus_read_back(bus, "feature-persistent", 0);
	f->readonly = bus_read_back(bus, "info", 0) & 4;
	f->flush = bus_read_back(bus, "feature-flush-cache", 0);
	f->discard = bus_read_back(bus, "feature-discard", 0);
	f->max_segs = f->opt.segs;
	if (segs < BLK_DIRECT_SEGS || f->opt.profile == BLK_OVMF || f->opt.profile == BLK_LEGACY)
		segs = BLK_DIRECT_SEGS;
	if (f->max_segs > segs)
		f->max_segs = (uint32_t)segs;
	return 0;
}

static int prepare(struct blk_front *f)
{
	int err;

	switch (f->opt.profile) {
	case BLK_WINDOWS:
		return bus_reset(&f->bus);
	case BLK_KEXEC:
		/* The old kernel's rings are still there: the new one finds state 4. */
		if (bus_read_front(&f->bus, "state", 0) == BUS_CONNECTED) {
			err = bus_shut(&f->bus);
			blk_queues_close(f); /* at 6 nothing of them is mapped any more */
			return err ? err : bus_begin_anew(&f->bus);
		}
		return bus_expect(&f->bus, BUS_MASK(BUS_INIT_WAIT), BUS_CONNECT_MS, "2");
	case BLK_STRAIGHT:
		/* From 4 to 1 directly: a driver that was never told to stop. */
		if (bus_read_front(&f->bus, "state", 0) != BUS_CONNECTED)
			break;
		err = bus_begin_anew(&f->bus);
		blk_queues_close(f);
		return err;
	case BLK_LEGACY:
		return 0; /* writes its keys without waiting for anybody */
	case BLK_LINUX:
	case BLK_OVMF:
		break;
	}
	return bus_expect(&f->bus, BUS_MASK(BUS_INIT_WAIT), BUS_CONNECT_MS, "2");
}

int blk_connect(struct blk_front *f)
{
	int err = prepare(f);

	if (err)
		return err;
	negotiate(f);
	blk_queues_open(f);
	err = publish(f);
	/* A state 6 of the last life is no answer for a frontend that has not waited for it. */
	if (!err && f->opt.profile == BLK_LEGACY)
		bus_wait(&f->bus, ~BUS_MASK(BUS_CLOSED), BUS_CONNECT_MS);
	if (!err)
		err = bus_expect(&f->bus, BUS_MASK(BUS_CONNECTED), BUS_CONNECT_MS, "4");
	if (!err)
		err = read_disk(f);
	if (!err && !is_ovmf(f))
		bus_switch(&f->bus, BUS_CONNECTED);
	return err;
}

static void remove_keys(struct blk_front *f)
{
	bus_remove(&f->bus, XBT_NULL, "ring-ref");
	bus_remove(&f->bus, XBT_NULL, "event-channel");
	bus_remove(&f->bus, XBT_NULL, "protocol");
}

/* OVMF counts a backend that is at 6 before it was at 5 as a failure. */
static int disconnect_ovmf(struct blk_front *f)
{
	int err;

	bus_switch(&f->bus, BUS_CLOSING);
	err = bus_expect(&f->bus, BUS_MASK(BUS_CLOSING), BUS_STEP_MS, "5");
	if (err)
		return err;
	bus_switch(&f->bus, BUS_CLOSED);
	err = bus_expect(&f->bus, BUS_MASK(BUS_CLOSED), BUS_STEP_MS, "6");
	if (err)
		return err;
	bus_switch(&f->bus, BUS_INITIALISING);
	err = bus_expect(&f->bus,
			 BUS_MASK(BUS_INITIALISING) | BUS_MASK(BUS_INIT_WAIT) |
				 BUS_MASK(BUS_CLOSED),
			 BUS_STEP_MS, "1, 2 or 6");
	remove_keys(f);
	blk_queues_close(f);
	return err;
}

static void close_queues(void *user)
{
	blk_queues_close(user);
}

int blk_disconnect(struct blk_front *f)
{
	if (f->opt.profile == BLK_KEXEC || f->opt.profile == BLK_STRAIGHT)
		return 0; /* the old kernel just stops */
	return is_ovmf(f) ? disconnect_ovmf(f) : bus_leave(&f->bus, close_queues, f);
}
