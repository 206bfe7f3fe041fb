/* SPDX-License-Identifier: MIT */
/* From the guest: transmit ring -> checked packets -> grant copy -> tap. */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "netback/checksum.h"
#include "netback/tap_batch.h"
#include "netback/vif_queue.h"

static_assert(VIF_BATCH <= TAP_BATCH_MAX, "a pass's frames are one batch");

/* --- take --- */

static void throttle_over(void *user)
{
	struct vif_queue *q = user;

	queue_mark(&q->part.queue);
}

/* True when the packet may be sent now. */
static bool rate_allows(struct vif_queue *q, struct offload_wire wire)
{
	uint64_t wait_ns = 0;

	if (rate_pair_is_set(&q->shared->limits.tx))
		wait_ns = rate_pair_take(&q->shared->limits.tx, wire.packets, wire.bytes,
					 loop_now_ns());
	if (!wait_ns) {
		vif_queue_waited(q, &q->tx.throttled_ns, &q->stats->time_tx_limit);
		return true;
	}
	if (wait_ns > VIF_MAX_WAIT_NS)
		wait_ns = VIF_MAX_WAIT_NS;
	q->tx.throttled = true;
	if (!q->tx.throttled_ns)
		q->tx.throttled_ns = worker_now(q->part.worker);
	stat_add(&q->stats->tx_throttled, 1);
	loop_timer_set(q->part.worker->loop, &q->tx.timer, wait_ns, throttle_over, q);
	return false;
}

/* Every slot begins its own page, so that no copy is split at the end of a local page. */
static void add_copies(struct vif_queue *q, struct vif_tx_packet *p)
{
	for (uint32_t i = 0; i < p->packet.nr_slots; i++) {
		const struct netif_slot *slot = &p->packet.slots[i];
		struct grant_copy copy = { .direction = GRANT_FROM_GUEST,
					   .domid = q->id.domid,
					   .ref = slot->gref,
					   .offset = slot->offset,
					   .len = slot->size,
					   .local = p->pages + i * NETIF_PAGE_SIZE };

		/* Nothing is copied for an empty slot: its grant is not used (XSA-448). */
		p->copies[i] = slot->size ? grant_batch_add(&q->part.worker->copies, &copy) : -1;
	}
}

static void trace_taken(struct vif_queue *q, const struct netif_tx_packet *packet)
{
	trace(q->trace, TRACE_NET, &q->id,
	      "tx-packet at=%" PRIu32 " id=%u kind=%d len=%" PRIu32 " slots=%" PRIu32
	      " extras=%" PRIu32 " csum_blank=%d validated=%d gso_type=%d gso_size=%u",
	      q->tx.ring.req_cons, packet->slots[0].id, (int)packet->kind, packet->total,
	      packet->nr_slots, packet->nr_extras, packet->csum_blank, packet->data_validated,
	      (int)packet->gso_type, packet->gso_size);
}

/* NULL when the frame has to wait for another pass. */
static uint8_t *take_pages(struct vif_queue *q, uint32_t nr)
{
	uint8_t *pages = NULL;

	if (nr <= q->tx.pages_left) {
		pages = vif_pool_take_tx(q->pool, nr);
		q->part.queue.hungry |= !pages;
	}
	q->tx.more |= !pages;
	q->tx.pages_left -= pages ? nr : 0;
	return pages;
}

/* Returns the ring slots that were consumed; 0 when the packet must wait or the ring is broken. */
static uint32_t take_packet(struct vif_queue *q, uint32_t waiting)
{
	struct vif_tx_packet *p = &q->tx.packets[q->tx.nr_packets];
	struct offload_wire wire = { 0 };
	const char *why;

	if (netif_tx_parse(&q->tx.ring, waiting, &p->packet, &why)) {
		vif_queue_break(q, -EPROTO, why);
		return 0;
	}
	if (p->packet.kind == NETIF_TX_FRAME) {
		p->pages = take_pages(q, p->packet.nr_slots);
		if (!p->pages)
			return 0;
		wire = offload_on_wire(p->packet.gso_type, p->packet.gso_size, p->packet.total);
		if (!rate_allows(q, wire))
			return 0;
		add_copies(q, p);
	}
	memset(p->failed, 0, sizeof(p->failed));
	trace_taken(q, &p->packet);
	ring_consume(&q->tx.ring, p->packet.nr_ring);
	q->tx.nr_packets++;
	q->tx.nr_segments += wire.packets;
	return p->packet.nr_ring;
}

