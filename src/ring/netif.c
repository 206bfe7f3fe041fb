/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "ring/netif.h"

_Static_assert(sizeof(struct netif_tx_request) == NETIF_TX_SLOT_SIZE, "tx slot");
_Static_assert(sizeof(struct netif_tx_response) == 4, "tx response");
_Static_assert(sizeof(struct netif_rx_request) == NETIF_RX_SLOT_SIZE, "rx slot");
_Static_assert(sizeof(struct netif_rx_response) == NETIF_RX_SLOT_SIZE, "rx response");
_Static_assert(sizeof(struct netif_extra) == 8, "extra");
/* One that is shorter would leave bytes that the guest sees as they were. */
_Static_assert(sizeof(((struct netif_extra *)0)->gso) == 6, "all of the body");
_Static_assert(sizeof(((struct netif_extra *)0)->hash) == 6, "all of the body");
_Static_assert(sizeof(((struct netif_extra *)0)->xdp) == 6, "all of the body");
_Static_assert(offsetof(struct netif_tx_request, size) == 10, "tx size");
_Static_assert(offsetof(struct netif_rx_request, gref) == 4, "rx gref");
_Static_assert(offsetof(struct netif_rx_response, status) == 6, "rx status");
_Static_assert(offsetof(struct netif_extra, gso.size) == 2, "gso size");
_Static_assert(offsetof(struct netif_extra, gso.type) == 4, "gso type");
_Static_assert(offsetof(struct netif_extra, mcast_addr) == 2, "multicast address");

/* Where the look at one packet stands. */
struct scan {
	const struct ring *ring;
	uint32_t waiting;
	uint32_t at; /* ring slots looked at */
	const char *why;
};

static int refuse(struct scan *scan, const char *why)
{
	scan->why = why;
	return -EPROTO;
}

static int note_gso(struct scan *scan, const struct netif_extra *extra,
		    struct netif_tx_packet *packet)
{
	if (extra->gso.size == 0)
		return refuse(scan, "GSO extra with size 0");
	if (extra->gso.type != NETIF_GSO_TCPV4 && extra->gso.type != NETIF_GSO_TCPV6)
		return refuse(scan, "GSO extra of unknown type");
	packet->gso_type = (enum netif_gso_type)extra->gso.type;
	packet->gso_size = extra->gso.size;
	return 0;
}

static int note_extra(struct scan *scan, const struct netif_extra *extra,
		      struct netif_tx_packet *packet)
{
	switch (extra->type) {
	case NETIF_EXTRA_GSO:
		return note_gso(scan, extra, packet);
	case NETIF_EXTRA_MCAST_ADD:
	case NETIF_EXTRA_MCAST_DEL:
		packet->kind = extra->type == NETIF_EXTRA_MCAST_ADD ? NETIF_TX_MCAST_ADD
								    : NETIF_TX_MCAST_DEL;
		memcpy(packet->mcast_addr, extra->mcast_addr, sizeof(packet->mcast_addr));
		return 0;
	case NETIF_EXTRA_HASH:
		return 0; /* a hint that we do not use */
	default:
		return refuse(scan, "extra of invalid type");
	}
}

static int scan_extras(struct scan *scan, struct netif_tx_packet *packet)
{
	struct netif_extra extra;
	int err;

	do {
		if (scan->at == scan->waiting)
			return refuse(scan, "extra announced but not in the ring");
		if (packet->nr_extras == NETIF_MAX_EXTRAS)
			return refuse(scan, "too many extras");
		ring_copy(scan->ring, scan->at, &extra, sizeof(extra));
		scan->at++;
		packet->nr_extras++;
		err = note_extra(scan, &extra, packet);
		if (err)
			return err;
	} while (extra.flags & NETIF_EXTRA_MORE);
	return 0;
}

