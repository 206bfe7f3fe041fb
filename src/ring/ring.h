/* SPDX-License-Identifier: MIT */
/*
 * The shared ring of Xen's split drivers (xen/io/ring.h), seen from the backend:
 * index arithmetic, and one private copy of whatever the guest can write.
 *
 * Pure: no allocation, no I/O, no Xen library. The guest may change any shared
 * word at any moment; every function here reads such a word exactly once.
 */
#ifndef PVB_RING_H
#define PVB_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_HEADER_SIZE 64u

#define RING_UNDO_SLOTS 256u
#define RING_UNDO_BYTES 12u /* the longest response */

/*
 * A response overwrites a request. After a death the network takes requests from the ring again (a disk has its journal). It
 * must find those requests unchanged whose responses were not public. So each request is saved here first, in memory that
 * outlives us: the slot, then the count. Only then the response is written. `from` is the rsp_prod that the saved slots
 * belong to: once the ring has another one, nothing has to be undone. Zero it, or use that of an earlier life.
 */
struct ring_undo {
	uint32_t from;
	uint32_t nr;
	uint8_t slots[RING_UNDO_SLOTS][RING_UNDO_BYTES];
};

struct ring {
	struct ring_undo *undo; /* borrowed, or NULL */
	uint8_t *shared;        /* borrowed mapping; NULL when not attached */
	uint32_t nr_slots;      /* a power of two */
	uint32_t slot_size;     /* bytes of one request/response union */
	uint32_t req_cons;      /* next request to take */
	uint32_t rsp_prod;      /* next response to fill; ahead of the shared one until published */
	uint32_t rsp_public;    /* what the frontend has been told */
};

/* Slots in `bytes` of ring pages: the largest power of two that fits (ring.h, __RING_SIZE). */
uint32_t ring_count_slots(uint32_t bytes, uint32_t slot_size);

/*
 * Begin with a mapped ring of `bytes` (whole pages). Both of our indices start at
 * the shared rsp_prod, which is 0 in a fresh ring and the resume point in a live one.
 * 0, or -EPROTO when the frontend's index cannot be (more requests than slots).
 */
int ring_attach(struct ring *ring, void *shared, uint32_t bytes, uint32_t slot_size);

/*
 * Call after ring_attach(), before any request is taken. Puts back the requests that an earlier life had overwritten without
 * publishing, and saves requests from now on. The ring has at most RING_UNDO_SLOTS slots, and a response at most
 * RING_UNDO_BYTES; the rest of a longer slot is not changed. 0, or -EBADMSG when `undo` is impossible.
 */
int ring_use_undo(struct ring *ring, struct ring_undo *undo);

/* Requests taken and not yet answered. */
uint32_t ring_in_flight(const struct ring *ring);

/*
 * Requests that wait, after one look at req_prod. 0 with *ret_waiting, or -EPROTO
 * when no honest frontend could have published that index; then disconnect.
 */
int ring_peek(const struct ring *ring, uint32_t *ret_waiting);

/*
 * Copy the request `ahead` of the next one (0: the next) without taking it. The caller has
 * seen by ring_peek() that it is there. `size` is at most the slot's.
 */
void ring_copy(const struct ring *ring, uint32_t ahead, void *ret_req, size_t size);

/* Consume `nr` requests that were copied. */
void ring_consume(struct ring *ring, uint32_t nr);

/*
 * Take the next request: 1 with *ret_req filled, 0 when the ring is empty, -EPROTO as above.
 */
int ring_take(struct ring *ring, void *ret_req, size_t size);

/*
 * Nothing left to take: ask for an event at the next request, and look once more.
 * True when there is one already (or an impossible index, which the next take reports).
 */
bool ring_rearm(struct ring *ring);

/*
 * As ring_rearm(), when `waiting` requests (from ring_peek(), less what was taken since) are seen
 * but are not enough: ask for an event at the next one after them.
 */
bool ring_rearm_beyond(struct ring *ring, uint32_t waiting);

/* Fill the next response slot; the frontend does not see it before ring_publish(). */
void ring_put(struct ring *ring, const void *rsp, size_t size);

/* Show all filled responses. True when the frontend asked to be notified. */
bool ring_publish(struct ring *ring);

/* Indices as they are now, for dumps and traces. */
struct ring_indices {
	uint32_t req_prod, req_event, rsp_prod, rsp_event; /* shared */
	uint32_t req_cons, rsp_filled;                     /* private */
};
void ring_indices(const struct ring *ring, struct ring_indices *ret);

#endif