void vif_tx_take(struct vif_queue *q)
{
	uint32_t waiting, used;

	q->tx.more = false;
	q->tx.throttled = false;
	q->tx.pages_left = vif_pool_share(q->part.worker->nr_dirty[PLANE_NET]);
	if (ring_peek(&q->tx.ring, &waiting)) {
		vif_queue_break(q, -EPROTO, "impossible request index in the transmit ring");
		return;
	}
	if (waiting)
		q->tx.taken_ns = worker_now(q->part.worker);
	if (waiting)
		trace(q->trace, TRACE_RING, &q->id,
		      "take ring=tx req_cons=%" PRIu32 " waiting=%" PRIu32 " rsp_prod=%" PRIu32,
		      q->tx.ring.req_cons, waiting, q->tx.ring.rsp_prod);
	while (waiting) {
		if (q->tx.nr_packets == VIF_BATCH || q->tx.nr_segments >= VIF_SEGMENTS) {
			q->tx.more = true;
			return;
		}
		used = take_packet(q, waiting);
		if (!used)
			return;
		waiting -= used;
	}
}

/* --- act --- */

static void drop(struct vif_queue *q, struct vif_tx_packet *p, uint64_t *counter,
		 enum netif_status status, const char *why)
{
	stat_add(counter, 1);
	p->status = status;
	p->why = why;
	trace(q->trace, TRACE_NET, &q->id, "tx-drop id=%u len=%" PRIu32 " why=%s",
	      p->packet.slots[0].id, p->packet.total, why);
}

/* Check every copy. One that failed spoils the packet, and its slot is answered with an error. */
static bool copies_are_good(struct vif_queue *q, struct vif_tx_packet *p)
{
	bool good = true;

	for (uint32_t i = 0; i < p->packet.nr_slots; i++) {
		if (p->packet.slots[i].size == 0)
			continue;
		p->failed[i] = p->copies[i] < 0 ||
			       !grant_batch_ok(&q->part.worker->copies, (uint32_t)p->copies[i]);
		good = good && !p->failed[i];
	}
	return good;
}

/*
 * Returns the headers in one piece. They are usually in the first slot. A guest may spread them over several: then they
 * are gathered in `scratch`, and *ret_moved is their length.
 */
static uint8_t *find_head(const struct vif_tx_packet *p, uint8_t *scratch, uint32_t *ret_moved)
{
	uint32_t want = p->packet.total < FRAME_HEAD_MAX ? p->packet.total : FRAME_HEAD_MAX;
	uint32_t have = 0;

	*ret_moved = 0;
	if (p->packet.slots[0].size >= want)
		return p->pages;
	for (uint32_t i = 0; i < p->packet.nr_slots && have < want; i++) {
		uint32_t part = p->packet.slots[i].size;

		if (part > want - have)
			part = want - have;
		memcpy(scratch + have, p->pages + i * NETIF_PAGE_SIZE, part);
		have += part;
	}
	*ret_moved = want;
	return scratch;
}

/* List virtio_net_hdr, the moved headers, then the rest of each slot. */
static int fill_iov(const struct vif_tx_packet *p, struct virtio_net_hdr *hdr, uint8_t *head,
		    uint32_t moved, struct iovec *iov)
{
	int nr = 0;

	iov[nr++] = (struct iovec){ hdr, sizeof(*hdr) };
	if (moved)
		iov[nr++] = (struct iovec){ head, moved };
	for (uint32_t i = 0; i < p->packet.nr_slots; i++) {
		uint32_t size = p->packet.slots[i].size;
		uint32_t skip = moved < size ? moved : size;

		moved -= skip;
		if (size > skip)
			iov[nr++] = (struct iovec){ p->pages + i * NETIF_PAGE_SIZE + skip,
						    size - skip };
	}
	return nr;
}

/* Write the checksum that the guest left blank, over all pieces of the frame. Its field is in `head`. */
static void finish_csum(struct virtio_net_hdr *hdr, uint8_t *head, const struct iovec *pieces,
			int nr)
{
	uint32_t start = le16toh(hdr->csum_start), skip = start, at = 0;
	uint64_t sum = 0;
	uint16_t csum;

	for (int i = 0; i < nr; i++) {
		uint32_t len = (uint32_t)pieces[i].iov_len, part = skip < len ? skip : len;

		sum = checksum_add_piece(sum, (const uint8_t *)pieces[i].iov_base + part,
					 len - part, at);
		at += len - part;
		skip -= part;
	}
	csum = (uint16_t)~checksum_fold(sum);
	if (csum == 0)
		csum = 0xffff;
	memcpy(head + start + le16toh(hdr->csum_offset), &csum, sizeof(csum));
	*hdr = (struct virtio_net_hdr){ 0 };
}

