/* SPDX-License-Identifier: MIT */
/* A frontend that writes any index at any time: never more requests in flight than slots, and one response for each. */
#include "fuzz/fuzz.h"
#include "ring/ring.h"

static uint8_t page[4096] __attribute__((aligned(64)));

static void set_index(unsigned int offset, uint32_t value)
{
	memcpy(page + offset, &value, sizeof(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t slot_sizes[] = { 112, 108, 12, 8 };
	struct fuzz_input in = { data, size };
	uint32_t slot_size = slot_sizes[fuzz_u8(&in) % 4], taken = 0, answered = 0;
	uint8_t slot[112];
	struct ring ring;

	memset(page, 0, sizeof(page));
	set_index(8, fuzz_u32(&in));
	set_index(0, fuzz_u32(&in));
	if (ring_attach(&ring, page, sizeof(page), slot_size))
		return 0;
	while (in.left) {
		uint8_t what = fuzz_u8(&in);
		uint32_t before = ring.rsp_public;

		if (what % 4 == 0)
			set_index((what / 4 % 4) * 4, ring.req_cons + fuzz_u8(&in) - 64u);
		else if (what % 4 == 1)
			taken += ring_take(&ring, slot, slot_size) == 1;
		else if (what % 4 == 2 && ring_in_flight(&ring)) {
			ring_put(&ring, slot, slot_size);
			answered++;
		} else if (what % 4 == 3) {
			ring_publish(&ring);
			ring_rearm(&ring);
			HOLDS(ring.rsp_public - before <= ring.nr_slots);
		}
		HOLDS(taken - answered == ring_in_flight(&ring));
		HOLDS(ring_in_flight(&ring) <= ring.nr_slots);
		HOLDS(ring.req_cons - ring.rsp_public <= ring.nr_slots);
	}
	return 0;
}
