/* SPDX-License-Identifier: MIT */
/*
 * simblk.h - a block frontend of a simulated guest.
 *
 * It is written from Xen's public blkif.h, with layouts of its own. It shares no
 * code with any backend, so a mistake in one of them is found by the other.
 */
#ifndef SIM_SIMBLK_H
#define SIM_SIMBLK_H

#include <stdbool.h>
#include <stdint.h>
#include <xenevtchn.h>

#include "bus.h"
#include "guest.h"

#define BLK_MAX_QUEUES     8u
#define BLK_MAX_RING_PAGES 16u
#define BLK_MAX_SEGS       256u /* of one request */
#define BLK_DIRECT_SEGS    11u
#define BLK_SEGS_PER_PAGE  512u
#define BLK_SECTOR         512u
#define BLK_PAGE_SECTORS   8u

/* Operations and statuses, from blkif.h. */
enum { BLK_READ, BLK_WRITE, BLK_BARRIER, BLK_FLUSH, BLK_RESERVED, BLK_DISCARD, BLK_INDIRECT };
enum { BLK_OKAY = 0, BLK_ERROR = -1, BLK_EOPNOTSUPP = -2 };

enum blk_abi { BLK_ABI_64, BLK_ABI_32 };
enum blk_profile { BLK_LINUX, BLK_WINDOWS, BLK_OVMF, BLK_KEXEC, BLK_STRAIGHT, BLK_LEGACY };

struct blk_options {
	uint32_t domid, devid;
	enum blk_profile profile;
	enum blk_abi abi;
	bool no_protocol; /* do not write the key */
	uint32_t ring_order, queues;
	bool ring_pages; /* speak of pages, not of an order: Red Hat's and EC2's old kernels */
	uint32_t segs;   /* most segments of a request; > 11 uses indirect ones */
	bool persistent;
	uint32_t purge; /* every so many requests end the persistent grants that can be ended */
	uint32_t depth;
	uint64_t requests; /* to send in each round */
	uint32_t rounds;   /* connect, load, close this many times */
	uint32_t mix[4];   /* weights of read, write, flush, discard */
	const char *ops;   /* instead of them: letters, taken in turn */
	uint32_t max_sectors;
	uint64_t span;     /* sectors used from the start of the disk, 0 = all */
	uint32_t plain;    /* sectors of each request of a plain load, 0 = none */
	uint32_t pause_us; /* plain: before each request */
	bool sequential;   /* plain: one after the other, not at random */
	bool odd;          /* segments that begin and end anywhere in a page */
	uint32_t half;     /* requests lie within this half of every 4096 bytes, 0 = anywhere */
	bool fill;
	bool verify_all;
	const char *attack; /* do this instead of a load */
	const char *nbd;    /* serve this socket instead of a load */
	bool again;         /* when done, load again at each SIGUSR1 until the backend closes */
	const char *after;  /* begin to send when this file exists */
	const char *until;  /* stop sending when this file exists */
	bool in_use;        /* refuse to close, as if the disk were mounted */
	bool hold;          /* when done, stay connected until the backend closes */
	uint32_t seed;
};

/* A piece of a request: sectors first..last of a page. */
struct blk_seg {
	uint32_t gfn, ref;
	uint8_t first, last;
};

struct blk_req {
	bool busy;
	uint8_t op;
	uint64_t sector;
	uint32_t nr_sectors, nr_segs;
	struct blk_seg seg[BLK_MAX_SEGS];
	uint32_t pages;   /* first of BLK_MAX_SEGS (or fewer) data pages */
	uint32_t ind_gfn; /* descriptor page */
	uint32_t ind_ref;
	uint32_t *pool_ref; /* persistent grants of the data pages, 0 = none yet */
};

struct blk_queue {
	uint32_t gfn, nr_pages;
	uint32_t ref[BLK_MAX_RING_PAGES];
	uint32_t nr_slots;
	uint32_t req_prod, rsp_cons;
	int port;
	uint32_t depth, busy;
	struct blk_req *req; /* owned: depth of them; the slot's id is its index */
};