/* The frame is written with the others of this round. */
static void add_frame(struct vif_queue *q, struct vif_tx_packet *p, struct tap_frame *frame,
		      uint8_t *head, uint32_t moved)
{
	frame->nr_iov = fill_iov(p, &frame->hdr, head, moved, frame->iov);
	frame->user = p;
	if (q->finish_csum && frame->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE &&
	    (frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		finish_csum(&frame->hdr, head, frame->iov + 1, frame->nr_iov - 1);
		stat_add(&q->stats->tx_csum_finished, 1);
	}
	tap_batch_add(q->pool->taps);
}

static void count_write_error(struct vif_queue *q, struct vif_tx_packet *p, int err)
{
	if (err == EIO)
		drop(q, p, &q->stats->tx_drop_tap_down, NETIF_STATUS_DROPPED, "tap-down");
	else if (err == EAGAIN)
		drop(q, p, &q->stats->tx_drop_tap_busy, NETIF_STATUS_DROPPED, "tap-busy");
	else
		drop(q, p, &q->stats->tx_drop_tap_error, NETIF_STATUS_ERROR, "tap-error");
}

static void frame_is_written(struct vif_queue *q, const struct tap_frame *frame)
{
	struct vif_tx_packet *p = frame->user;

	if (frame->err) {
		count_write_error(q, p, frame->err);
		return;
	}
	stat_add(&q->stats->tx_packets, 1);
	stat_add(&q->stats->tx_bytes, p->packet.total);
	if (frame->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		stat_add(&q->stats->tx_gso, 1);
	p->status = NETIF_STATUS_OKAY;
	p->why = NULL;
}

static void write_frames(struct vif_queue *q)
{
	struct tap_batch *taps = q->pool->taps;
	uint32_t nr = tap_batch_write(taps, q->fd);

	for (uint32_t i = 0; i < nr; i++)
		frame_is_written(q, tap_batch_get(taps, i));
	tap_batch_reset(taps);
}

/* Port security: true when the frame is dropped. */
static bool refuse(struct vif_queue *q, struct vif_tx_packet *p, const uint8_t *head)
{
	enum filter_verdict verdict = vif_shared_check(q->shared, head, p->packet.total);
	uint64_t *const counters[FILTER_NR] = {
		[FILTER_MAC] = &q->stats->tx_refused_mac,
		[FILTER_TYPE] = &q->stats->tx_refused_type,
		[FILTER_ARP] = &q->stats->tx_refused_arp,
		[FILTER_IPV4] = &q->stats->tx_refused_ipv4,
		[FILTER_IPV6] = &q->stats->tx_refused_ipv6,
		[FILTER_ND] = &q->stats->tx_refused_nd,
		[FILTER_DHCP] = &q->stats->tx_refused_dhcp,
		[FILTER_RA] = &q->stats->tx_refused_ra,
		[FILTER_HEADER] = &q->stats->tx_refused_header,
		[FILTER_RULES] = &q->stats->tx_refused_rules,
	};

	if (verdict != FILTER_PASS)
		drop(q, p, counters[verdict], NETIF_STATUS_DROPPED, filter_verdict_name(verdict));
	return verdict != FILTER_PASS;
}

static void forward(struct vif_queue *q, struct vif_tx_packet *p)
{
	struct tap_frame *frame = tap_batch_next(q->pool->taps);
	uint32_t moved;
	uint8_t *head;

	if (!copies_are_good(q, p)) {
		drop(q, p, &q->stats->tx_drop_copy, NETIF_STATUS_OKAY, "copy");
		return;
	}
	head = find_head(p, frame->head, &moved);
	if (refuse(q, p, head))
		return;
	switch (offload_from_guest(&p->packet, head, &frame->hdr)) {
	case 0:
		add_frame(q, p, frame, head, moved);
		break;
	case -EPROTO:
		drop(q, p, &q->stats->tx_drop_gso, NETIF_STATUS_ERROR, "gso");
		break;
	case -EOPNOTSUPP:
		drop(q, p, &q->stats->tx_drop_csum, NETIF_STATUS_ERROR, "csum");
		break;
	default:
		drop(q, p, &q->stats->tx_drop_header, NETIF_STATUS_ERROR, "header");
	}
}

/* A dummy packet that changes the list of groups. */
static void change_groups(struct vif_queue *q, struct vif_tx_packet *p)
{
	bool add = p->packet.kind == NETIF_TX_MCAST_ADD;
	struct mcast *groups = &q->shared->kept->mcast;
	int err = add ? mcast_add(groups, p->packet.mcast_addr)
		      : mcast_remove(groups, p->packet.mcast_addr);

	stat_add(&q->stats->tx_mcast, !err);
	stat_add(&q->stats->tx_mcast_refused, err != 0);
	p->status = err ? NETIF_STATUS_ERROR : NETIF_STATUS_OKAY;
	trace(q->trace, TRACE_NET, &q->id, "tx-group add=%d result=%d", add, err);
}

static void act_on(struct vif_queue *q, struct vif_tx_packet *p)
{
	switch (p->packet.kind) {
	case NETIF_TX_FRAME:
		forward(q, p);
		break;
	case NETIF_TX_MCAST_ADD:
	case NETIF_TX_MCAST_DEL:
		change_groups(q, p);
		break;
	case NETIF_TX_TOO_MANY_SLOTS:
		drop(q, p, &q->stats->tx_drop_slots, NETIF_STATUS_ERROR, "slots");
		break;
	case NETIF_TX_TOO_LONG:
		drop(q, p, &q->stats->tx_drop_long, NETIF_STATUS_ERROR, "long");
		break;
	case NETIF_TX_TOO_SHORT:
		drop(q, p, &q->stats->tx_drop_short, NETIF_STATUS_ERROR, "short");
		break;
	}
}

/* The frame as the guest sent it, and why it was dropped, if it was. */
static void capture(struct vif_queue *q, const struct vif_tx_packet *p)
{
	struct capture *to = vif_capture_get(&q->shared->capture);
	struct iovec iov[NETIF_MAX_SLOTS];

	if (!to || p->packet.kind != NETIF_TX_FRAME)
		return;
	for (uint32_t i = 0; i < p->packet.nr_slots; i++)
		iov[i] = (struct iovec){ p->pages + i * NETIF_PAGE_SIZE,
					 p->failed[i] ? 0 : p->packet.slots[i].size };
	capture_add(to, iov, p->packet.nr_slots, true, p->why);
}

/* A pass calls this once more if another queue's act() added copies. */
void vif_tx_act(struct vif_queue *q)
{
	uint32_t first = q->tx.nr_acted;

	for (; q->tx.nr_acted < q->tx.nr_packets; q->tx.nr_acted++)
		act_on(q, &q->tx.packets[q->tx.nr_acted]);
	write_frames(q);
	for (uint32_t i = first; i < q->tx.nr_packets; i++)
		capture(q, &q->tx.packets[i]);
}

/* --- answer --- */

static void put_response(struct vif_queue *q, uint16_t id, enum netif_status status)
{
	struct netif_tx_response response = { .id = id, .status = (int16_t)status };

	ring_put(&q->tx.ring, &response, sizeof(response));
}

/* In the ring's order: first slot, extras, other slots. */
static void put_responses(struct vif_queue *q, const struct vif_tx_packet *p)
{
	for (uint32_t i = 0; i < p->packet.nr_slots; i++) {
		put_response(q, p->packet.slots[i].id,
			     p->failed[i] ? NETIF_STATUS_ERROR : p->status);
		for (uint32_t e = 0; i == 0 && e < p->packet.nr_extras; e++)
			put_response(q, 0, NETIF_STATUS_NULL);
	}
}

/* True when there is more to do at once. */
bool vif_tx_answer(struct vif_queue *q)
{
	for (uint32_t i = 0; i < q->tx.nr_packets; i++)
		put_responses(q, &q->tx.packets[i]);
	if (q->tx.nr_packets)
		stat_took(&q->stats->time_tx, q->tx.taken_ns, worker_now(q->part.worker),
			  q->tx.nr_packets);
	q->tx.nr_packets = q->tx.nr_acted = q->tx.nr_segments = 0;
	vif_queue_publish(q, &q->tx.ring, &q->tx_port, "tx");
	if (q->tx.more)
		return true;
	/* Requests that wait for the rate limit need no notification: the timer comes. */
	return !q->tx.throttled && ring_rearm(&q->tx.ring);
}
