/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/aio_ring.h"
#include "blkback/aio.h"
#include "core/log.h"

#define MAX_IN_KERNEL SLOTS_ALL
#define SUBMIT_BATCH  256
#define ARENA_BYTES   ((size_t)64 << 20)

/* What a ring has no slot for waits behind those that it has in the kernel: at least one, which comes back. */
static void let_go(struct aio *aio, struct aio_client *client)
{
	struct aio_request *req;

	while ((req = STAILQ_FIRST(&client->behind)) && slots_take(&aio->slots, &client->slots)) {
		STAILQ_REMOVE_HEAD(&client->behind, link);
		STAILQ_INSERT_TAIL(&aio->todo, req, link);
	}
}

static void queue_request(struct aio *aio, struct aio_request *req, aio_fn done)
{
	io_set_eventfd(&req->iocb, aio->event_fd);
	req->iocb.data = req;
	req->done = done;
	STAILQ_INSERT_TAIL(&req->client->behind, req, link);
	let_go(aio, req->client);
}

static bool withdraw(struct aio_requests *from, struct aio_request *req)
{
	struct aio_request *at;

	STAILQ_FOREACH(at, from, link)
		if (at == req)
			break;
	if (at)
		STAILQ_REMOVE(from, req, aio_request, link);
	return at != NULL;
}

bool aio_recall(struct aio *aio, struct aio_request *req)
{
	if (withdraw(&req->client->behind, req))
		return true;
	if (!withdraw(&aio->todo, req))
		return false;
	slots_put(&aio->slots, &req->client->slots);
	let_go(aio, req->client);
	return true;
}

void aio_read(struct aio *aio, struct aio_request *req, int fd, void *buf, size_t bytes,
	      uint64_t offset, aio_fn done)
{
	io_prep_pread(&req->iocb, fd, buf, bytes, (long long)offset);
	queue_request(aio, req, done);
}

void aio_write(struct aio *aio, struct aio_request *req, int fd, void *buf, size_t bytes,
	       uint64_t offset, aio_fn done)
{
	io_prep_pwrite(&req->iocb, fd, buf, bytes, (long long)offset);
	queue_request(aio, req, done);
}

void aio_readv(struct aio *aio, struct aio_request *req, int fd, const struct iovec *vec,
	       uint32_t nr_vec, uint64_t offset, aio_fn done)
{
	io_prep_preadv(&req->iocb, fd, vec, (int)nr_vec, (long long)offset);
	queue_request(aio, req, done);
}

void aio_writev(struct aio *aio, struct aio_request *req, int fd, const struct iovec *vec,
		uint32_t nr_vec, uint64_t offset, aio_fn done)
{
	io_prep_pwritev(&req->iocb, fd, vec, (int)nr_vec, (long long)offset);
	queue_request(aio, req, done);
}

void aio_flush(struct aio *aio, struct aio_request *req, int fd, aio_fn done)
{
	io_prep_fdsync(&req->iocb, fd);
	queue_request(aio, req, done);
}

/* --- rings --- */

int aio_join(struct aio *aio, struct aio_client *client, struct queue *queue)
{
	*client = (struct aio_client){ .queue = queue };
	STAILQ_INIT(&client->behind);
	slots_join(&aio->slots, &client->slots);
	return bufshare_open(&client->buffers, aio->buffers);
}

void aio_leave(struct aio *aio, struct aio_client *client)
{
	slots_leave(&aio->slots, &client->slots);
	bufshare_close(&client->buffers);
}

void *aio_get_buffer(struct aio_client *client, size_t bytes)
{
	void *buf = bufshare_get(&client->buffers, bytes);

	client->waiting = !buf;
	return buf;
}

void aio_put_buffer(struct aio_client *client, void *buf, size_t bytes)
{
	bufshare_put(&client->buffers, buf, bytes);
	if (client->waiting)
		queue_mark(client->queue);
	client->waiting = false;
}

/* --- submit and reap --- */

static void finish(struct aio *aio, struct aio_request *req, long result)
{
	slots_put(&aio->slots, &req->client->slots);
	let_go(aio, req->client);
	req->done(req, result);
}