struct blk_stats {
	uint64_t first_ns; /* by the clock, when the first response came */
	uint64_t done, errors, unsupported, bad_content, protocol_errors, sectors_read,
		sectors_written, notifies;
};

struct blk_front {
	struct blk_options opt;
	struct sim_guest guest;
	struct bus bus;
	xenevtchn_handle *xce;
	uint32_t nr_queues, nr_ring_pages;
	struct blk_queue queue[BLK_MAX_QUEUES];
	uint64_t nr_sectors, span;
	uint32_t max_segs; /* agreed with the backend */
	bool flush, discard, persistent, readonly;
	uint32_t *generation; /* owned: what was written to each sector, 0 = unknown */
	uint8_t *holders;     /* owned: per sector, reads in flight, or 255 for a write */
	uint32_t next_generation;
	uint32_t next_op; /* of opt.ops */
	uint64_t random;
	struct blk_stats stats;
};

/* Does this frontend end a round in the middle of its requests? */
static inline bool blk_just_stops(const struct blk_front *f)
{
	return f->opt.profile == BLK_KEXEC || f->opt.profile == BLK_STRAIGHT;
}

/* blk_ring.c: rings, grants and events. */

/* Allocate and grant rings and requests, bind ports. Dies when it cannot. */
void blk_queues_open(struct blk_front *f);
/*
 * Take all grants back, those of requests in flight too; any that the backend
 * still holds is a protocol error. Harmless when nothing is open.
 */
void blk_queues_close(struct blk_front *f);
/* A word of the shared header, and the entry that an index falls on. */
enum { REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT };
uint32_t *blk_ring_word(struct blk_front *f, struct blk_queue *q, unsigned int which);
uint8_t *blk_ring_slot(struct blk_front *f, struct blk_queue *q, uint32_t index);
/* Put a filled request on the ring (op, sector, segments). */
void blk_ring_put(struct blk_front *f, struct blk_queue *q, struct blk_req *r);
/* Publish what was put and notify if the backend asked for it. */
void blk_ring_push(struct blk_front *f, struct blk_queue *q);
/* Take one response. Returns the request with *ret_status, NULL when empty. */
struct blk_req *blk_ring_take(struct blk_front *f, struct blk_queue *q, int *ret_status);
/* Ask for an event at the next response; true when one is there already. */
bool blk_ring_wait_wanted(struct blk_front *f, struct blk_queue *q);
/* Grant a page for a request, or use its persistent grant. */
uint32_t blk_grant(struct blk_front *f, struct blk_req *r, uint32_t page);
/* End the persistent grants of idle requests, except those that the backend has mapped. */
void blk_ring_purge(struct blk_front *f, struct blk_queue *q);

/* blk_bus.c: profiles. */
int blk_connect(struct blk_front *f);
int blk_disconnect(struct blk_front *f);

/* blk_attack.c: attacks. */

/*
 * Carry out f->opt.attack. Returns 0 when the backend answered as it must;
 * connects and disconnects as the attack needs. -EINVAL: no such attack.
 */
int blk_attack(struct blk_front *f);
/* Print the names, one a line. */
void blk_attack_list(void);

/* blk_nbd.c: the connected disk as an NBD export on @path until SIGTERM. */
int blk_nbd(struct blk_front *f, const char *path);

/*
 * blk_plain.c: opt.requests of opt.plain sectors, timed, in place of a round of blk_load.c. 0 or -errno;
 * -EINVAL when the ring or the disk is too small for them.
 */
int blk_plain_run(struct blk_front *f);

/* blk_load.c: the load and its verification. */
void blk_load_init(struct blk_front *f);
/* Run one round. 0, or -ECANCELED when the backend began to close. */
int blk_load_run(struct blk_front *f);
/* Write every sector of the span once, so that every later read can be judged. */
int blk_load_fill(struct blk_front *f);
/* Read back all that was written. */
int blk_load_verify(struct blk_front *f);
/* Stay until the backend closes (true), or until *@signalled, which it clears. */
bool blk_load_hold(struct blk_front *f, volatile int *signalled);

#endif
