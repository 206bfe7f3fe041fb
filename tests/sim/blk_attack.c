/* SPDX-License-Identifier: MIT */
/*
 * blk_attack.c - a hostile block frontend.
 *
 * A request that is wrong must be answered with an error, once, under its own
 * id. The backend must leave an impossible ring (state 5). No attack may bring
 * the backend down.
 */
#include "blk_attack.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define ANY 0x7fff /* any status will do */

/* Native layouts: attacks speak the 64-bit ABI. */
struct raw_seg {
	uint32_t ref;
	uint8_t first, last;
	uint16_t pad;
};
struct raw_rw {
	uint8_t op, nr_segs;
	uint16_t handle;
	uint64_t id, sector;
	struct raw_seg seg[BLK_DIRECT_SEGS];
};
struct raw_discard {
	uint8_t op, flag;
	uint64_t id, sector, nr;
};
struct raw_indirect {
	uint8_t op, inner;
	uint16_t nr_segs;
	uint64_t id, sector;
	uint16_t handle;
	uint32_t ref[8];
};
_Static_assert(sizeof(struct raw_rw) == 112, "blkif_request");
_Static_assert(sizeof(struct raw_discard) == 32, "blkif_request_discard");
_Static_assert(sizeof(struct raw_indirect) == 64, "blkif_request_indirect");

/* What an attack works with: one page, granted both ways. */
static uint32_t page_gfn, page_ref, page_ref_ro;

static int open_page(struct blk_front *f)
{
	int err = sim_guest_alloc(&f->guest, 1, &page_gfn);

	if (!err)
		err = sim_guest_grant(&f->guest, 0, page_gfn, false, &page_ref);
	if (!err)
		err = sim_guest_grant(&f->guest, 0, page_gfn, true, &page_ref_ro);
	return err;
}

static void put(struct blk_front *f, const void *slot, size_t len)
{
	struct blk_queue *q = &f->queue[0];

	memset(blk_ring_slot(f, q, q->req_prod), 0, 112);
	memcpy(blk_ring_slot(f, q, q->req_prod), slot, len);
	q->req_prod++;
}

static bool backend_left(struct blk_front *f)
{
	bus_drain(&f->bus);
	return bus_back_state(&f->bus) != BUS_CONNECTED;
}

/* Wait for a response: its id, op and status. -ECANCELED: the backend closes. */
static int answer(struct blk_front *f, uint64_t *ret_id, int *ret_status)
{
	struct blk_queue *q = &f->queue[0];
	int64_t end = sim_now_ms() + ANSWER_MS;

	while (!blk_ring_wait_wanted(f, q)) {
		struct pollfd p[2] = { { .fd = xenevtchn_fd(f->xce), .events = POLLIN },
				       { .fd = xs_fileno(f->bus.xs), .events = POLLIN } };
		int port;

		if (sim_now_ms() > end)
			return -ETIMEDOUT;
		poll(p, 2, 100);
		if (p[0].revents) {
			port = xenevtchn_pending(f->xce);
			if (port > 0)
				xenevtchn_unmask(f->xce, (evtchn_port_t)port);
		}
		if (p[1].revents && backend_left(f))
			return -ECANCELED;
	}
	sim_fence();
	if (ret_id) {
		const uint8_t *slot = blk_ring_slot(f, q, q->rsp_cons);
		int16_t status;

		memcpy(ret_id, slot, 8);
		memcpy(&status, slot + 10, 2);
		*ret_status = status;
	}
	q->rsp_cons++;
	return 0;
}

/* Send one slot and demand one answer with its id and status. */
static int ask(struct blk_front *f, const void *slot, size_t len, uint64_t id, int want,
	       const char *what)
{
	uint64_t got_id = 0;
	int status = 0, err;

	put(f, slot, len);
	blk_ring_push(f, &f->queue[0]);
	err = answer(f, &got_id, &status);
	if (!err && (got_id != id || (want != ANY && status != want))) {
		fprintf(stderr, "simblk: %s: answer id %llu status %d, want id %llu status %d\n",
			what, (unsigned long long)got_id, status, (unsigned long long)id, want);
		return -EPROTO;
	}
	if (err)
		fprintf(stderr, "simblk: %s: no answer: %s\n", what, strerror(-err));
	return err;
}

static struct raw_rw good_read(uint64_t id)
{
	struct raw_rw r = { .op = BLK_READ, .nr_segs = 1, .id = id };

	r.seg[0] = (struct raw_seg){ .ref = page_ref, .first = 0, .last = 7 };
	return r;
}

/* After an attack the device must still do its work. */
int blk_attack_still_works(struct blk_front *f)
{
	struct raw_rw r = good_read(0xfeedf00ddeadbeef);

	return ask(f, &r, sizeof(r), r.id, BLK_OKAY, "an honest read afterwards");
}