/* One more data slot behind the first. `left` is what the announced total still allows. */
static int scan_fragment(struct scan *scan, struct netif_tx_packet *packet, uint32_t *left,
			 uint16_t *ret_flags)
{
	struct netif_tx_request req;

	if (scan->at == scan->waiting)
		return refuse(scan, "more data announced but not in the ring");
	if (packet->nr_slots == NETIF_FATAL_SLOTS - 1)
		return refuse(scan, "packet of too many slots");
	ring_copy(scan->ring, scan->at, &req, sizeof(req));
	scan->at++;
	if ((uint32_t)req.offset + req.size > NETIF_PAGE_SIZE)
		return refuse(scan, "slot crosses its page");
	packet->slots[packet->nr_slots++] = (struct netif_slot){
		.gref = req.gref, .offset = req.offset, .size = req.size, .id = req.id
	};
	/* Not hostile: some frontends let the 16 bit total wrap (netback does the same). */
	if (packet->kind == NETIF_TX_FRAME && req.size > *left)
		packet->kind = NETIF_TX_TOO_LONG;
	if (packet->kind == NETIF_TX_FRAME)
		*left -= req.size;
	*ret_flags = req.flags;
	return 0;
}

/* The first slot announces the whole packet; its own piece is what the others leave over. */
static int settle_first(struct scan *scan, struct netif_tx_packet *packet, uint32_t left)
{
	if (packet->nr_slots > NETIF_MAX_SLOTS) {
		packet->kind = NETIF_TX_TOO_MANY_SLOTS;
		return 0;
	}
	if (packet->kind != NETIF_TX_FRAME)
		return 0;
	if (packet->total < NETIF_MIN_FRAME) {
		packet->kind = NETIF_TX_TOO_SHORT;
		return 0;
	}
	if (packet->slots[0].offset + left > NETIF_PAGE_SIZE)
		return refuse(scan, "first slot crosses its page");
	packet->slots[0].size = (uint16_t)left;
	return 0;
}

static int scan_data(struct scan *scan, struct netif_tx_packet *packet, uint16_t flags)
{
	uint32_t left = packet->total;
	int err;

	while (flags & NETIF_TX_MORE_DATA) {
		err = scan_fragment(scan, packet, &left, &flags);
		if (err)
			return err;
	}
	return settle_first(scan, packet, left);
}

static int scan_packet(struct scan *scan, struct netif_tx_packet *packet)
{
	struct netif_tx_request first;
	int err;

	ring_copy(scan->ring, scan->at, &first, sizeof(first));
	scan->at++;
	packet->total = first.size;
	packet->csum_blank = first.flags & NETIF_TX_CSUM_BLANK;
	packet->data_validated = first.flags & NETIF_TX_DATA_VALIDATED;
	packet->nr_slots = 1;
	packet->slots[0] =
		(struct netif_slot){ .gref = first.gref, .offset = first.offset, .id = first.id };
	if (first.flags & NETIF_TX_EXTRA_INFO) {
		err = scan_extras(scan, packet);
		if (err)
			return err;
	}
	/* Only the address counts in a dummy packet; its data slot is not looked at. */
	if (packet->kind != NETIF_TX_FRAME)
		return 0;
	return scan_data(scan, packet, first.flags);
}

int netif_tx_parse(const struct ring *ring, uint32_t waiting, struct netif_tx_packet *ret,
		   const char **ret_why)
{
	struct scan scan = { .ring = ring, .waiting = waiting };
	int err;

	/* The slots are filled one by one: clearing all of them would be felt per packet. */
	memset(ret, 0, offsetof(struct netif_tx_packet, slots));
	err = scan_packet(&scan, ret);
	if (err)
		*ret_why = scan.why;
	ret->nr_ring = scan.at;
	return err;
}

uint32_t netif_rx_count_slots(uint32_t len, uint32_t nr_extras)
{
	return (len + NETIF_PAGE_SIZE - 1) / NETIF_PAGE_SIZE + nr_extras;
}
