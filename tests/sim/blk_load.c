/* SPDX-License-Identifier: MIT */
/*
 * blk_load.c - the load of simblk and the check of every byte that comes back.
 *
 * Each sector written carries its number, a generation and bytes that follow
 * from the two. The guest remembers the generation per sector, so a read can
 * find lost, old, misplaced and incomplete writes. The bytes of a page that a
 * read may not write have a pattern, which must stay.
 */
#include "simblk.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define GUARD   0xa5
#define IDLE_MS 200000 /* no response for so long is a hang, also on a slow machine */

static uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint32_t pick(struct blk_front *f, uint32_t limit)
{
	f->random = mix64(f->random);
	return limit ? (uint32_t)((f->random >> 32) % limit) : 0;
}

static void sector_fill(uint8_t *at, uint64_t sector, uint32_t generation)
{
	uint64_t word[BLK_SECTOR / 8], seed = sector << 24 ^ generation;

	word[0] = sector;
	word[1] = generation;
	for (size_t i = 2; i < BLK_SECTOR / 8; i++)
		word[i] = seed * (2 * i + 1) ^ i;
	memcpy(at, word, BLK_SECTOR);
}

static bool sector_is(const uint8_t *at, uint64_t sector, uint32_t generation)
{
	uint8_t want[BLK_SECTOR];

	sector_fill(want, sector, generation);
	return !memcmp(at, want, BLK_SECTOR);
}

static void bad_content(struct blk_front *f, uint64_t sector, const uint8_t *at)
{
	uint64_t word[2];

	memcpy(word, at, sizeof(word));
	if (f->stats.bad_content++ < 10)
		fprintf(stderr,
			"simblk: sector %llu generation %u reads as sector %llu generation %llu\n",
			(unsigned long long)sector, f->generation[sector],
			(unsigned long long)word[0], (unsigned long long)word[1]);
}

/* Spread the request's sectors over pages; with "odd" they start and end anywhere. */
static void segments_make(struct blk_front *f, struct blk_req *r)
{
	uint32_t left = r->nr_sectors;

	r->nr_segs = 0;
	while (left && r->nr_segs < f->max_segs) {
		struct blk_seg *s = &r->seg[r->nr_segs];
		uint32_t first = f->opt.odd ? pick(f, BLK_PAGE_SECTORS) : 0;
		uint32_t room = BLK_PAGE_SECTORS - first;
		uint32_t take = f->opt.odd ? 1 + pick(f, room) : room;

		if (take > left)
			take = left;
		s->first = (uint8_t)first;
		s->last = (uint8_t)(first + take - 1);
		s->gfn = r->pages + r->nr_segs;
		left -= take;
		r->nr_segs++;
	}
	r->nr_sectors -= left; /* what did not fit in the allowed segments */
}

/* For a write put the content in, for a read put the guard pattern there. */
static void pages_fill(struct blk_front *f, struct blk_req *r)
{
	uint64_t sector = r->sector;

	for (uint32_t i = 0; i < r->nr_segs; i++) {
		struct blk_seg *s = &r->seg[i];
		uint8_t *page = sim_guest_addr(&f->guest, s->gfn);

		if (r->op == BLK_READ)
			memset(page, GUARD, SIM_PAGE_SIZE);
		for (uint32_t k = s->first; r->op != BLK_READ && k <= s->last; k++, sector++)
			sector_fill(page + k * BLK_SECTOR, sector, f->generation[sector]);
	}
}

static void guard_check(struct blk_front *f, const uint8_t *page, const struct blk_seg *s)
{
	for (uint32_t i = 0; i < SIM_PAGE_SIZE; i++) {
		uint32_t sector = i / BLK_SECTOR;

		if ((sector >= s->first && sector <= s->last) || page[i] == GUARD)
			continue;
		fprintf(stderr, "simblk: byte %u outside of segment %u..%u was written\n", i,
			s->first, s->last);
		f->stats.protocol_errors++;
		return;
	}
}

