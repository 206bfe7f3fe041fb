/* SPDX-License-Identifier: MIT */
/*
 * net_plain.c - a load for measuring. All frames have one size and one direction. They are built once and never checked, and the
 * grants are made once and stay, so that the guest needs as little CPU time as possible.
 */
#include "simnet.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util.h"

#define FIRST_MS 20000 /* how long the first frame, or an answer, may take */
#define LAST_MS  500   /* when nothing comes for so long, the rest is lost */
#define PIECES   16u   /* at least as many as the largest frame has pages */

struct plain {
	struct net_front *f;
	struct net_queue *q;
	uint32_t rest[NET_RING_SIZE]; /* grants of what follows the first page of a frame */
	uint64_t left, frames, bytes; /* to send; seen */
	uint64_t first_ns, last_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void put16(uint8_t *at, uint32_t v)
{
	uint16_t w = (uint16_t)v;

	memcpy(at, &w, 2);
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t w;

	memcpy(&w, at, 2);
	return w;
}

static void fill_and_grant(struct plain *p, uint32_t gfn, const uint8_t *data, size_t len,
			   uint32_t *ret_ref)
{
	memcpy(sim_guest_addr(&p->f->guest, gfn), data, len < SIM_PAGE_SIZE ? len : SIM_PAGE_SIZE);
	if (sim_guest_grant(&p->f->guest, p->f->bus.back_domid, gfn, true, ret_ref))
		sim_die("no grants");
}

/*
 * All frames are the same one. Each transmit slot has a page with its beginning; what follows is in pages of
 * its own, sixteen times over. They are nobody else's: what the peer sends back goes into the receive slots'.
 */
static void prepare(struct plain *p)
{
	static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 1 };
	static const uint8_t group_mac[6] = { 1, 0, 0x5e, 0, 0, 1 };
	static uint8_t buf[NET_FRAME_MAX];
	bool large = p->f->opt.plain > 1514;
	struct net_frame frame = { .kind = large ? NET_GSO4 : NET_UDP4, .len = p->f->opt.plain };

	net_frame_build(buf, &frame, p->f->mac, p->f->opt.group ? group_mac : peer_mac, large);
	for (uint32_t i = 0; i < NET_RING_SIZE; i++) {
		size_t at = i % PIECES * SIM_PAGE_SIZE;
		uint32_t gfn;

		fill_and_grant(p, p->q->tx[i].gfn, buf, frame.len, &p->q->tx[i].ref);
		if (!at || at >= frame.len)
			continue;
		if (sim_guest_alloc(&p->f->guest, 1, &gfn))
			sim_die("no guest memory");
		fill_and_grant(p, gfn, buf + at, frame.len - at, &p->rest[i]);
	}
}

/* @at: where in its frame the piece is. */
static void put_piece(struct plain *p, uint32_t at, uint32_t size, uint32_t flags)
{
	uint8_t *e = net_ring_entry(p->f, p->q->tx_gfn, TX_ENTRY, p->q->tx_prod);
	uint32_t id = p->q->tx_prod++ % NET_RING_SIZE;
	uint32_t copy = p->left % (NET_RING_SIZE / PIECES) * PIECES;

	memcpy(e, at ? &p->rest[copy + at / SIM_PAGE_SIZE] : &p->q->tx[id].ref, 4);
	put16(e + 4, 0);
	put16(e + 6, flags);
	put16(e + 8, id);
	put16(e + 10, size);
}

static void put_gso(struct plain *p)
{
	uint8_t *e = net_ring_entry(p->f, p->q->tx_gfn, TX_ENTRY, p->q->tx_prod++);

	memset(e, 0, TX_ENTRY);
	e[0] = EXTRA_GSO;
	put16(e + 2, NET_MSS4);
	e[4] = GSO_TCPV4;
}

static void put_frame(struct plain *p)
{
	uint32_t len = p->f->opt.plain, part = len < SIM_PAGE_SIZE ? len : SIM_PAGE_SIZE;
	bool large = len > 1514;
	uint32_t flags = large ? TX_CSUM_BLANK | TX_DATA_VALIDATED | TX_EXTRA_INFO : 0;

	/* The first request tells the size of the whole frame. */
	put_piece(p, 0, len, flags | (part < len ? TX_MORE_DATA : 0));
	if (large)
		put_gso(p);
	for (uint32_t at = part; at < len; at += part) {
		part = len - at < SIM_PAGE_SIZE ? len - at : SIM_PAGE_SIZE;
		put_piece(p, at, part, at + part < len ? TX_MORE_DATA : 0);
	}
	p->left--;
}

/* Answers come in the ring's order, or the next frame would overwrite one in flight. */
static bool reap(struct plain *p)
{
	struct net_queue *q = p->q;
	uint32_t prod = __atomic_load_n(net_ring_word(p->f, q->tx_gfn, RSP_PROD), __ATOMIC_ACQUIRE);
	bool any = prod != q->tx_cons;

	for (; q->tx_cons != prod; q->tx_cons++) {
		const uint8_t *e = net_ring_entry(p->f, q->tx_gfn, TX_ENTRY, q->tx_cons);
		int16_t status = (int16_t)get16(e + 2);

		if (status == NET_NULL)
			continue;
		if (get16(e) != q->tx_cons % NET_RING_SIZE)
			net_protocol_error(p->f, "tx response out of turn: id", get16(e));
		p->f->stats.tx_errors += status != NET_OKAY;
	}
	return any;
}

