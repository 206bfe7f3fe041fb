/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libaio.h>
#include <stdlib.h>

#include "guest/aio_ring.h"
#include "netback/tap_batch.h"

/* For a single frame a plain call costs less. */
#define MIN_FOR_AIO 2u

struct tap_batch {
	io_context_t ctx; /* NULL: none could be made */
	uint32_t nr;
	struct iocb iocbs[TAP_BATCH_MAX];
	struct tap_frame frames[TAP_BATCH_MAX];
};

struct tap_batch *tap_batch_new(void)
{
	struct tap_batch *batch = calloc(1, sizeof(*batch));

	if (batch && io_setup(TAP_BATCH_MAX, &batch->ctx))
		batch->ctx = NULL;
	return batch;
}

struct tap_batch *tap_batch_free(struct tap_batch *batch)
{
	if (batch && batch->ctx)
		io_destroy(batch->ctx);
	free(batch);
	return NULL;
}

void tap_batch_reset(struct tap_batch *batch)
{
	batch->nr = 0;
}

struct tap_frame *tap_batch_next(struct tap_batch *batch)
{
	return &batch->frames[batch->nr];
}

void tap_batch_add(struct tap_batch *batch)
{
	batch->nr++;
}

const struct tap_frame *tap_batch_get(const struct tap_batch *batch, uint32_t index)
{
	return &batch->frames[index];
}

static void write_one(struct tap_frame *frame, int fd)
{
	frame->err = writev(fd, frame->iov, frame->nr_iov) < 0 ? errno : 0;
}

static void prepare(struct tap_batch *batch, int fd, struct iocb **list)
{
	for (uint32_t i = 0; i < batch->nr; i++) {
		struct tap_frame *frame = &batch->frames[i];

		io_prep_pwritev(&batch->iocbs[i], fd, frame->iov, frame->nr_iov, 0);
		batch->iocbs[i].data = frame;
		list[i] = &batch->iocbs[i];
	}
}

/* Collect the results of `nr` frames. For a tap, all are there already. */
static void collect(struct tap_batch *batch, uint32_t nr)
{
	struct io_event event;

	while (nr) {
		struct tap_frame *frame;

		if (!aio_ring_take(batch->ctx, &event) &&
		    io_getevents(batch->ctx, 1, 1, &event, NULL) != 1)
			continue;
		frame = event.data;
		frame->err = (long)event.res < 0 ? (int)-(long)event.res : 0;
		nr--;
	}
}

/* Returns how many the kernel has taken. */
static uint32_t submit(struct tap_batch *batch, int fd)
{
	struct iocb *list[TAP_BATCH_MAX];
	int nr;

	prepare(batch, fd, list);
	nr = io_submit(batch->ctx, batch->nr, list);
	if (nr <= 0)
		return 0;
	collect(batch, (uint32_t)nr);
	return (uint32_t)nr;
}

uint32_t tap_batch_write(struct tap_batch *batch, int fd)
{
	uint32_t done = batch->ctx && batch->nr >= MIN_FOR_AIO ? submit(batch, fd) : 0;

	for (; done < batch->nr; done++)
		write_one(&batch->frames[done], fd);
	return batch->nr;
}

unsigned int tap_drain(int fd, unsigned int max)
{
	uint8_t scrap[64]; /* the kernel frees the whole frame even if little of it is read */
	unsigned int nr = 0;

	while (nr < max && (read(fd, scrap, sizeof(scrap)) >= 0 || errno != EAGAIN))
		nr++;
	return nr;
}
