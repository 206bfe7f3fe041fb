/* SPDX-License-Identifier: MIT */
/*
 * Any frame with any rules: only frames that the rules allow pass. With fewer rules, or with one more
 * address, all frames that passed before still pass.
 */
#include "fuzz/fuzz.h"
#include "netback/filter.h"
#include "netback/frame.h"

static void make_filter(struct fuzz_input *in, struct message_filter *f)
{
	*f = (struct message_filter){ .want = fuzz_u8(in) & FILTER_WANT_ALL };
	fuzz_bytes(in, f->mac, sizeof(f->mac));
	f->nr_addrs = fuzz_u8(in) % 4;
	for (uint32_t i = 0; i < f->nr_addrs; i++) {
		uint8_t bits = fuzz_u8(in);

		f->addrs[i].v6 = bits & 1;
		f->addrs[i].bits = (uint8_t)(bits / 2 % (f->addrs[i].v6 ? 129 : 33));
		fuzz_bytes(in, f->addrs[i].addr, f->addrs[i].v6 ? 16 : 4);
	}
}

static void parse_text(struct fuzz_input *in)
{
	struct message_filter f = { .nr_addrs = 7 };
	char text[96] = "";
	unsigned int want;
	uint8_t mac[6];

	fuzz_bytes(in, text, sizeof(text) - 1);
	if (!filter_parse_want(text, &want))
		HOLDS(!(want & ~(unsigned int)FILTER_WANT_ALL));
	if (!filter_parse_mac(text, mac))
		HOLDS(!(mac[0] & 1));
	if (filter_parse_addrs(text, &f)) {
		HOLDS(f.nr_addrs == 7);
		return;
	}
	HOLDS(f.nr_addrs <= MESSAGE_ADDRS);
	for (uint32_t i = 0; i < f.nr_addrs; i++)
		HOLDS(f.addrs[i].bits <= (f.addrs[i].v6 ? 128 : 32));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct message_filter f, other;
	uint32_t len, seen;
	uint8_t *head;

	make_filter(&in, &f);
	if (f.want == 0)
		parse_text(&in);
	len = 14 + fuzz_u32(&in) % 600;
	seen = len < FRAME_HEAD_MAX ? len : FRAME_HEAD_MAX;
	head = malloc(seen); /* exactly: a sanitizer sees any byte beyond */
	HOLDS(head);
	fuzz_bytes(&in, head, seen);
	if (filter_check(&f, head, len) == FILTER_PASS) {
		if (f.want & FILTER_WANT_MAC)
			HOLDS(!memcmp(head + 6, f.mac, 6));
		for (unsigned int bit = 1; bit < FILTER_WANT_ALL; bit <<= 1) {
			other = f;
			other.want &= ~bit;
			HOLDS(filter_check(&other, head, len) == FILTER_PASS);
		}
		other = f;
		make_filter(&in, &other);
		f.addrs[f.nr_addrs++] = other.addrs[0];
		HOLDS(filter_check(&f, head, len) == FILTER_PASS);
	} else {
		HOLDS(f.want);
	}
	free(head);
	return 0;
}