static void pages_check(struct blk_front *f, struct blk_req *r)
{
	uint64_t sector = r->sector;

	for (uint32_t i = 0; i < r->nr_segs; i++) {
		struct blk_seg *s = &r->seg[i];
		const uint8_t *page = sim_guest_addr(&f->guest, s->gfn);

		guard_check(f, page, s);
		for (uint32_t k = s->first; k <= s->last; k++, sector++) {
			const uint8_t *at = page + k * BLK_SECTOR;

			if (f->generation[sector] && !sector_is(at, sector, f->generation[sector]))
				bad_content(f, sector, at);
		}
	}
}

#define HELD_BY_WRITE 255

/*
 * Nothing is said about the order of overlapping requests, so send none: a
 * sector has any number of readers or one writer.
 */
static bool range_take(struct blk_front *f, uint64_t sector, uint32_t nr, bool write)
{
	for (uint32_t i = 0; i < nr; i++)
		if (f->holders[sector + i] >= (write ? 1 : HELD_BY_WRITE - 1))
			return false;
	for (uint32_t i = 0; i < nr; i++)
		f->holders[sector + i] =
			write ? HELD_BY_WRITE : (uint8_t)(f->holders[sector + i] + 1);
	return true;
}

static void range_drop(struct blk_front *f, uint64_t sector, uint32_t nr)
{
	for (uint64_t i = sector; i < sector + nr; i++)
		f->holders[i] = f->holders[i] == HELD_BY_WRITE ? 0 : (uint8_t)(f->holders[i] - 1);
}

static uint8_t pick_op(struct blk_front *f)
{
	static const uint8_t ops[] = { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD };
	uint32_t weight[4], sum = 0, at;

	for (uint32_t i = 0; i < 4; i++) {
		bool able = ops[i] == BLK_READ ||
			    (!f->readonly && (ops[i] == BLK_WRITE ||
					      (ops[i] == BLK_FLUSH ? f->flush : f->discard)));

		weight[i] = able ? f->opt.mix[i] : 0;
		sum += weight[i];
	}
	at = pick(f, sum);
	for (uint32_t i = 0; i < 4; i++) {
		if (sum && at < weight[i])
			return ops[i];
		at -= weight[i];
	}
	return BLK_READ;
}

/* The next of the listed operations; a capital letter has as many segments as are allowed. */
static uint8_t next_op(struct blk_front *f, uint32_t *ret_sectors)
{
	static const char letters[] = { [BLK_READ] = 'r',
					[BLK_WRITE] = 'w',
					[BLK_BARRIER] = 'b',
					[BLK_FLUSH] = 'f',
					[BLK_DISCARD] = 'd' };
	char letter = f->opt.ops[f->next_op++ % strlen(f->opt.ops)];
	char small = letter == 'R' ? 'r' : letter == 'W' ? 'w' : letter;

	*ret_sectors = small == letter ? 2 * BLK_PAGE_SECTORS : f->max_segs * BLK_PAGE_SECTORS;
	return (uint8_t)((const char *)memchr(letters, small, sizeof(letters)) - letters);
}

static bool is_write(const struct blk_req *r)
{
	return r->op == BLK_WRITE || r->op == BLK_BARRIER;
}

/* Another disk writes the other half. */
static void move_into_half(const struct blk_front *f, struct blk_req *r)
{
	uint32_t half = BLK_PAGE_SECTORS / 2;
	uint64_t end = (r->sector & ~(BLK_PAGE_SECTORS - 1ull)) + f->opt.half * half;

	r->sector = end - r->nr_sectors;
}

/* Choose its segments, and a range of the disk that no other request uses. */
static bool request_place(struct blk_front *f, struct blk_req *r)
{
	if (!f->opt.odd)
		r->nr_sectors = (r->nr_sectors + 7) & ~7u;
	if (f->opt.half)
		r->nr_sectors = (r->nr_sectors - 1) % (BLK_PAGE_SECTORS / 2) + 1;
	if (r->nr_sectors > f->span)
		r->nr_sectors = (uint32_t)f->span;
	if (r->op != BLK_DISCARD)
		segments_make(f, r);
	r->sector = pick(f, (uint32_t)(f->span - r->nr_sectors + 1));
	if (!f->opt.odd)
		r->sector &= ~7ull;
	if (f->opt.half)
		move_into_half(f, r);
	return range_take(f, r->sector, r->nr_sectors, r->op != BLK_READ);
}

