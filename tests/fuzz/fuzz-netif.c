/* SPDX-License-Identifier: MIT */
/* Any transmit ring: all slots of a packet are counted, and no slot leaves its page. */
#include "fuzz/fuzz.h"
#include "ring/netif.h"

static uint8_t page[4096] __attribute__((aligned(64)));

static void check_frame(const struct netif_tx_packet *p)
{
	uint32_t total = 0;

	HOLDS(p->nr_slots >= 1 && p->nr_slots <= NETIF_MAX_SLOTS);
	HOLDS(p->total >= NETIF_MIN_FRAME && p->total <= UINT16_MAX);
	for (uint32_t i = 0; i < p->nr_slots; i++) {
		HOLDS((uint32_t)p->slots[i].offset + p->slots[i].size <= NETIF_PAGE_SIZE);
		total += p->slots[i].size;
	}
	HOLDS(total == p->total);
	HOLDS((p->gso_type == NETIF_GSO_NONE) == (p->gso_size == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint32_t prod = fuzz_u8(&in), waiting;
	struct ring ring;

	memset(page, 0, sizeof(page));
	memcpy(page, &prod, sizeof(prod));
	fuzz_bytes(&in, page + RING_HEADER_SIZE, sizeof(page) - RING_HEADER_SIZE);
	if (ring_attach(&ring, page, sizeof(page), NETIF_TX_SLOT_SIZE))
		return 0;
	while (ring_peek(&ring, &waiting) == 0 && waiting) {
		struct netif_tx_packet p;
		const char *why = NULL;

		if (netif_tx_parse(&ring, waiting, &p, &why)) {
			HOLDS(why && *why);
			return 0;
		}
		HOLDS(p.nr_ring >= 1 && p.nr_ring <= waiting);
		HOLDS(p.nr_ring == p.nr_slots + p.nr_extras);
		HOLDS(p.nr_extras <= NETIF_MAX_EXTRAS);
		if (p.kind == NETIF_TX_FRAME)
			check_frame(&p);
		ring_consume(&ring, p.nr_ring);
	}
	return 0;
}
