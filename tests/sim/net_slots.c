/* SPDX-License-Identifier: MIT */
/* net_slots.c - see net_slots.h */
#include "net_slots.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "util.h"

uint32_t net_page_gfn, net_page_ref;

int net_page_open(struct net_front *f)
{
	int err = sim_guest_alloc(&f->guest, 1, &net_page_gfn);

	return err ? err : sim_guest_grant(&f->guest, 0, net_page_gfn, false, &net_page_ref);
}

void net_put16(uint8_t *at, uint32_t v)
{
	uint16_t w = (uint16_t)v;

	memcpy(at, &w, 2);
}

void net_slot_put(struct net_front *f, const struct net_slot *s, uint16_t id)
{
	struct net_queue *q = &f->queue[0];
	uint8_t *e = net_ring_entry(f, q->tx_gfn, TX_ENTRY, q->tx_prod++);
	uint32_t ref = s->bad_ref ? SIM_NO_GRANT : net_page_ref;

	memset(e, 0, TX_ENTRY);
	if (s->is_extra) {
		e[0] = s->extra_type;
		e[1] = s->extra_flags;
		net_put16(e + 2, s->gso_size);
		e[4] = s->gso_type;
		if (s->group)
			memcpy(e + 2, s->group, 6);
		return;
	}
	memcpy(e, &ref, 4);
	net_put16(e + 4, s->offset);
	net_put16(e + 6, s->flags);
	net_put16(e + 8, id);
	net_put16(e + 10, s->size);
}

static uint32_t answered(struct net_front *f)
{
	return __atomic_load_n(net_ring_word(f, f->queue[0].tx_gfn, RSP_PROD), __ATOMIC_ACQUIRE);
}

/* Wait until all that was sent is answered. -ECANCELED: the backend left. */
int net_wait_answers(struct net_front *f)
{
	struct net_queue *q = &f->queue[0];
	int64_t end = sim_now_ms() + NET_ANSWER_MS;

	while (answered(f) != q->tx_prod) {
		bus_drain(&f->bus);
		if (bus_back_state(&f->bus) != BUS_CONNECTED)
			return -ECANCELED;
		if (sim_now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return 0;
}

int net_must_leave(struct net_front *f)
{
	int state = bus_wait(&f->bus, BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED), NET_ANSWER_MS);

	return state < 0 ? state : 0;
}

/* Judge the answers to the last @nr slots. */
static int judge(struct net_front *f, const struct net_slot *slots, unsigned int nr,
		 enum verdict verdict)
{
	struct net_queue *q = &f->queue[0];

	for (unsigned int i = 0; i < nr; i++) {
		const uint8_t *e = net_ring_entry(f, q->tx_gfn, TX_ENTRY, q->tx_prod - nr + i);
		uint16_t id;
		int16_t status;

		memcpy(&id, e, 2);
		memcpy(&status, e + 2, 2);
		if (slots[i].is_extra ? status != NET_NULL : id != 1000 + i)
			return -EPROTO;
		if (slots[i].is_extra)
			continue;
		if ((verdict == MUST_WORK && status != NET_OKAY) ||
		    (verdict == MUST_ERROR && status >= 0))
			return -EPROTO;
	}
	return 0;
}

int net_try_slots(struct net_front *f, const struct net_slot *slots, unsigned int nr,
		  enum verdict verdict)
{
	int err;

	for (unsigned int i = 0; i < nr; i++)
		net_slot_put(f, &slots[i], (uint16_t)(1000 + i));
	net_tx_push(f, &f->queue[0]);
	if (verdict == MUST_LEAVE)
		return net_must_leave(f);
	err = net_wait_answers(f);
	if (err)
		return err;
	f->queue[0].tx_cons = f->queue[0].tx_prod; /* these are no frames of net_tx_put() */
	return judge(f, slots, nr, verdict);
}

void net_honest_frame(struct net_front *f, enum net_kind kind, size_t len, bool blank)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
	static uint8_t buf[NET_FRAME_MAX];
	struct net_frame frame = { .kind = kind, .len = len, .number = 1 };

	net_frame_build(buf, &frame, f->mac, peer, blank);
	memcpy(sim_guest_addr(&f->guest, net_page_gfn), buf,
	       len < SIM_PAGE_SIZE ? len : SIM_PAGE_SIZE);
}

int net_still_works(struct net_front *f)
{
	const struct net_slot good = { .size = 100 };

	net_honest_frame(f, NET_UDP4, 100, false);
	return net_try_slots(f, &good, 1, MUST_WORK);
}
