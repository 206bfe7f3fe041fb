/* SPDX-License-Identifier: MIT */
/* net_ring.c - the frontend's half of the netif rings. */
#include "simnet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define RING_HEADER 64u
#define GUARD       0x5a

uint32_t *net_ring_word(struct net_front *f, uint32_t gfn, unsigned int which)
{
	return (uint32_t *)sim_guest_addr(&f->guest, gfn) + which;
}

uint8_t *net_ring_entry(struct net_front *f, uint32_t gfn, uint32_t size, uint32_t index)
{
	return (uint8_t *)sim_guest_addr(&f->guest, gfn) + RING_HEADER +
	       (size_t)(index % NET_RING_SIZE) * size;
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

static void must(int err, const char *what)
{
	if (err)
		sim_die("%s: %s", what, strerror(-err));
}

void net_protocol_error(struct net_front *f, const char *what, uint64_t value)
{
	if (f->stats.protocol_errors++ < 10)
		fprintf(stderr, "simnet: %s (%llu)\n", what, (unsigned long long)value);
}

static void ring_open(struct net_front *f, uint32_t *gfn, uint32_t *ref)
{
	must(sim_guest_alloc(&f->guest, 1, gfn), "guest memory");
	must(sim_guest_grant(&f->guest, f->bus.back_domid, *gfn, false, ref), "grant");
	*net_ring_word(f, *gfn, REQ_EVENT) = 1;
	*net_ring_word(f, *gfn, RSP_EVENT) = 1;
}

static int port_open(struct net_front *f)
{
	int port = xenevtchn_bind_unbound_port(f->xce, f->bus.back_domid);

	if (port < 0)
		sim_die("event channel: %s", strerror(errno));
	return port;
}

static void queue_open(struct net_front *f, struct net_queue *q)
{
	*q = (struct net_queue){ .tx_prod = 0 };
	ring_open(f, &q->tx_gfn, &q->tx_ref);
	ring_open(f, &q->rx_gfn, &q->rx_ref);
	q->tx_port = port_open(f);
	q->rx_port = f->split ? port_open(f) : q->tx_port;
	for (uint32_t i = 0; i < NET_RING_SIZE; i++) {
		must(sim_guest_alloc(&f->guest, 1, &q->tx[i].gfn), "guest memory");
		must(sim_guest_alloc(&f->guest, 1, &q->rx[i].gfn), "guest memory");
	}
}

void net_queues_open(struct net_front *f)
{
	for (uint32_t i = 0; i < f->nr_queues; i++)
		queue_open(f, &f->queue[i]);
	if (f->opt.ctrl)
		net_ctrl_open(f);
}

static void revoke(struct net_front *f, uint32_t *ref, const char *what)
{
	if (*ref && sim_guest_revoke(&f->guest, *ref))
		net_protocol_error(f, what, *ref);
	*ref = 0;
}

void net_queues_close(struct net_front *f)
{
	net_ctrl_close(f);
	for (uint32_t i = 0; i < f->nr_queues; i++) {
		struct net_queue *q = &f->queue[i];

		if (!q->tx_ref)
			continue;
		xenevtchn_unbind(f->xce, (evtchn_port_t)q->tx_port);
		if (q->rx_port != q->tx_port)
			xenevtchn_unbind(f->xce, (evtchn_port_t)q->rx_port);
		revoke(f, &q->tx_ref, "tx ring grant still in use");
		revoke(f, &q->rx_ref, "rx ring grant still in use");
		for (uint32_t k = 0; k < NET_RING_SIZE; k++) {
			revoke(f, &q->tx[k].ref, "tx grant still in use");
			revoke(f, &q->rx[k].ref, "rx grant still in use");
			sim_guest_free(&f->guest, q->tx[k].gfn, 1);
			sim_guest_free(&f->guest, q->rx[k].gfn, 1);
		}
		sim_guest_free(&f->guest, q->tx_gfn, 1);
		sim_guest_free(&f->guest, q->rx_gfn, 1);
	}
}

uint32_t net_tx_room(const struct net_queue *q)
{
	return NET_RING_SIZE - (q->tx_prod - q->tx_cons);
}

static uint16_t tx_id(struct net_queue *q)
{
	uint16_t id = (uint16_t)(q->tx_prod * 7 % NET_RING_SIZE); /* not just in order */

	while (q->tx[id].busy)
		id = (uint16_t)((id + 1) % NET_RING_SIZE);
	return id;
}

static void tx_request(struct net_front *f, struct net_queue *q, const uint8_t *data, uint32_t len,
		       uint32_t size, uint32_t flags)
{
	uint8_t *e = net_ring_entry(f, q->tx_gfn, TX_ENTRY, q->tx_prod);
	uint16_t id = tx_id(q);
	struct net_tx_slot *s = &q->tx[id];
	uint32_t offset = (uint32_t)(f->random % (SIM_PAGE_SIZE - len + 1));

	f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
	s->busy = true;
	s->is_extra = false;
	memcpy((uint8_t *)sim_guest_addr(&f->guest, s->gfn) + offset, data, len);
	must(sim_guest_grant(&f->guest, f->bus.back_domid, s->gfn, true, &s->ref), "grant");
	memcpy(e, &s->ref, 4);
	put16(e + 4, offset);
	put16(e + 6, flags);
	put16(e + 8, id);
	put16(e + 10, size);
	q->tx_prod++;
}

static void tx_extra_gso(struct net_front *f, struct net_queue *q, uint32_t type, uint32_t size)
{
	uint8_t *e = net_ring_entry(f, q->tx_gfn, TX_ENTRY, q->tx_prod);

	memset(e, 0, TX_ENTRY);
	e[0] = EXTRA_GSO;
	put16(e + 2, size);
	e[4] = (uint8_t)type;
	q->tx_prod++;
}

/* Cut @len into at most @nr pieces, none larger than a page. */
static uint32_t piece(struct net_front *f, size_t left, uint32_t nr_left)
{
	size_t most = left < SIM_PAGE_SIZE ? left : SIM_PAGE_SIZE;
	size_t rest = (size_t)(nr_left - 1) * SIM_PAGE_SIZE;
	size_t least = left > rest ? left - rest : 1;

	if (nr_left == 1 || least >= most)
		return (uint32_t)most;
	return (uint32_t)(least + (f->random >> 33) % (most - least + 1));
}

void net_tx_put(struct net_front *f, struct net_queue *q, const uint8_t *data,
		const struct net_frame *frame, uint32_t nr_slots, bool blank, uint32_t gso_size)
{
	uint32_t flags = blank ? TX_CSUM_BLANK | TX_DATA_VALIDATED : 0;
	size_t at = 0;

	for (uint32_t i = 0; at < frame->len; i++) {
		uint32_t len = piece(f, frame->len - at, nr_slots - i);
		uint32_t more = at + len < frame->len ? TX_MORE_DATA : 0;

		/* The first request tells the size of the whole frame. */
		if (!i)
			tx_request(f, q, data, len, (uint32_t)frame->len,
				   flags | more | (gso_size ? TX_EXTRA_INFO : 0));
		else
			tx_request(f, q, data + at, len, len, more);
		if (!i && gso_size)
			tx_extra_gso(f, q, frame->kind == NET_GSO6 ? GSO_TCPV6 : GSO_TCPV4,
				     gso_size);
		at += len;
	}
}

/* Publish a producer index; notify if the other side's event index is passed. */
static void push(struct net_front *f, uint32_t gfn, uint32_t prod, uint32_t *published, int port)
{
	uint32_t event, old = *published;

	if (old == prod)
		return;
	__atomic_store_n(net_ring_word(f, gfn, REQ_PROD), prod, __ATOMIC_RELEASE);
	sim_fence();
	event = __atomic_load_n(net_ring_word(f, gfn, REQ_EVENT), __ATOMIC_RELAXED);
	*published = prod;
	if (prod - event < prod - old)
		xenevtchn_notify(f->xce, (evtchn_port_t)port);
}

void net_tx_push(struct net_front *f, struct net_queue *q)
{
	push(f, q->tx_gfn, q->tx_prod, &q->tx_published, q->tx_port);
}

static void tx_response(struct net_front *f, struct net_queue *q)
{
	const uint8_t *e = net_ring_entry(f, q->tx_gfn, TX_ENTRY, q->tx_cons);
	uint16_t id = get16(e);
	int16_t status = (int16_t)get16(e + 2);
	struct net_tx_slot *s;

	q->tx_cons++;
	if (status == NET_NULL)
		return;
	if (id >= NET_RING_SIZE || !q->tx[id].busy) {
		net_protocol_error(f, "tx response to nothing: id", id);
		return;
	}
	s = &q->tx[id];
	s->busy = false;
	revoke(f, &s->ref, "tx grant still in use");
	if (status != NET_OKAY)
		f->stats.tx_errors++;
}

void net_tx_reap(struct net_front *f, struct net_queue *q)
{
	uint32_t prod = __atomic_load_n(net_ring_word(f, q->tx_gfn, RSP_PROD), __ATOMIC_ACQUIRE);

	if (prod - q->tx_cons > q->tx_prod - q->tx_cons) {
		net_protocol_error(f, "more tx responses than requests: rsp_prod", prod);
		return;
	}
	while (q->tx_cons != prod)
		tx_response(f, q);
}

void net_rx_push(struct net_front *f, struct net_queue *q)
{
	if (f->opt.no_rx_notify)
		__atomic_store_n(net_ring_word(f, q->rx_gfn, REQ_PROD), q->rx_prod,
				 __ATOMIC_RELEASE);
	else
		push(f, q->rx_gfn, q->rx_prod, &q->rx_published, q->rx_port);
}

void net_rx_refill(struct net_front *f, struct net_queue *q)
{
	static const uint32_t no_grant = SIM_NO_GRANT;

	while (q->rx_prod - q->rx_cons < NET_RING_SIZE) {
		struct net_rx_slot *s = &q->rx[q->rx_prod % NET_RING_SIZE];
		uint8_t *e = net_ring_entry(f, q->rx_gfn, RX_ENTRY, q->rx_prod);

		memset(sim_guest_addr(&f->guest, s->gfn), GUARD, SIM_PAGE_SIZE);
		s->ref = 0;
		if (!f->opt.lose || ++f->nr_buffers % f->opt.lose)
			must(sim_guest_grant(&f->guest, f->bus.back_domid, s->gfn, false, &s->ref),
			     "grant");
		s->id = (uint16_t)(q->rx_prod % NET_RING_SIZE);
		put16(e, s->id);
		put16(e + 2, 0);
		memcpy(e + 4, s->ref ? &s->ref : &no_grant, 4);
		q->rx_prod++;
	}
	net_rx_push(f, q);
}

/* An extra takes the place of a response. */
static bool rx_extra(struct net_front *f, struct net_queue *q, struct net_packet *p)
{
	const uint8_t *e = net_ring_entry(f, q->rx_gfn, RX_ENTRY, q->rx_cons);
	bool more = e[1] & EXTRA_FLAG_MORE;

	if (e[0] == EXTRA_GSO) {
		p->gso_size = get16(e + 2);
		p->gso_type = e[4];
	} else if (e[0] == EXTRA_HASH && f->opt.ctrl) {
		p->hashed = true;
		p->hash_type = e[2];
		p->hash = get16(e + 4) | (uint32_t)get16(e + 6) << 16;
		if (e[3] != 1)
			net_protocol_error(f, "hash by another algorithm", e[3]);
	} else if (e[0] == EXTRA_XDP) {
		p->headroom = get16(e + 2);
	} else {
		net_protocol_error(f, "unexpected extra of type", e[0]);
	}
	revoke(f, &q->rx[q->rx_cons % NET_RING_SIZE].ref, "rx grant still in use");
	q->rx_cons++;
	return more;
}

/* One data response: its bytes are appended to the packet. Returns its flags. */
static uint16_t rx_data(struct net_front *f, struct net_queue *q, struct net_packet *p)
{
	const uint8_t *e = net_ring_entry(f, q->rx_gfn, RX_ENTRY, q->rx_cons);
	struct net_rx_slot *s = &q->rx[q->rx_cons % NET_RING_SIZE];
	const uint8_t *page = sim_guest_addr(&f->guest, s->gfn);
	uint32_t offset = get16(e + 2), len;
	uint16_t flags = get16(e + 4);
	int16_t status = (int16_t)get16(e + 6);

	if (get16(e) != s->id)
		net_protocol_error(f, "rx response in another request's place: id", get16(e));
	revoke(f, &s->ref, "rx grant still in use");
	q->rx_cons++;
	if (status < 0) { /* the backend could not copy into it, and says so */
		p->failed = true;
		return flags;
	}
	len = (uint32_t)status;
	if (offset + len > SIM_PAGE_SIZE || p->len + len > sizeof(p->data)) {
		net_protocol_error(f, "rx response with status", (uint16_t)status);
		return flags & RX_MORE_DATA;
	}
	if (offset && (page[0] != GUARD || page[offset - 1] != GUARD))
		net_protocol_error(f, "bytes before the received ones were written", offset);
	if (p->len == 0)
		p->offset = offset;
	else if (offset)
		net_protocol_error(f, "a hole in a frame: offset", offset);
	/* A backend that died may have begun with another frame. */
	if (!f->opt.lossy && offset + len < SIM_PAGE_SIZE && page[offset + len] != GUARD)
		net_protocol_error(f, "bytes behind the received ones were written", offset);
	memcpy(p->data + p->len, page + offset, len);
	p->len += len;
	return flags;
}

static void judge_expectations(struct net_front *f, const struct net_packet *p, uint32_t nr_slots)
{
	const char *never = f->opt.expect ? f->opt.expect : "";

	if (!strcmp(never, "no-csum") && p->blank)
		net_protocol_error(f, "a blank checksum", p->len);
	if (!strcmp(never, "no-gso") && p->gso_type)
		net_protocol_error(f, "a large frame", p->len);
	if (!strcmp(never, "single-slot") && nr_slots > 1)
		net_protocol_error(f, "a chain of slots", nr_slots);
}

static void rx_judge(struct net_front *f, const struct net_packet *p, uint32_t nr_slots)
{
	if (p->failed)
		return;
	if (p->offset != p->headroom)
		net_protocol_error(f, "the frame does not begin at its headroom but at", p->offset);
	if (p->blank && !p->validated)
		net_protocol_error(f, "csum_blank without data_validated", 0);
	if (p->gso_type && (!p->blank || !p->validated))
		net_protocol_error(f, "GSO without both checksum flags", 0);
	if (p->gso_type && !p->gso_size)
		net_protocol_error(f, "GSO size 0", 0);
	if (p->gso_type == GSO_TCPV4 ? !f->opt.gso4 : p->gso_type && !f->opt.gso6)
		net_protocol_error(f, "GSO that was not offered: type", p->gso_type);
	if (!f->opt.sg && nr_slots > 1)
		net_protocol_error(f, "a chain without feature-sg: slots", nr_slots);
	if (nr_slots > NET_MAX_SLOTS)
		net_protocol_error(f, "too long a chain: slots", nr_slots);
}

bool net_rx_take(struct net_front *f, struct net_queue *q)
{
	uint32_t prod = __atomic_load_n(net_ring_word(f, q->rx_gfn, RSP_PROD), __ATOMIC_ACQUIRE);
	struct net_packet *p = &f->packet;
	uint32_t nr_slots = 1;
	uint16_t flags;

	if (prod - q->rx_cons > q->rx_prod - q->rx_cons) {
		net_protocol_error(f, "more rx responses than requests: rsp_prod", prod);
		return false;
	}
	if (prod == q->rx_cons)
		return false;
	p->len = 0;
	p->gso_type = p->gso_size = 0;
	p->hashed = p->failed = false;
	p->headroom = p->offset = 0;
	p->queue = (uint32_t)(q - f->queue);
	flags = rx_data(f, q, p);
	p->blank = flags & RX_CSUM_BLANK;
	p->validated = flags & RX_DATA_VALIDATED;
	if (flags & RX_EXTRA_INFO)
		while (prod != q->rx_cons && rx_extra(f, q, p))
			;
	for (; (flags & RX_MORE_DATA) && prod != q->rx_cons; nr_slots++)
		flags = rx_data(f, q, p);
	if (flags & RX_MORE_DATA)
		net_protocol_error(f, "a frame published in part: slots", nr_slots);
	rx_judge(f, p, nr_slots);
	judge_expectations(f, p, nr_slots);
	return true;
}

static bool armed_ring_has_more(struct net_front *f, uint32_t gfn, uint32_t cons)
{
	__atomic_store_n(net_ring_word(f, gfn, RSP_EVENT), cons + 1, __ATOMIC_RELAXED);
	sim_fence();
	return __atomic_load_n(net_ring_word(f, gfn, RSP_PROD), __ATOMIC_RELAXED) != cons;
}

bool net_wait_wanted(struct net_front *f, struct net_queue *q)
{
	bool tx = armed_ring_has_more(f, q->tx_gfn, q->tx_cons);

	return armed_ring_has_more(f, q->rx_gfn, q->rx_cons) || tx;
}