static int bad_segments(struct blk_front *f)
{
	const struct {
		uint8_t nr, first, last;
	} rows[] = { { 0, 0, 7 }, { 12, 0, 7 },    { 255, 0, 7 }, { 1, 5, 4 },
		     { 1, 0, 8 }, { 1, 255, 255 }, { 1, 7, 0 } };
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++) {
		struct raw_rw r = good_read(i + 1);

		r.nr_segs = rows[i].nr;
		r.seg[0].first = rows[i].first;
		r.seg[0].last = rows[i].last;
		err = ask(f, &r, sizeof(r), r.id, BLK_ERROR, "bad segment");
	}
	return err ? err : blk_attack_still_works(f);
}

static int bad_sectors(struct blk_front *f)
{
	const uint64_t rows[] = { f->nr_sectors,  f->nr_sectors - 7, UINT64_MAX,
				  UINT64_MAX - 7, 1ull << 63,        (1ull << 55) - 4 };
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++) {
		struct raw_rw r = good_read(i);

		r.op = i & 1 ? BLK_WRITE : BLK_READ;
		r.sector = rows[i];
		err = ask(f, &r, sizeof(r), r.id, BLK_ERROR, "sector beyond the end");
	}
	return err ? err : blk_attack_still_works(f);
}

static int bad_discards(struct blk_front *f)
{
	const struct {
		uint64_t sector, nr;
	} rows[] = { { 0, f->nr_sectors + 1 },
		     { f->nr_sectors, 1 },
		     { UINT64_MAX, 2 },
		     { 8, UINT64_MAX - 7 },
		     { 0, UINT64_MAX } };
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++) {
		struct raw_discard r = {
			.op = BLK_DISCARD, .id = i, .sector = rows[i].sector, .nr = rows[i].nr
		};

		err = ask(f, &r, sizeof(r), r.id, f->discard ? BLK_ERROR : ANY,
			  "discard beyond the end");
	}
	return err ? err : blk_attack_still_works(f);
}

static int bad_indirect(struct blk_front *f)
{
	const struct {
		uint8_t inner;
		uint16_t nr;
		uint32_t ref;
	} rows[] = { { BLK_READ, 0, page_ref },      { BLK_READ, 257, page_ref },
		     { BLK_READ, 4097, page_ref },   { BLK_READ, 65535, page_ref },
		     { BLK_READ, 16, 0xffffffff },   { BLK_FLUSH, 16, page_ref },
		     { BLK_INDIRECT, 16, page_ref }, { BLK_DISCARD, 16, page_ref },
		     { 255, 16, page_ref } };
	int err = 0;

	memset(sim_guest_addr(&f->guest, page_gfn), 0xff, SIM_PAGE_SIZE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++) {
		struct raw_indirect r = {
			.op = BLK_INDIRECT, .inner = rows[i].inner, .nr_segs = rows[i].nr, .id = i
		};

		for (int k = 0; k < 8; k++)
			r.ref[k] = rows[i].ref;
		err = ask(f, &r, sizeof(r), r.id, ANY, "bad indirect request");
	}
	return err ? err : blk_attack_still_works(f);
}

static int unknown_operations(struct blk_front *f)
{
	int err = 0;

	for (unsigned int op = 7; op < 256 && !err; op++) {
		struct raw_rw r = good_read(op);

		r.op = (uint8_t)op;
		err = ask(f, &r, sizeof(r), op, BLK_EOPNOTSUPP, "unknown operation");
	}
	return err ? err : blk_attack_still_works(f);
}

static int bad_grants(struct blk_front *f)
{
	const uint32_t refs[] = { 0, 1, 20000, 32767, 32768, UINT32_MAX, page_ref_ro };
	int err = 0;

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]) && !err; i++) {
		struct raw_rw r = good_read(i);

		r.nr_segs = 3;
		r.seg[2] = r.seg[1] = r.seg[0];
		r.seg[1].ref = refs[i];
		err = ask(f, &r, sizeof(r), r.id, BLK_ERROR, "bad grant");
	}
	return err ? err : blk_attack_still_works(f);
}

static int same_id(struct blk_front *f)
{
	struct blk_queue *q = &f->queue[0];
	struct raw_rw r = good_read(42);
	uint64_t id;
	int status, err = 0;

	for (uint32_t i = 0; i < q->nr_slots; i++)
		put(f, &r, sizeof(r));
	blk_ring_push(f, q);
	for (uint32_t i = 0; i < q->nr_slots && !err; i++) {
		err = answer(f, &id, &status);
		if (!err && (id != 42 || status != BLK_OKAY))
			err = -EPROTO;
	}
	return err ? err : blk_attack_still_works(f);
}