static bool sleep_until_event(struct plain *p, int limit_ms)
{
	struct pollfd fd = { .fd = xenevtchn_fd(p->f->xce), .events = POLLIN };
	int port;

	if (poll(&fd, 1, limit_ms * sim_slowness()) <= 0)
		return false;
	port = xenevtchn_pending(p->f->xce);
	if (port > 0)
		xenevtchn_unmask(p->f->xce, (evtchn_port_t)port);
	return true;
}

/* Ask for an event at the @nr-th next response. True if so many are already there. */
static bool arm(struct plain *p, uint32_t gfn, uint32_t cons, uint32_t nr)
{
	__atomic_store_n(net_ring_word(p->f, gfn, RSP_EVENT), cons + nr, __ATOMIC_RELAXED);
	sim_fence();
	return __atomic_load_n(net_ring_word(p->f, gfn, RSP_PROD), __ATOMIC_RELAXED) - cons >= nr;
}

static int send_all(struct plain *p)
{
	struct net_queue *q = p->q;
	uint32_t need = p->f->opt.plain / SIM_PAGE_SIZE + 3, busy;

	prepare(p);
	p->left = p->f->opt.frames;
	p->first_ns = now_ns();
	while ((p->left || q->tx_cons != q->tx_prod) && !p->f->stats.protocol_errors) {
		while (p->left && net_tx_room(q) >= need)
			put_frame(p);
		net_tx_push(p->f, q);
		if (reap(p))
			continue;
		/* A quarter of the ring at a time, as Linux does. */
		busy = q->tx_prod - q->tx_cons;
		if (!arm(p, q->tx_gfn, q->tx_cons, busy > 4 ? busy / 4 : 1) &&
		    !sleep_until_event(p, FIRST_MS))
			return -ETIMEDOUT;
	}
	p->last_ns = now_ns();
	p->frames = p->f->opt.frames;
	p->bytes = p->frames * p->f->opt.plain;
	return 0;
}

static void post(struct plain *p)
{
	struct net_queue *q = p->q;

	while (q->rx_prod - q->rx_cons < NET_RING_SIZE) {
		struct net_rx_slot *s = &q->rx[q->rx_prod % NET_RING_SIZE];
		uint8_t *e = net_ring_entry(p->f, q->rx_gfn, RX_ENTRY, q->rx_prod);

		if (!s->ref &&
		    sim_guest_grant(&p->f->guest, p->f->bus.back_domid, s->gfn, false, &s->ref))
			sim_die("no grants");
		put16(e, q->rx_prod++ % NET_RING_SIZE);
		put16(e + 2, 0);
		memcpy(e + 4, &s->ref, 4);
	}
	net_rx_push(p->f, q);
}

static void look_at(struct plain *p, const uint8_t *e, bool *in_frame, bool *extra)
{
	int16_t status = (int16_t)get16(e + 6);
	uint16_t flags = get16(e + 4);

	if (*extra) {
		*extra = e[1] & EXTRA_FLAG_MORE;
		return;
	}
	*extra = flags & RX_EXTRA_INFO;
	*in_frame = flags & RX_MORE_DATA;
	p->bytes += status > 0 ? (uint64_t)status : 0;
	p->frames += !*in_frame;
}

static bool receive(struct plain *p)
{
	struct net_queue *q = p->q;
	uint32_t prod = __atomic_load_n(net_ring_word(p->f, q->rx_gfn, RSP_PROD), __ATOMIC_ACQUIRE);
	bool in_frame = false, extra = false;

	if (prod == q->rx_cons)
		return false;
	for (; q->rx_cons != prod; q->rx_cons++)
		look_at(p, net_ring_entry(p->f, q->rx_gfn, RX_ENTRY, q->rx_cons), &in_frame,
			&extra);
	if (in_frame || extra)
		net_protocol_error(p->f, "a frame published in part", prod);
	p->last_ns = now_ns();
	p->first_ns = p->first_ns ? p->first_ns : p->last_ns;
	return true;
}

static int receive_all(struct plain *p)
{
	struct net_queue *q = p->q;

	net_rx_refill(p->f, q);
	while (p->frames < p->f->opt.frames && !p->f->stats.protocol_errors) {
		if (receive(p)) {
			post(p);
			continue;
		}
		if (!arm(p, q->rx_gfn, q->rx_cons, 1) &&
		    !sleep_until_event(p, p->frames ? LAST_MS : FIRST_MS))
			return p->frames ? 0 : -ETIMEDOUT;
	}
	return 0;
}

int net_plain(struct net_front *f)
{
	struct plain p = { .f = f, .q = &f->queue[0] };
	int err = f->opt.receive ? receive_all(&p) : send_all(&p);
	double seconds = (double)(p.last_ns - p.first_ns) / 1e9;

	f->stats.sent = f->stats.received = p.frames;
	if (!err && seconds > 0)
		printf("plain frames=%llu seconds=%.6f pps=%.0f gbps=%.3f errors=%llu\n",
		       (unsigned long long)p.frames, seconds, (double)p.frames / seconds,
		       (double)p.bytes * 8 / 1e9 / seconds, (unsigned long long)f->stats.tx_errors);
	return err;
}
