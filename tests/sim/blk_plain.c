/* SPDX-License-Identifier: MIT */
/*
 * blk_plain.c - a load for measuring. All requests have one size; the guest generates and checks no data, so that it needs as
 * little CPU time as possible. It makes its grants once and keeps them. Only the load itself is timed.
 */
#include "simblk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define IDLE_MS 200000 /* no response for so long is a hang, also on a slow machine */

struct plain {
	struct blk_front *f;
	uint64_t all, left, done;
	uint64_t nr_looks; /* for the file that says enough */
	uint64_t next;     /* place of the next request, when they go in sequence */
	uint32_t *took_ns; /* owned: of each request answered */
	uint64_t *sent_at; /* owned: per request of queue 0..n */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t place(struct plain *p)
{
	struct blk_front *f = p->f;
	uint64_t nr = f->span / f->opt.plain;

	if (f->opt.sequential)
		return p->next++ % nr * f->opt.plain;
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return (f->random >> 33) % nr * f->opt.plain;
}

static uint8_t operation(struct blk_front *f)
{
	uint32_t sum = f->opt.mix[0] + f->opt.mix[1];

	if (!f->opt.mix[0] || !f->opt.mix[1])
		return f->opt.mix[0] ? BLK_READ : BLK_WRITE;
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return (f->random >> 33) % sum < f->opt.mix[0] ? BLK_READ : BLK_WRITE;
}

static void fill(struct plain *p, struct blk_req *r)
{
	uint32_t left = p->f->opt.plain;

	r->op = operation(p->f);
	r->sector = place(p);
	r->nr_sectors = left;
	for (r->nr_segs = 0; left; r->nr_segs++) {
		struct blk_seg *s = &r->seg[r->nr_segs];
		uint32_t take = left < BLK_PAGE_SECTORS ? left : BLK_PAGE_SECTORS;

		*s = (struct blk_seg){ .gfn = r->pages + r->nr_segs, .last = (uint8_t)(take - 1) };
		s->ref = blk_grant(p->f, r, r->nr_segs);
		left -= take;
	}
}

static uint64_t *sent_at(struct plain *p, const struct blk_queue *q, const struct blk_req *r)
{
	return &p->sent_at[(q - p->f->queue) * (ptrdiff_t)p->f->opt.depth + (r - q->req)];
}

static void feed(struct plain *p, struct blk_queue *q)
{
	uint64_t now;

	if (p->f->opt.pause_us && p->left && q->busy < q->depth)
		usleep(p->f->opt.pause_us);
	now = now_ns();
	for (uint32_t i = 0; p->left && q->busy < q->depth; i++) {
		struct blk_req *r = &q->req[i];

		if (r->busy)
			continue;
		fill(p, r);
		blk_ring_put(p->f, q, r);
		*sent_at(p, q, r) = now;
		p->left--;
	}
	blk_ring_push(p->f, q);
}

static bool take(struct plain *p, struct blk_queue *q)
{
	struct blk_stats *stats = &p->f->stats;
	uint64_t before = p->done, now = 0;
	struct blk_req *r;
	int status;

	do {
		while ((r = blk_ring_take(p->f, q, &status))) {
			now = now ? now : now_ns();
			p->took_ns[p->done++] = (uint32_t)(now - *sent_at(p, q, r));
			stats->done++;
			stats->errors += status != BLK_OKAY;
			*(r->op == BLK_READ ? &stats->sectors_read : &stats->sectors_written) +=
				r->nr_sectors;
		}
	} while (p->done == before && blk_ring_wait_wanted(p->f, q));
	return p->done != before;
}

static int wait_event(struct blk_front *f)
{
	struct pollfd p = { .fd = xenevtchn_fd(f->xce), .events = POLLIN };
	int port;

	if (poll(&p, 1, IDLE_MS * sim_slowness()) <= 0)
		return -ETIMEDOUT;
	port = xenevtchn_pending(f->xce);
	if (port > 0)
		xenevtchn_unmask(f->xce, (evtchn_port_t)port);
	return 0;
}

/* Look for the file only now and then, so that this is not measured. Requests in flight are still completed. */
static void end_if_enough(struct plain *p)
{
	if (!p->f->opt.until || ++p->nr_looks % 256 || access(p->f->opt.until, F_OK))
		return;
	p->all -= p->left;
	p->left = 0;
}

static int run(struct plain *p)
{
	struct blk_front *f = p->f;
	int err = 0;

	while (!err && p->done < p->all && !f->stats.protocol_errors) {
		bool any = false;

		for (uint32_t i = 0; i < f->nr_queues; i++) {
			feed(p, &f->queue[i]);
			any |= take(p, &f->queue[i]);
		}
		if (!any)
			err = wait_event(f);
		end_if_enough(p);
	}
	return err;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct plain *p, uint64_t ns)
{
	uint64_t done = p->done, sum_ns = 0;

	if (!done)
		return;
	qsort(p->took_ns, done, sizeof(p->took_ns[0]), by_size);
	for (uint64_t i = 0; i < done; i++)
		sum_ns += p->took_ns[i];
	printf("plain seconds=%.6f iops=%.0f p50_us=%.1f p99_us=%.1f max_us=%.1f sum_us=%.0f\n",
	       (double)ns / 1e9, (double)done * 1e9 / (double)ns, p->took_ns[done / 2] / 1e3,
	       p->took_ns[done * 99 / 100] / 1e3, p->took_ns[done - 1] / 1e3, (double)sum_ns / 1e3);
}

int blk_plain_run(struct blk_front *f)
{
	struct plain p = { .f = f, .all = f->opt.requests, .left = f->opt.requests };
	uint64_t start;
	int err;

	if (f->max_segs * BLK_PAGE_SECTORS < f->opt.plain || f->span < f->opt.plain)
		return -EINVAL;
	p.took_ns = sim_alloc(p.left * sizeof(p.took_ns[0]));
	p.sent_at = sim_alloc(sizeof(p.sent_at[0]) * f->nr_queues * f->opt.depth);
	start = now_ns();
	err = run(&p);
	report(&p, now_ns() - start);
	free(p.took_ns);
	free(p.sent_at);
	return err;
}