/* Everything but a read is refused. */
static int write_read_only(struct blk_front *f)
{
	struct raw_rw write = good_read(1), flush = { .op = BLK_FLUSH, .id = 2 };
	struct raw_discard discard = { .op = BLK_DISCARD, .id = 3, .nr = 8 };
	int err = f->readonly ? 0 : -EINVAL;

	write.op = BLK_WRITE;
	if (!err)
		err = ask(f, &write, sizeof(write), 1, BLK_ERROR, "write");
	if (!err)
		err = ask(f, &flush, sizeof(flush), 2, BLK_ERROR, "flush");
	if (!err)
		err = ask(f, &discard, sizeof(discard), 3, f->discard ? BLK_ERROR : BLK_EOPNOTSUPP,
			  "discard");
	return err ? err : blk_attack_still_works(f);
}

/* One page for all segments of a request, and for all requests of a ring. */
static int same_grant(struct blk_front *f)
{
	struct raw_rw r = good_read(5);
	int err = 0;

	r.nr_segs = BLK_DIRECT_SEGS;
	for (unsigned int i = 1; i < BLK_DIRECT_SEGS; i++)
		r.seg[i] = r.seg[0];
	for (unsigned int i = 0; i < 100 && !err; i++) {
		r.op = i & 1 ? BLK_WRITE : BLK_READ;
		err = ask(f, &r, sizeof(r), r.id, BLK_OKAY, "one grant many times");
	}
	return err;
}

/* The unused bytes of a response are zero, so it shows nothing of the backend's memory. */
static int response_padding(struct blk_front *f)
{
	struct blk_queue *q = &f->queue[0];
	struct raw_rw r = good_read(6);
	int err = 0;

	for (unsigned int i = 0; i < q->nr_slots && !err; i++) {
		const uint8_t *rsp;

		memset(r.seg + 1, 0xff, sizeof(r) - offsetof(struct raw_rw, seg[1]));
		err = ask(f, &r, sizeof(r), r.id, BLK_OKAY, "a read");
		rsp = blk_ring_slot(f, q, q->rsp_cons - 1);
		if (!err && (rsp[9] || rsp[12] || rsp[13] || rsp[14] || rsp[15]))
			err = -EPROTO;
	}
	return err;
}

/* The backend must notice and leave: state 5. */
static int must_leave(struct blk_front *f)
{
	int state = bus_wait(&f->bus, BUS_MASK(BUS_CLOSING) | BUS_MASK(BUS_CLOSED), ANSWER_MS);

	return state < 0 ? state : 0;
}

static void publish_producer(struct blk_front *f, uint32_t prod)
{
	__atomic_store_n(blk_ring_word(f, &f->queue[0], REQ_PROD), prod, __ATOMIC_SEQ_CST);
	xenevtchn_notify(f->xce, (evtchn_port_t)f->queue[0].port);
}

static int runaway_producer(struct blk_front *f)
{
	publish_producer(f, f->queue[0].req_prod + f->queue[0].nr_slots + 1);
	return must_leave(f);
}

static int far_runaway_producer(struct blk_front *f)
{
	publish_producer(f, f->queue[0].req_prod + 0x80000000u);
	return must_leave(f);
}

static int backward_producer(struct blk_front *f)
{
	int err = blk_attack_still_works(f);

	publish_producer(f, f->queue[0].req_prod - 1);
	return err ? err : must_leave(f);
}

static bool flip_stop; /* atomic */

/* Change slots all the time; nobody knows what the backend reads there. */
static void *flip_slots(void *arg)
{
	struct blk_front *f = arg;
	struct blk_queue *q = &f->queue[0];
	uint64_t x = 88172645463325252ull;

	while (!__atomic_load_n(&flip_stop, __ATOMIC_RELAXED)) {
		uint8_t *slot;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		slot = blk_ring_slot(f, q, (uint32_t)x);
		switch (x >> 40 & 3) {
		case 0:
			slot[0] = (uint8_t)(x >> 48 & 7);
			break;
		case 1:
			slot[1] = (uint8_t)(x >> 48);
			break;
		case 2:
			slot[24 + (x >> 48) % 88] = (uint8_t)(x >> 56);
			break;
		default:
			memcpy(slot + 16, &x, 8);
			break;
		}
	}
	return NULL;
}

/* Keep the ring full; each request must be answered, with any status. */
static int flood(struct blk_front *f, uint32_t total)
{
	struct blk_queue *q = &f->queue[0];
	struct raw_rw r = good_read(7);
	int status, err = 0;
	uint64_t id;

	for (uint32_t i = 0, busy = 0; i < total && !err; busy--) {
		for (; busy < q->nr_slots && i < total; busy++, i++)
			put(f, &r, sizeof(r));
		blk_ring_push(f, q);
		err = answer(f, &id, &status);
	}
	while (!err && q->rsp_cons != q->req_prod)
		err = answer(f, &id, &status);
	return err;
}

