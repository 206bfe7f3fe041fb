/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ring/ring.h"

/* Byte offsets in the shared header (xen/io/ring.h, struct sring). */
enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12 };

/*
 * Both directions are sequentially consistent. What the frontend wrote before it moved an index
 * is visible after we read it, and what we wrote before we move ours is visible to it; and a store
 * of ours comes before a load of ours that follows, which the two "publish, then look whether the
 * other side sleeps" idioms of ring.h need a full barrier for. (On x86 that is one locked store.)
 */
static uint32_t shared_load(const struct ring *ring, unsigned int offset)
{
	return __atomic_load_n((const uint32_t *)(const void *)(ring->shared + offset),
			       __ATOMIC_SEQ_CST);
}

static void shared_store(struct ring *ring, unsigned int offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(ring->shared + offset), value, __ATOMIC_SEQ_CST);
}

static uint8_t *slot_at(const struct ring *ring, uint32_t index)
{
	return ring->shared + RING_HEADER_SIZE +
	       (size_t)(index & (ring->nr_slots - 1)) * ring->slot_size;
}

uint32_t ring_count_slots(uint32_t bytes, uint32_t slot_size)
{
	uint32_t fit, nr = 1;

	if (slot_size == 0 || bytes < RING_HEADER_SIZE + slot_size)
		return 0;
	fit = (bytes - RING_HEADER_SIZE) / slot_size;
	while (nr <= fit / 2)
		nr *= 2;
	return nr;
}

int ring_attach(struct ring *ring, void *shared, uint32_t bytes, uint32_t slot_size)
{
	struct ring fresh = { .shared = shared, .slot_size = slot_size };
	uint32_t waiting;
	int err;

	fresh.nr_slots = ring_count_slots(bytes, slot_size);
	if (fresh.nr_slots == 0)
		return -EPROTO;
	fresh.rsp_public = shared_load(&fresh, RSP_PROD);
	fresh.rsp_prod = fresh.rsp_public;
	fresh.req_cons = fresh.rsp_public;
	err = ring_peek(&fresh, &waiting);
	if (err)
		return err;
	*ring = fresh;
	return 0;
}

uint32_t ring_in_flight(const struct ring *ring)
{
	return ring->req_cons - ring->rsp_prod;
}

int ring_peek(const struct ring *ring, uint32_t *ret_waiting)
{
	uint32_t waiting = shared_load(ring, REQ_PROD) - ring->req_cons; /* wraps by design */

	/* Responses land in request slots, so there is room for what is not answered only. */
	if (waiting > ring->nr_slots - (ring->req_cons - ring->rsp_public))
		return -EPROTO;
	*ret_waiting = waiting;
	return 0;
}

void ring_copy(const struct ring *ring, uint32_t ahead, void *ret_req, size_t size)
{
	memcpy(ret_req, slot_at(ring, ring->req_cons + ahead), size);
	/* The compiler must not read the slot again later (XSA-155). */
	__asm__ volatile("" ::: "memory");
}

void ring_consume(struct ring *ring, uint32_t nr)
{
	ring->req_cons += nr;
}

int ring_take(struct ring *ring, void *ret_req, size_t size)
{
	uint32_t waiting;
	int err = ring_peek(ring, &waiting);

	if (err)
		return err;
	if (waiting == 0)
		return 0;
	ring_copy(ring, 0, ret_req, size);
	ring_consume(ring, 1);
	return 1;
}

bool ring_rearm(struct ring *ring)
{
	return ring_rearm_beyond(ring, 0);
}

bool ring_rearm_beyond(struct ring *ring, uint32_t waiting)
{
	uint32_t seen = ring->req_cons + waiting;

	shared_store(ring, REQ_EVENT, seen + 1);
	/* After our req_event: pairs with the frontend's push-and-check. */
	return shared_load(ring, REQ_PROD) != seen;
}

/* Release order is enough: if the process dies, its stores are in memory in this order. */
static void undo_store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* In this order: between the two stores the undo holds nothing. */
static void undo_reset(struct ring *ring)
{
	if (!ring->undo)
		return;
	undo_store(&ring->undo->nr, 0);
	undo_store(&ring->undo->from, ring->rsp_public);
}

static size_t undo_bytes(const struct ring *ring)
{
	return ring->slot_size < RING_UNDO_BYTES ? ring->slot_size : RING_UNDO_BYTES;
}

int ring_use_undo(struct ring *ring, struct ring_undo *undo)
{
	uint32_t nr = undo->from == ring->rsp_public ? undo->nr : 0;

	if (nr > ring->nr_slots || ring->nr_slots > RING_UNDO_SLOTS)
		return -EBADMSG;
	for (uint32_t i = 0; i < nr; i++)
		memcpy(slot_at(ring, undo->from + i), undo->slots[i], undo_bytes(ring));
	ring->undo = undo;
	undo_reset(ring);
	return 0;
}

static void save_request(struct ring *ring)
{
	uint32_t nr = ring->rsp_prod - ring->rsp_public;

	memcpy(ring->undo->slots[nr], slot_at(ring, ring->rsp_prod), undo_bytes(ring));
	undo_store(&ring->undo->nr, nr + 1);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the response comes after it */
}

void ring_put(struct ring *ring, const void *rsp, size_t size)
{
	if (ring->undo) {
		assert(size <= RING_UNDO_BYTES);
		save_request(ring);
	}
	memcpy(slot_at(ring, ring->rsp_prod), rsp, size);
	ring->rsp_prod++;
}

bool ring_publish(struct ring *ring)
{
	uint32_t old = ring->rsp_public;
	uint32_t new = ring->rsp_prod;

	if (new == old)
		return false;
	shared_store(ring, RSP_PROD, new);
	ring->rsp_public = new;
	undo_reset(ring);
	/* After our rsp_prod: pairs with the frontend's final check. */
	return new - shared_load(ring, RSP_EVENT) < new - old;
}

void ring_indices(const struct ring *ring, struct ring_indices *ret)
{
	*ret = (struct ring_indices){ .req_cons = ring->req_cons, .rsp_filled = ring->rsp_prod };
	if (!ring->shared)
		return;
	ret->req_prod = shared_load(ring, REQ_PROD);
	ret->req_event = shared_load(ring, REQ_EVENT);
	ret->rsp_prod = shared_load(ring, RSP_PROD);
	ret->rsp_event = shared_load(ring, RSP_EVENT);
}
