/* SPDX-License-Identifier: MIT */
/* net_ctrl.c - the frontend's half of the control ring, and its own reading of the hash. */
#include "simnet.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "util.h"

#define CTRL_ENTRY 16u
#define ANSWER_MS  10000

static void must(int err, const char *what)
{
	if (err)
		sim_die("%s: %s", what, strerror(-err));
}

void net_ctrl_open(struct net_front *f)
{
	struct net_ctrl *c = &f->ctrl;

	*c = (struct net_ctrl){ .open = true };
	must(sim_guest_alloc(&f->guest, 1, &c->gfn), "guest memory");
	must(sim_guest_grant(&f->guest, f->bus.back_domid, c->gfn, false, &c->ref), "grant");
	must(sim_guest_alloc(&f->guest, 1, &c->data_gfn), "guest memory");
	must(sim_guest_grant(&f->guest, f->bus.back_domid, c->data_gfn, true, &c->data_ref),
	     "grant");
	*net_ring_word(f, c->gfn, REQ_EVENT) = 1;
	*net_ring_word(f, c->gfn, RSP_EVENT) = 1;
	c->port = xenevtchn_bind_unbound_port(f->xce, f->bus.back_domid);
	if (c->port < 0)
		sim_die("event channel: %s", strerror(errno));
}

void net_ctrl_close(struct net_front *f)
{
	struct net_ctrl *c = &f->ctrl;

	if (!c->open)
		return;
	c->open = false;
	xenevtchn_unbind(f->xce, (evtchn_port_t)c->port);
	if (sim_guest_revoke(&f->guest, c->ref))
		net_protocol_error(f, "control ring grant still in use", c->ref);
	if (sim_guest_revoke(&f->guest, c->data_ref))
		net_protocol_error(f, "control data grant still in use", c->data_ref);
	sim_guest_free(&f->guest, c->gfn, 1);
	sim_guest_free(&f->guest, c->data_gfn, 1);
}

uint8_t *net_ctrl_entry(struct net_front *f, uint32_t index)
{
	return (uint8_t *)sim_guest_addr(&f->guest, f->ctrl.gfn) + 64 +
	       (size_t)(index % NET_CTRL_SIZE) * CTRL_ENTRY;
}

void net_ctrl_put(struct net_front *f, uint16_t id, uint16_t type, const uint32_t data[3])
{
	uint8_t *e = net_ctrl_entry(f, f->ctrl.prod++);

	memcpy(e, &id, 2);
	memcpy(e + 2, &type, 2);
	memcpy(e + 4, data, 12);
}

void net_ctrl_push(struct net_front *f)
{
	struct net_ctrl *c = &f->ctrl;
	uint32_t old = c->published, event;

	__atomic_store_n(net_ring_word(f, c->gfn, REQ_PROD), c->prod, __ATOMIC_SEQ_CST);
	event = __atomic_load_n(net_ring_word(f, c->gfn, REQ_EVENT), __ATOMIC_SEQ_CST);
	c->published = c->prod;
	if (c->prod - event < c->prod - old)
		xenevtchn_notify(f->xce, (evtchn_port_t)c->port);
}

int net_ctrl_wait(struct net_front *f, uint32_t prod)
{
	int64_t end = sim_now_ms() + ANSWER_MS * sim_slowness();

	while (__atomic_load_n(net_ring_word(f, f->ctrl.gfn, RSP_PROD), __ATOMIC_ACQUIRE) != prod) {
		bus_drain(&f->bus);
		if (bus_back_state(&f->bus) != BUS_CONNECTED)
			return -ECANCELED;
		if (sim_now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return 0;
}

int net_ctrl_ask(struct net_front *f, uint16_t type, uint32_t data0, uint32_t data1, uint32_t data2,
		 uint32_t *ret_data)
{
	const uint32_t data[3] = { data0, data1, data2 };
	uint16_t id = (uint16_t)(0x5a00 + f->ctrl.prod), got_id, got_type;
	const uint8_t *e = net_ctrl_entry(f, f->ctrl.prod);
	uint32_t status;
	int err;

	net_ctrl_put(f, id, type, data);
	net_ctrl_push(f);
	err = net_ctrl_wait(f, f->ctrl.prod);
	if (err)
		return err;
	memcpy(&got_id, e, 2);
	memcpy(&got_type, e + 2, 2);
	memcpy(&status, e + 4, 4);
	memcpy(ret_data, e + 8, 4);
	return got_id == id && got_type == type && status < 4 ? (int)status : -EPROTO;
}

/* netif.h's words, taken literally: shift both, and add the key where the buffer has a one. */
uint32_t net_toeplitz(const uint8_t key[40], const uint8_t *buffer, uint32_t len)
{
	uint32_t value = 0;

	for (uint32_t bit = 0; bit < len * 8; bit++) {
		if (!(buffer[bit / 8] >> (7 - bit % 8) & 1))
			continue;
		for (uint32_t k = 0; k < 32; k++) {
			uint32_t at = bit + k;

			value ^= (uint32_t)(key[at / 8] >> (7 - at % 8) & 1) << (31 - k);
		}
	}
	return value;
}
