/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "guest/aio_ring.h"

/*
 * The kernel maps the ring of completions into our memory (io_setup() returns its address). Its layout is part of the
 * kernel's ABI since 2.5. If the ring's header says something else we call io_getevents().
 */
struct completion_ring {
	unsigned int id, nr, head, tail;
	unsigned int magic, compat, incompat, header_length;
	struct io_event events[];
};

#define COMPLETION_MAGIC 0xa10a10a1u

static bool can_peek(const struct completion_ring *ring)
{
	return ring->magic == COMPLETION_MAGIC && ring->incompat == 0;
}

static bool take_by_call(io_context_t ctx, struct io_event *ret)
{
	struct timespec none = { 0, 0 };
	int nr;

	do
		nr = io_getevents(ctx, 0, 1, ret, &none);
	while (nr == -EINTR);
	return nr == 1;
}

bool aio_ring_take(io_context_t ctx, struct io_event *ret)
{
	struct completion_ring *ring = (void *)ctx;
	unsigned int head = ring->head;

	if (!can_peek(ring))
		return take_by_call(ctx, ret);
	/* Acquire: the event was written before the tail moved. */
	if (head == __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE))
		return false;
	*ret = ring->events[head];
	/* Release: we have read it before the kernel may write it again. */
	__atomic_store_n(&ring->head, (head + 1) % ring->nr, __ATOMIC_RELEASE);
	return true;
}