static int changing_slots(struct blk_front *f)
{
	pthread_t thread;
	int err;

	__atomic_store_n(&flip_stop, false, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, flip_slots, f))
		return -errno;
	err = flood(f, 20000);
	__atomic_store_n(&flip_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err ? err : blk_attack_still_works(f);
}

static void *flip_grant(void *arg)
{
	struct blk_front *f = arg;
	grant_entry_v1_t *e = &sim_dom_grants(f->guest.conn.shm, f->guest.dom)[page_ref];
	uint32_t gfn = e->frame;

	while (!__atomic_load_n(&flip_stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&e->flags, (uint16_t)0, __ATOMIC_SEQ_CST);
		e->frame = UINT32_MAX;
		__atomic_store_n(&e->flags, (uint16_t)GTF_permit_access, __ATOMIC_SEQ_CST);
		e->frame = gfn;
	}
	e->frame = gfn;
	__atomic_store_n(&e->flags, (uint16_t)GTF_permit_access, __ATOMIC_SEQ_CST);
	return NULL;
}

static int revoked_grants(struct blk_front *f)
{
	pthread_t thread;
	int err;

	__atomic_store_n(&flip_stop, false, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, flip_grant, f))
		return -errno;
	err = flood(f, 20000);
	__atomic_store_n(&flip_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err ? err : blk_attack_still_works(f);
}

static int event_storm(struct blk_front *f)
{
	for (int i = 0; i < 300000; i++)
		xenevtchn_notify(f->xce, (evtchn_port_t)f->queue[0].port);
	return blk_attack_still_works(f);
}

/* The backend only writes its own words of the header, and never reads them back. */
static int scribbled_header(struct blk_front *f)
{
	struct blk_queue *q = &f->queue[0];
	struct raw_rw r = good_read(9);

	for (int i = 0; i < 16; i++)
		blk_ring_word(f, q, RSP_PROD)[i > 1 ? i : 0] = 0xffffffff;
	*blk_ring_word(f, q, REQ_EVENT) = 0x55555555;
	put(f, &r, sizeof(r));
	publish_producer(f, q->req_prod);
	/* One answer must be there: rsp_prod is the backend's count again. */
	for (int64_t end = sim_now_ms() + ANSWER_MS; sim_now_ms() < end;) {
		if (__atomic_load_n(blk_ring_word(f, q, RSP_PROD), __ATOMIC_SEQ_CST) == 1)
			return 0;
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

static int closed_port(struct blk_front *f)
{
	xenevtchn_unbind(f->xce, (evtchn_port_t)f->queue[0].port);
	f->queue[0].port = xenevtchn_bind_unbound_port(f->xce, 0);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct blk_front *f);
	bool connected; /* begins on a connected ring */
} attacks[] = {
	{ "bad-segments", bad_segments, true },
	{ "bad-sectors", bad_sectors, true },
	{ "bad-discards", bad_discards, true },
	{ "bad-indirect", bad_indirect, true },
	{ "unknown-operations", unknown_operations, true },
	{ "bad-grants", bad_grants, true },
	{ "same-id", same_id, true },
	{ "same-grant", same_grant, true },
	{ "response-padding", response_padding, true },
	{ "write-read-only", write_read_only, true },
	{ "runaway-producer", runaway_producer, true },
	{ "far-runaway-producer", far_runaway_producer, true },
	{ "backward-producer", backward_producer, true },
	{ "changing-slots", changing_slots, true },
	{ "revoked-grants", revoked_grants, true },
	{ "event-storm", event_storm, true },
	{ "scribbled-header", scribbled_header, true },
	{ "closed-port", closed_port, true },
	{ "junk-keys", blk_attack_junk_keys, false },
	{ "huge-values", blk_attack_huge_values, false },
	{ "flapping-states", blk_attack_flapping_states, false },
	{ "flapping-connections", blk_attack_flapping_connections, false },
	{ "vanishing-directory", blk_attack_vanishing_directory, false },
	{ "full-at-attach", blk_attack_full_at_attach, false },
	{ "foreign-port", blk_attack_foreign_port, false },
	{ "one-page-twice", blk_attack_one_page_twice, false },
};
#define NR_ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

void blk_attack_list(void)
{
	for (size_t i = 0; i < NR_ATTACKS; i++)
		puts(attacks[i].name);
}

int blk_attack(struct blk_front *f)
{
	size_t i = 0;
	int err;

	while (i < NR_ATTACKS && strcmp(attacks[i].name, f->opt.attack))
		i++;
	if (i == NR_ATTACKS)
		return -EINVAL;
	f->opt.abi = BLK_ABI_64;
	err = open_page(f);
	if (!err && attacks[i].connected)
		err = blk_connect(f);
	return err ? err : attacks[i].run(f);
}
