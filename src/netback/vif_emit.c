/* SPDX-License-Identifier: MIT */
/* Puts frames into receive slots. */
#include <inttypes.h>

#include "netback/vif_emit.h"

/* How many extras go with a frame. */
static uint32_t count_extras(const struct vif_queue *q, const struct offload_plan *plan,
			     enum netif_gso_type gso_type)
{
	return (gso_type != NETIF_GSO_NONE ? 1u : 0u) + (plan->hash.valid ? 1u : 0u) +
	       (q->rx.headroom ? 1u : 0u);
}

uint32_t vif_emit_count(const struct vif_queue *q, uint32_t len, const struct offload_plan *plan,
			enum netif_gso_type gso_type)
{
	return netif_rx_count_slots(q->rx.headroom + len, count_extras(q, plan, gso_type));
}

/* Take the next posted slot. The caller has checked that one is available. */
static struct vif_rx_slot *next_slot(struct vif_queue *q, uint32_t *ret_gref)
{
	struct vif_rx_slot *slot = &q->rx.slots[q->rx.nr_slots++];
	struct netif_rx_request request;

	ring_copy(&q->rx.ring, 0, &request, sizeof(request));
	ring_consume(&q->rx.ring, 1);
	q->rx.available--;
	slot->response = (struct netif_rx_response){ .id = request.id };
	slot->is_extra = false;
	*ret_gref = request.gref;
	return slot;
}

static void put_data(struct vif_queue *q, uint8_t *data, uint32_t offset, uint32_t len,
		     uint16_t flags)
{
	struct grant_copy copy = { .direction = GRANT_TO_GUEST,
				   .domid = q->id.domid,
				   .offset = offset,
				   .len = len,
				   .local = data };
	struct vif_rx_slot *slot = next_slot(q, &copy.ref);

	slot->response.offset = (uint16_t)offset;
	slot->response.flags = flags;
	slot->response.status = (int16_t)len;
	slot->copy = grant_batch_add(&q->part.worker->copies, &copy);
}

/* `left`: how many more follow. */
static void put_extra(struct vif_queue *q, struct netif_extra extra, uint32_t left)
{
	uint32_t gref;
	struct vif_rx_slot *slot = next_slot(q, &gref);

	extra.flags = left ? NETIF_EXTRA_MORE : 0;
	slot->is_extra = true;
	slot->extra = extra;
}

static struct netif_extra gso_extra(const struct offload_plan *plan)
{
	return (struct netif_extra){ .type = NETIF_EXTRA_GSO,
				     .gso.size = plan->gso_size,
				     .gso.type = (uint8_t)plan->gso_type };
}

static struct netif_extra hash_extra(const struct hash_value *hash)
{
	struct netif_extra extra = { .type = NETIF_EXTRA_HASH,
				     .hash.type = (uint8_t)hash->type,
				     .hash.algorithm = HASH_TOEPLITZ };

	for (unsigned int i = 0; i < 4; i++)
		extra.hash.value[i] = (uint8_t)(hash->value >> 8 * i);
	return extra;
}

static struct netif_extra xdp_extra(uint32_t headroom)
{
	return (struct netif_extra){ .type = NETIF_EXTRA_XDP, .xdp.headroom = (uint16_t)headroom };
}

static void put_extras(struct vif_queue *q, const struct offload_plan *plan,
		       enum netif_gso_type gso_type)
{
	uint32_t left = count_extras(q, plan, gso_type);

	if (gso_type != NETIF_GSO_NONE)
		put_extra(q, gso_extra(plan), --left);
	if (plan->hash.valid)
		put_extra(q, hash_extra(&plan->hash), --left);
	if (q->rx.headroom)
		put_extra(q, xdp_extra(q->rx.headroom), --left);
}

static void keep_pages(struct vif_queue *q, uint32_t len)
{
	uint32_t nr = vif_pool_keep_rx(q->pool, len);

	q->rx.pages_left -= nr < q->rx.pages_left ? nr : q->rx.pages_left;
}

void vif_emit(struct vif_queue *q, uint8_t *frame, uint32_t len, const struct offload_plan *plan,
	      enum netif_gso_type gso_type)
{
	uint16_t flags = plan->flags;

	trace(q->trace, TRACE_NET, &q->id,
	      "rx-frame at=%" PRIu32 " len=%" PRIu32 " flags=%u gso_type=%d gso_size=%u",
	      q->rx.ring.req_cons, len, flags, (int)gso_type, plan->gso_size);
	if (count_extras(q, plan, gso_type))
		flags |= NETIF_RX_EXTRA_INFO;
	for (uint32_t at = 0, offset = q->rx.headroom; at < len; offset = 0) {
		uint32_t space = NETIF_PAGE_SIZE - offset;
		uint32_t part = len - at < space ? len - at : space;

		if (at + part < len)
			flags |= NETIF_RX_MORE_DATA;
		put_data(q, frame + at, offset, part, flags);
		if (at == 0)
			put_extras(q, plan, gso_type);
		flags = 0;
		at += part;
	}
	q->rx.nr_frames++;
	vif_emit_capture(q, frame, len, NULL);
	keep_pages(q, q->rx.headroom + len);
	if (gso_type != NETIF_GSO_NONE)
		stat_add(&q->stats->rx_gso, 1);
}

void vif_emit_capture(struct vif_queue *q, uint8_t *frame, uint32_t len, const char *why)
{
	struct capture *to = vif_capture_get(&q->shared->capture);
	struct iovec iov = { frame, len };

	if (to)
		capture_add(to, &iov, 1, false, why);
}

/* True when the guest has got the data of the slot. */
static bool put_response(struct vif_queue *q, const struct vif_rx_slot *slot)
{
	struct netif_rx_response response = slot->response;
	bool good;

	if (slot->is_extra) {
		ring_put(&q->rx.ring, &slot->extra, sizeof(slot->extra));
		return true;
	}
	good = slot->copy >= 0 && grant_batch_ok(&q->part.worker->copies, (uint32_t)slot->copy);
	if (!good)
		response.status = NETIF_STATUS_ERROR;
	ring_put(&q->rx.ring, &response, sizeof(response));
	return good;
}

/* A frame is lost if any of its slots is. */
void vif_emit_answer(struct vif_queue *q)
{
	uint32_t len = 0;
	bool good = true;

	for (uint32_t i = 0; i < q->rx.nr_slots; i++) {
		const struct vif_rx_slot *slot = &q->rx.slots[i];

		good = put_response(q, slot) && good;
		if (slot->is_extra)
			continue;
		len += (uint16_t)slot->response.status;
		if (slot->response.flags & NETIF_RX_MORE_DATA)
			continue;
		stat_add(&q->stats->rx_packets, good ? 1 : 0);
		stat_add(&q->stats->rx_bytes, good ? len : 0);
		stat_add(&q->stats->rx_drop_copy, good ? 0 : 1);
		good = true;
		len = 0;
	}
	q->rx.nr_slots = 0;
}