/* The head of the batch was refused: that request alone fails. */
static void fail_first(struct aio *aio, long err)
{
	struct aio_request *req = STAILQ_FIRST(&aio->todo);

	STAILQ_REMOVE_HEAD(&aio->todo, link);
	finish(aio, req, err);
}

static unsigned int gather(struct aio *aio, struct iocb **batch)
{
	unsigned int room = MAX_IN_KERNEL - aio->nr_in_kernel, nr = 0;
	struct aio_request *req;

	STAILQ_FOREACH(req, &aio->todo, link) {
		if (nr == SUBMIT_BATCH || nr == room)
			break;
		batch[nr++] = &req->iocb;
	}
	return nr;
}

static void accepted(struct aio *aio, unsigned int nr)
{
	aio->nr_in_kernel += nr;
	aio->nr_requests += nr;
	while (nr--)
		STAILQ_REMOVE_HEAD(&aio->todo, link);
}

/* What the context has no room for stays queued; the next completion makes room. */
static void submit_all(struct aio *aio)
{
	struct iocb *batch[SUBMIT_BATCH];
	unsigned int nr;

	while ((nr = gather(aio, batch))) {
		int ret = io_submit(aio->ctx, (long)nr, batch);

		aio->nr_submits++;
		if (ret > 0)
			accepted(aio, (unsigned int)ret);
		else if (ret == -EAGAIN && aio->nr_in_kernel)
			return;
		else if (ret != -EINTR)
			fail_first(aio, ret < 0 ? ret : -EIO);
	}
}

static void reap(struct aio *aio)
{
	struct io_event event;

	while (aio->nr_in_kernel && aio_ring_take(aio->ctx, &event)) {
		aio->nr_in_kernel--;
		finish(aio, event.data, (long)event.res);
	}
}

/*
 * A completion may have made room, or the next step of a request. The watch is edge-triggered: nobody has to
 * read the counter back to zero, and every completion after this look brings us here again.
 */
static void completions_came(void *user, uint32_t events)
{
	struct aio *aio = user;

	(void)events;
	reap(aio);
	if (!STAILQ_EMPTY(&aio->todo))
		submit_all(aio);
}

/* Once a pass: what is fast enough is answered in the pass that took it. */
static void aio_submit(void *ctx)
{
	struct aio *aio = ctx;

	submit_all(aio);
	reap(aio);
	if (!STAILQ_EMPTY(&aio->todo)) /* next steps of what was reaped */
		submit_all(aio);
}

/* --- life --- */

static void aio_close(void *ctx)
{
	struct aio *aio = ctx;

	if (!aio)
		return;
	loop_remove(aio->worker->loop, aio->watch);
	if (aio->ctx)
		io_destroy(aio->ctx);
	if (aio->event_fd >= 0)
		close(aio->event_fd);
	bufpool_free(aio->buffers);
	free(aio);
}

static int aio_setup(struct aio *aio)
{
	int err = io_setup(MAX_IN_KERNEL, &aio->ctx);

	if (err == -EAGAIN)
		log_error("the system is out of aio contexts; raise fs.aio-max-nr (sysctl)");
	if (err)
		return err;
	aio->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (aio->event_fd < 0)
		return -errno;
	aio->watch = loop_add(aio->worker->loop, aio->event_fd, EPOLLIN | EPOLLET, completions_came,
			      aio);
	if (!aio->watch)
		return -errno;
	aio->buffers = bufpool_new(ARENA_BYTES);
	return aio->buffers ? 0 : -ENOMEM;
}

static int aio_open(struct worker *worker, void **ret_ctx)
{
	struct aio *aio = calloc(1, sizeof(*aio));
	int err;

	if (!aio)
		return -ENOMEM;
	aio->worker = worker;
	aio->event_fd = -1;
	STAILQ_INIT(&aio->todo);
	err = aio_setup(aio);
	if (err) {
		aio_close(aio);
		return err;
	}
	*ret_ctx = aio;
	return 0;
}

const struct plane blk_plane = { .open = aio_open, .close = aio_close, .submit = aio_submit };
