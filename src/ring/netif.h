/* SPDX-License-Identifier: MIT */
/*
 * The network ring's wire format (xen/io/netif.h), and the way from what a
 * guest put into its transmit ring to a request that is safe to act upon.
 *
 * Pure: no allocation, no I/O, no Xen library. Each slot is copied out of the
 * ring once, before any look at it.
 */
#ifndef PVB_NETIF_H
#define PVB_NETIF_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/ring.h"

#define NETIF_PAGE_SIZE    4096u
#define NETIF_TX_SLOT_SIZE 12u
#define NETIF_RX_SLOT_SIZE 8u
#define NETIF_MIN_FRAME    14u /* an Ethernet header */

/* Data slots of one packet: what every backend must take, and where a guest is taken for hostile. */
#define NETIF_MAX_SLOTS   18u
#define NETIF_FATAL_SLOTS 20u
/* Room that a guest may ask for before a frame: the Ethernet header still fits into the first page. */
#define NETIF_MAX_HEADROOM (NETIF_PAGE_SIZE - NETIF_MIN_FRAME)
/* Extras of one packet; there are fewer kinds than that. */
#define NETIF_MAX_EXTRAS 5u

enum netif_tx_flag {
	NETIF_TX_CSUM_BLANK = 1,
	NETIF_TX_DATA_VALIDATED = 2,
	NETIF_TX_MORE_DATA = 4,
	NETIF_TX_EXTRA_INFO = 8,
};

/* The two checksum bits are swapped against transmit (netif.h). */
enum netif_rx_flag {
	NETIF_RX_DATA_VALIDATED = 1,
	NETIF_RX_CSUM_BLANK = 2,
	NETIF_RX_MORE_DATA = 4,
	NETIF_RX_EXTRA_INFO = 8,
};

enum netif_status {
	NETIF_STATUS_DROPPED = -2,
	NETIF_STATUS_ERROR = -1,
	NETIF_STATUS_OKAY = 0,
	NETIF_STATUS_NULL = 1, /* the slot carried an extra */
};

enum netif_extra_type {
	NETIF_EXTRA_NONE = 0,
	NETIF_EXTRA_GSO = 1,
	NETIF_EXTRA_MCAST_ADD = 2,
	NETIF_EXTRA_MCAST_DEL = 3,
	NETIF_EXTRA_HASH = 4,
	NETIF_EXTRA_XDP = 5, /* Linux' netif.h; to the guest only */
	NETIF_EXTRA_NR = 6,
};

#define NETIF_EXTRA_MORE 1u

enum netif_gso_type { NETIF_GSO_NONE = 0, NETIF_GSO_TCPV4 = 1, NETIF_GSO_TCPV6 = 2 };

struct netif_tx_request {
	uint32_t gref;
	uint16_t offset;
	uint16_t flags;
	uint16_t id;
	uint16_t size; /* in the first slot: of the whole packet */
};

struct netif_tx_response {
	uint16_t id;
	int16_t status;
};

struct netif_rx_request {
	uint16_t id;
	uint16_t pad;
	uint32_t gref;
};

struct netif_rx_response {
	uint16_t id;
	uint16_t offset;
	uint16_t flags;
	int16_t status; /* bytes, or an error below 0 */
};

struct netif_extra {
	uint8_t type;
	uint8_t flags;
	union {
		struct {
			uint16_t size;
			uint8_t type;
			uint8_t pad;
			uint16_t features;
		} gso;
		uint8_t mcast_addr[6];
		struct {
			uint8_t type;
			uint8_t algorithm;
			uint8_t value[4]; /* least significant first */
		} hash;
		struct {
			uint16_t headroom;
			uint16_t pad[2]; /* as long as the others: the guest sees all of it */
		} xdp;
		uint8_t body[6];
	};
};

/* One piece of a packet in the guest's memory; offset + size stays inside a page. */
struct netif_slot {
	uint32_t gref;
	uint16_t offset;
	uint16_t size; /* of this piece; may be 0, and then gref means nothing */
	uint16_t id;   /* to be echoed, never to be used otherwise */
};

enum netif_tx_kind {
	NETIF_TX_FRAME,     /* forward it */
	NETIF_TX_MCAST_ADD, /* a dummy packet that carries a multicast address */
	NETIF_TX_MCAST_DEL,
	NETIF_TX_TOO_MANY_SLOTS, /* the rest: answer every slot with an error */
	NETIF_TX_TOO_LONG,       /* pieces add up to more than the announced size */
	NETIF_TX_TOO_SHORT,
};

/*
 * A checked packet. In the ring it lies as: first data slot, nr_extras extras,
 * the other data slots.
 */
struct netif_tx_packet {
	enum netif_tx_kind kind;
	uint32_t nr_ring; /* ring slots to consume and to answer: nr_slots + nr_extras */
	uint32_t nr_slots;
	uint32_t nr_extras;
	uint32_t total; /* bytes in all slots; for NETIF_TX_FRAME only */
	bool csum_blank;
	bool data_validated;
	enum netif_gso_type gso_type;
	uint16_t gso_size; /* above 0 when gso_type is set */
	uint8_t mcast_addr[6];
	struct netif_slot slots[NETIF_FATAL_SLOTS];
};

/*
 * Look at the next packet of a transmit ring, taking nothing from it yet. `waiting`, at least 1, is
 * from ring_peek().
 *
 * Returns 0 with *ret filled, or -EPROTO with *ret_why saying what no honest frontend
 * could have done (netif.h; XSA-39, XSA-155): the caller must then leave the ring alone for good.
 */
int netif_tx_parse(const struct ring *ring, uint32_t waiting, struct netif_tx_packet *ret,
		   const char **ret_why);

/* Receive slots that a frame of `len` bytes takes, with one for each of its extras. */
uint32_t netif_rx_count_slots(uint32_t len, uint32_t nr_extras);

#endif