/* Fill @r with a random request. False when its range is in use just now. */
static bool request_make(struct blk_front *f, struct blk_req *r)
{
	r->nr_segs = r->nr_sectors = 0;
	r->sector = 0;
	if (f->opt.ops)
		r->op = next_op(f, &r->nr_sectors);
	else
		r->op = pick_op(f);
	if (r->op == BLK_FLUSH) {
		r->nr_sectors = 0;
		return true;
	}
	if (!f->opt.ops)
		r->nr_sectors = 1 + pick(f, f->opt.max_sectors);
	if (request_place(f, r))
		return true;
	if (f->opt.ops)
		f->next_op--; /* none is left out */
	return false;
}

static void request_send(struct blk_front *f, struct blk_queue *q, struct blk_req *r)
{
	bool discard = r->op == BLK_DISCARD;

	for (uint32_t i = 0; i < r->nr_sectors && (is_write(r) || discard); i++)
		f->generation[r->sector + i] = discard ? 0 : f->next_generation;
	if (is_write(r) && !++f->next_generation)
		f->next_generation = 1;
	pages_fill(f, r);
	for (uint32_t i = 0; i < r->nr_segs; i++)
		r->seg[i].ref = blk_grant(f, r, i);
	blk_ring_put(f, q, r);
}

/* The time of day, as `date` knows it too. */
static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void request_done(struct blk_front *f, struct blk_req *r, int status)
{
	if (!f->stats.done++)
		f->stats.first_ns = clock_ns();
	if (r->op != BLK_FLUSH)
		range_drop(f, r->sector, r->nr_sectors);
	if (status == BLK_EOPNOTSUPP) {
		f->stats.unsupported++;
	} else if (status != BLK_OKAY) {
		f->stats.errors++;
		/* Now the content of these sectors is unknown. */
		for (uint32_t i = 0; is_write(r) && i < r->nr_sectors; i++)
			f->generation[r->sector + i] = 0;
	} else if (r->op == BLK_READ) {
		f->stats.sectors_read += r->nr_sectors;
		pages_check(f, r);
	} else if (is_write(r)) {
		f->stats.sectors_written += r->nr_sectors;
	}
}

static struct blk_req *free_request(struct blk_queue *q)
{
	for (uint32_t i = 0; i < q->depth; i++)
		if (!q->req[i].busy)
			return &q->req[i];
	return NULL;
}

static uint32_t all_busy(const struct blk_front *f)
{
	uint32_t busy = 0;

	for (uint32_t i = 0; i < f->nr_queues; i++)
		busy += f->queue[i].busy;
	return busy;
}

/* Take what is there; true if anything was. */
static bool responses_take(struct blk_front *f)
{
	bool any = false;

	for (uint32_t i = 0; i < f->nr_queues; i++) {
		struct blk_req *r;
		int status;

		do {
			while ((r = blk_ring_take(f, &f->queue[i], &status))) {
				request_done(f, r, status);
				any = true;
			}
		} while (blk_ring_wait_wanted(f, &f->queue[i]) && !f->stats.protocol_errors);
	}
	return any;
}

/* Sleep until an event or a change of the backend's state. */
static int wait_event(struct blk_front *f)
{
	struct pollfd p[2] = { { .fd = xenevtchn_fd(f->xce), .events = POLLIN },
			       { .fd = xs_fileno(f->bus.xs), .events = POLLIN } };
	int port;

	if (poll(p, 2, IDLE_MS * sim_slowness()) <= 0) {
		fprintf(stderr, "simblk: no response for %d s, %u requests in flight\n",
			IDLE_MS / 1000, all_busy(f));
		return -ETIMEDOUT;
	}
	if (p[0].revents) {
		port = xenevtchn_pending(f->xce);
		if (port > 0)
			xenevtchn_unmask(f->xce, (evtchn_port_t)port);
	}
	if (p[1].revents) {
		enum bus_state state;

		bus_drain(&f->bus);
		state = bus_back_state(&f->bus);
		if (state != BUS_CONNECTED && !(f->opt.in_use && state == BUS_CLOSING))
			return -ECANCELED;
	}
	return 0;
}

