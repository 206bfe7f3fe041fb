/* SPDX-License-Identifier: MIT */
/* Completions of a libaio context, without a system call where that is possible. */
#ifndef PVB_AIO_RING_H
#define PVB_AIO_RING_H

#include <libaio.h>
#include <stdbool.h>

/* The next completion, if there is one. One thread at a time for each context. */
bool aio_ring_take(io_context_t ctx, struct io_event *ret);

#endif