/* Wait for all that is in flight. */
static int drain(struct blk_front *f)
{
	bool closing = false;
	int err = 0;

	while (all_busy(f) && !err) {
		if (responses_take(f))
			continue;
		err = wait_event(f);
		if (err == -ECANCELED) {
			closing = true;
			err = 0;
		}
	}
	return err ? err : closing ? -ECANCELED : 0;
}

void blk_load_init(struct blk_front *f)
{
	uint64_t span = f->opt.span && f->opt.span < f->nr_sectors ? f->opt.span : f->nr_sectors;

	if (f->generation)
		return;
	f->span = span < 1u << 26 ? span : 1u << 26;
	f->generation = sim_alloc(f->span * sizeof(*f->generation));
	f->holders = sim_alloc(f->span);
	f->next_generation = 1;
	f->random = f->opt.seed;
}

/* Put as many new requests on the queue as fit and are wanted. */
static void queue_feed(struct blk_front *f, struct blk_queue *q, uint64_t *left)
{
	struct blk_req *r;

	for (uint32_t tries = 0; *left && q->busy < q->depth && tries < 4 * q->depth; tries++) {
		r = free_request(q);
		if (!request_make(f, r))
			continue;
		request_send(f, q, r);
		(*left)--;
		if (f->opt.purge && *left % f->opt.purge == 0)
			blk_ring_purge(f, q);
	}
	blk_ring_push(f, q);
}

static bool is_enough(const struct blk_front *f)
{
	return f->opt.until && !access(f->opt.until, F_OK);
}

int blk_load_run(struct blk_front *f)
{
	uint64_t left = f->opt.requests;
	int err = 0;

	while (f->opt.after && access(f->opt.after, F_OK))
		usleep(5000);
	while (!err && left && !f->stats.protocol_errors && !is_enough(f)) {
		for (uint32_t i = 0; i < f->nr_queues; i++)
			queue_feed(f, &f->queue[i], &left);
		if (!responses_take(f))
			err = wait_event(f);
	}
	if (err && err != -ECANCELED)
		return err;
	if (blk_just_stops(f) && !err)
		return 0; /* stops in the middle: requests stay in flight */
	return err ? (drain(f), err) : drain(f);
}

/* Go over the whole span once with requests as large as they may be. */
static int sweep(struct blk_front *f, uint8_t op)
{
	uint32_t most = f->max_segs * BLK_PAGE_SECTORS;
	struct blk_queue *q = &f->queue[0];
	uint64_t at = 0;
	int err = 0;

	if (most > f->opt.max_sectors && op == BLK_WRITE)
		most = f->opt.max_sectors;
	while (!err && !f->stats.protocol_errors && (at < f->span || all_busy(f))) {
		struct blk_req *r = free_request(q);

		if (at < f->span && r) {
			uint64_t left = f->span - at;

			r->op = op;
			r->sector = at;
			r->nr_sectors = left < most ? (uint32_t)left : most;
			segments_make(f, r);
			at += r->nr_sectors;
			range_take(f, r->sector, r->nr_sectors, op == BLK_WRITE);
			request_send(f, q, r);
			continue;
		}
		blk_ring_push(f, q);
		if (!responses_take(f))
			err = wait_event(f);
	}
	return err;
}

int blk_load_fill(struct blk_front *f)
{
	return f->readonly ? -EROFS : sweep(f, BLK_WRITE);
}

int blk_load_verify(struct blk_front *f)
{
	return sweep(f, BLK_READ);
}

bool blk_load_hold(struct blk_front *f, volatile int *signalled)
{
	struct pollfd p = { .fd = xs_fileno(f->bus.xs), .events = POLLIN };
	sigset_t usual, none = { 0 };

	/* SIGUSR1 is blocked but in ppoll(), so none is missed. */
	sigprocmask(SIG_BLOCK, &none, &usual);
	sigdelset(&usual, SIGUSR1);
	while (!*signalled) {
		if (bus_back_state(&f->bus) != BUS_CONNECTED)
			return true;
		if (ppoll(&p, 1, NULL, &usual) > 0)
			bus_drain(&f->bus);
	}
	*signalled = 0;
	return false;
}
