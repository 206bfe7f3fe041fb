/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/aio_ring.h"
#include "blkback/aio.h"
#include "core/container_of.h"
#include "core/log.h"

/*
 * Slots in the kernel's aio context. All contexts of the host share fs.aio-max-nr, so the worker of a single guest
 * takes fewer.
 */
#define PLACES_FOR_ALL   1024u
#define PLACES_FOR_GUEST 256u
#define PLACES_AT_LEAST  32u
#define SUBMIT_BATCH     256
#define ARENA_BYTES      ((size_t)64 << 20)

/* --- requests that may block --- */

/* After this many refusals in a row, only one request in TRY_EACH is tried with RWF_NOWAIT. */
#define TRIES_IN_VAIN 8u
#define TRY_EACH      64u
#define ULONG_BITS    (unsigned int)(sizeof(long) * CHAR_BIT)

#define CALL_BYTES   (256u << 10) /* one call submits up to this much through the page cache */
#define WARY_NS      2000000000u  /* after a call was held up, none is made for this long */
#define NO_THREAD_NS 100000000u   /* until the next attempt to start a thread */
#define NO_ROOM_US   1000u        /* until the next attempt to submit, when the context is full */

#define FLAG_RESFD   1u /* IOCB_FLAG_RESFD: linux/aio_abi.h and libaio.h cannot both be included */
#define TELL_NS      100000u  /* the worker is told at most this often of completions */
#define LOOK_NS      1000000u /* first interval of polling; see look() */
#define LONG_LOOK_NS 100000000u

static struct aio_request *request_of(struct iocb *iocb)
{
	return container_of(iocb, struct aio_request, iocb);
}

static bool writes(const struct aio_request *req)
{
	return req->iocb.aio_lio_opcode == IO_CMD_PWRITE ||
	       req->iocb.aio_lio_opcode == IO_CMD_PWRITEV;
}

static struct aio_tries *tries_of(const struct aio_request *req)
{
	unsigned long pages = req->bytes >> 12;
	unsigned int size = pages ? ULONG_BITS - (unsigned int)__builtin_clzl(pages) : 0;

	return &req->client->tries[writes(req)][size < AIO_SIZES ? size : AIO_SIZES - 1];
}

static bool is_worth_a_try(struct aio_tries *tries)
{
	if (tries->refused < TRIES_IN_VAIN)
		return true;
	tries->skipped = (tries->skipped + 1) % TRY_EACH;
	return tries->skipped == 0;
}

static void note_try(struct aio_tries *tries, bool refused)
{
	if (!refused)
		tries->refused = 0;
	else if (tries->refused < TRIES_IN_VAIN)
		tries->refused++;
}

/* A short result counts as a refusal: the whole request is submitted again. */
static bool would_wait(const struct aio_request *req, long result)
{
	return result == -EAGAIN || result == -EOPNOTSUPP ||
	       (result >= 0 && (size_t)result < req->bytes);
}

/*
 * Take the next request, and those behind it that can be submitted with it. Returns their number. *ret_last: none is
 * left.
 */
static unsigned int next_to_wait(struct aio_client *client, struct iocb **batch, bool *ret_last)
{
	struct aio_request *req;
	unsigned int nr = 0;

	pthread_mutex_lock(&client->lock);
	while (nr < AIO_BATCH && (req = STAILQ_FIRST(&client->to_wait)) &&
	       (nr == 0 || !req->cached)) {
		STAILQ_REMOVE_HEAD(&client->to_wait, link);
		batch[nr++] = &req->iocb;
		if (req->cached)
			break;
	}
	*ret_last = STAILQ_EMPTY(&client->to_wait);
	pthread_mutex_unlock(&client->lock);
	return nr;
}

/* Returns how many the kernel took. If not all: *ret_err says why it did not take the next one (-EAGAIN: no room). */
static unsigned int submit(io_context_t ctx, struct iocb **batch, unsigned int nr, int *ret_err)
{
	unsigned int done = 0;

	*ret_err = 0;
	while (done < nr && !*ret_err) {
		int ret = io_submit(ctx, (long)(nr - done), batch + done);

		if (ret > 0)
			done += (unsigned int)ret;
		else if (ret != -EINTR)
			*ret_err = ret < 0 ? ret : -EIO;
	}
	return done;
}

/* Like submit(), but waits for room. */
static unsigned int submit_patiently(io_context_t ctx, struct iocb **batch, unsigned int nr,
				     int *ret_err)
{
	unsigned int done = submit(ctx, batch, nr, ret_err);

	while (*ret_err == -EAGAIN) {
		usleep(NO_ROOM_US);
		done += submit(ctx, batch + done, nr - done, ret_err);
	}
	return done;
}

/*
 * A request through the page cache is complete when io_submit() returns. The kernel does not signal the worker for
 * each: the end of the run tells the worker, and one signal per TELL_NS during a long run.
 */
static bool hush(struct aio_request *req, bool last, uint64_t *told_ns)
{
	uint64_t now_ns;

	if (!req->cached)
		return false;
	now_ns = last ? 0 : loop_now_ns();
	if (last || now_ns - *told_ns < TELL_NS) {
		req->iocb.u.c.flags &= ~FLAG_RESFD;
		return true;
	}
	*told_ns = now_ns;
	return false;
}

/* The kernel refused the first of these. The others wait for the next run. */
static void keep_refused(struct aio_client *client, struct iocb **batch, unsigned int nr, int err)
{
	struct aio_request *req = request_of(batch[0]);

	pthread_mutex_lock(&client->lock);
	req->refused = err;
	STAILQ_INSERT_TAIL(&client->refused, req, link);
	while (nr-- > 1)
		STAILQ_INSERT_HEAD(&client->to_wait, request_of(batch[nr]), link);
	pthread_mutex_unlock(&client->lock);
}

/*
 * Runs on the ring's thread. A request may be complete, and in use again, before io_submit() returns. The worker can
 * recall only what this thread has not taken, so the thread takes few requests at a time.
 */
static void submit_what_waits(struct slow_request *run)
{
	struct aio_client *client = container_of(run, struct aio_client, run);
	uint64_t told_ns = loop_now_ns();
	struct iocb *batch[AIO_BATCH];
	bool last, hushed = false;
	unsigned int nr, done;
	int err = 0;

	while ((nr = next_to_wait(client, batch, &last))) {
		hushed = hush(request_of(batch[0]), last, &told_ns);
		atomic_fetch_add(&client->nr_passed_on, nr);
		done = submit_patiently(client->aio->ctx, batch, nr, &err);
		if (err) {
			keep_refused(client, batch + done, nr - done, err);
			break;
		}
		if (hushed && last)
			break;
	}
}

static void run_ended(struct slow_request *run);
static void look(void *user);

static void begin_to_look(struct aio_client *client)
{
	client->look_ns = LOOK_NS;
	if (client->nr_hushed && !client->look.armed)
		loop_timer_set(client->aio->worker->loop, &client->look, client->look_ns, look,
			       client);
}

static void start_run(void *user)
{
	struct aio_client *client = user;
	struct loop *home = client->aio->worker->loop;

	if (client->runs)
		return;
	begin_to_look(client);
	client->run =
		(struct slow_request){ .home = home, .work = submit_what_waits, .done = run_ended };
	client->runs = slow_run(client->slow, &client->run) == 0;
	if (!client->runs)
		loop_timer_set(home, &client->retry, NO_THREAD_NS, start_run, client);
}

static void count_waiting(struct aio_client *client, unsigned int nr)
{
	client->nr_waited += nr;
	queue_mark(client->queue); /* the queue's figures show the number */
}

/* Hand a request to the ring's thread. From now on it counts as in the kernel. */
static void let_wait(struct aio *aio, struct aio_request *req)
{
	struct aio_client *client = req->client;

	req->iocb.aio_rw_flags &= ~(unsigned int)RWF_NOWAIT;
	io_set_eventfd(&req->iocb, aio->event_fd);
	aio->nr_in_kernel++;
	count_waiting(client, 1);
	client->nr_hushed += req->cached;
	pthread_mutex_lock(&client->lock);
	STAILQ_INSERT_TAIL(&client->to_wait, req, link);
	pthread_mutex_unlock(&client->lock);
	start_run(client);
}

/* --- requests that seldom block --- */

/* The kernel sends no event for a request through the page cache: it is complete when the call returns. */
static void prepare_call(struct loop_call *loop)
{
	struct aio_client *client = container_of(loop, struct aio_client, call.loop);
	struct aio_call *call = &client->call;
	struct aio_request *req;
	size_t bytes = 0;

	call->nr = 0;
	while (call->nr < AIO_BATCH && bytes < CALL_BYTES &&
	       (req = STAILQ_FIRST(&client->to_try))) {
		STAILQ_REMOVE_HEAD(&client->to_try, link);
		if (req->cached) {
			req->iocb.u.c.flags &= ~FLAG_RESFD;
			bytes += req->bytes;
		}
		client->nr_hushed += req->cached;
		call->batch[call->nr++] = &req->iocb;
	}
	client->aio->nr_in_kernel += call->nr;
}

static void make_call(struct loop_call *loop)
{
	struct aio_client *client = container_of(loop, struct aio_client, call.loop);
	struct aio_call *call = &client->call;

	atomic_fetch_add(&client->nr_passed_on, call->nr);
	call->nr_taken = submit(client->aio->ctx, call->batch, call->nr, &call->err);
}

/* The kernel may complete some requests of a call that is held up, so the worker polls for them. */
static void call_is_late(struct loop_call *loop)
{
	struct aio_client *client = container_of(loop, struct aio_client, call.loop);

	client->call.late = true;
	begin_to_look(client);
	count_waiting(client, client->call.nr);
}

static void call_done(struct loop_call *loop);

static bool is_wary(const struct aio_client *client)
{
	return client->wary_until_ns && loop_lately_ns() < client->wary_until_ns;
}

/*
 * Submit the requests in to_try by a call. If no call can be made, or one was held up lately, the ring's thread
 * submits them.
 */
static void begin_call(struct aio *aio, struct aio_client *client)
{
	struct aio_call *call = &client->call;
	struct aio_request *req;

	call->loop = (struct loop_call){
		.prepare = prepare_call, .work = make_call, .late = call_is_late, .done = call_done
	};
	call->out = !is_wary(client) && !aio->nr_in_uring &&
		    loop_call(aio->worker->loop, &call->loop) == 0;
	while (!call->out && (req = STAILQ_FIRST(&client->to_try))) {
		STAILQ_REMOVE_HEAD(&client->to_try, link);
		let_wait(aio, req);
	}
}

static void try_it(struct aio *aio, struct aio_request *req)
{
	struct aio_client *client = req->client;

	STAILQ_INSERT_TAIL(&client->to_try, req, link);
	if (!client->call.out)
		begin_call(aio, client);
}

/* --- the io_uring --- */

static unsigned int piece_of(const struct aio *aio, const struct aio_request *req)
{
	const uint8_t *arena = bufpool_arena(aio->buffers);

	return (unsigned int)((size_t)((uint8_t *)req->iocb.u.c.buf - arena) / URING_PIECE_BYTES);
}

static bool goes_by_uring(struct aio *aio, const struct aio_request *req)
{
	int op = req->iocb.aio_lio_opcode;

	return req->client->file != URING_NO_FILE && !aio->nr_callers &&
	       (op == IO_CMD_PREAD || op == IO_CMD_PWRITE) &&
	       bufpool_has(aio->buffers, req->iocb.u.c.buf) &&
	       uring_add_piece(aio->uring, bufpool_arena(aio->buffers), piece_of(aio, req));
}

static void submit_to_uring(struct aio *aio);

static void submit_again(void *user)
{
	submit_to_uring(user);
}

/* What the io_uring has no room for stays queued. The next completion makes room. */
static void submit_to_uring(struct aio *aio)
{
	struct aio_request *req;

	while (aio->nr_in_uring < aio->nr_places && (req = STAILQ_FIRST(&aio->for_uring)) &&
	       uring_queue(aio->uring, &req->iocb, req->client->file, piece_of(aio, req))) {
		STAILQ_REMOVE_HEAD(&aio->for_uring, link);
		req->client->nr_by_uring++;
		aio->nr_in_uring++;
	}
	if (!uring_submit(aio->uring))
		loop_timer_set(aio->worker->loop, &aio->uring_again, NO_ROOM_US * 1000u,
			       submit_again, aio);
}

/* --- queueing --- */

/* A flush never blocks io_submit(): the kernel hands it to a thread of its own. */
static void queue_request(struct aio *aio, struct aio_request *req)
{
	if (!req->bytes) {
		STAILQ_INSERT_TAIL(&aio->todo, req, link);
		return;
	}
	req->tries = tries_of(req);
	if (!is_worth_a_try(req->tries)) {
		let_wait(aio, req);
		return;
	}
	if (!(req->cached && writes(req))) /* a write to the page cache does not support the flag */
		req->iocb.aio_rw_flags |= (unsigned int)RWF_NOWAIT;
	if (req->may_wait)
		try_it(aio, req);
	else if (goes_by_uring(aio, req))
		STAILQ_INSERT_TAIL(&aio->for_uring, req, link);
	else
		STAILQ_INSERT_TAIL(&aio->todo, req, link);
}

/*
 * Queue requests that had no slot, as slots come free. While some wait, the ring has at least one request in the
 * kernel; its completion comes here.
 */
static void let_go(struct aio *aio, struct aio_client *client)
{
	struct aio_request *req;

	while ((req = STAILQ_FIRST(&client->behind)) && slots_take(&aio->slots, &client->slots)) {
		STAILQ_REMOVE_HEAD(&client->behind, link);
		queue_request(aio, req);
	}
}

void aio_add(struct aio *aio, struct aio_request *req)
{
	io_set_eventfd(&req->iocb, aio->event_fd);
	req->iocb.data = req;
	req->recalled = false;
	if (STAILQ_EMPTY(&req->client->behind) && slots_take(&aio->slots, &req->client->slots))
		queue_request(aio, req);
	else
		STAILQ_INSERT_TAIL(&req->client->behind, req, link);
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

static bool withdraw_waiting(struct aio *aio, struct aio_request *req)
{
	bool had;

	pthread_mutex_lock(&req->client->lock);
	had = withdraw(&req->client->to_wait, req);
	pthread_mutex_unlock(&req->client->lock);
	aio->nr_in_kernel -= had;
	req->client->nr_hushed -= had && req->cached;
	return had;
}

bool aio_recall(struct aio *aio, struct aio_request *req)
{
	if (withdraw(&req->client->behind, req))
		return true;
	req->recalled = !withdraw(&aio->todo, req) && !withdraw(&aio->for_uring, req) &&
			!withdraw(&req->client->to_try, req) && !withdraw_waiting(aio, req);
	if (req->recalled)
		return false;
	slots_put(&aio->slots, &req->client->slots);
	let_go(aio, req->client);
	return true;
}

/* --- rings --- */

int aio_join(struct aio *aio, struct aio_client *client, struct queue *queue,
	     void (*idle)(struct aio_client *client))
{
	*client = (struct aio_client){
		.queue = queue, .idle = idle, .aio = aio, .slow = slow_new(), .file = URING_NO_FILE
	};
	if (!client->slow)
		return -ENOMEM;
	pthread_mutex_init(&client->lock, NULL);
	STAILQ_INIT(&client->behind);
	STAILQ_INIT(&client->to_wait);
	STAILQ_INIT(&client->to_try);
	STAILQ_INIT(&client->refused);
	slots_join(&aio->slots, &client->slots);
	return bufshare_open(&client->buffers, aio->buffers);
}

bool aio_is_idle(const struct aio_client *client)
{
	return client->slots.taken == 0 && !client->runs && !client->call.out;
}

void aio_leave(struct aio *aio, struct aio_client *client)
{
	if (!client->slow)
		return;
	aio->nr_callers -= client->calls;
	if (aio->uring)
		uring_remove_file(aio->uring, client->file);
	slots_leave(&aio->slots, &client->slots);
	bufshare_close(&client->buffers);
	loop_timer_cancel(&client->retry);
	loop_timer_cancel(&client->look);
	pthread_mutex_destroy(&client->lock);
	client->slow = slow_free(client->slow);
}

void aio_use_device(struct aio_client *client, int fd, int lock_fd)
{
	if (client->aio->uring)
		client->file = uring_add_file(client->aio->uring, fd, lock_fd);
}

void aio_will_call(struct aio_client *client)
{
	client->calls = true;
	client->aio->nr_callers++;
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

static void give_back(struct aio *aio, struct aio_request *req)
{
	slots_put(&aio->slots, &req->client->slots);
	let_go(aio, req->client);
	req->given_back(req);
}

static void came_back(struct aio *aio, struct aio_request *req, long result)
{
	bool tried = (req->iocb.aio_rw_flags & (unsigned int)RWF_NOWAIT) != 0;
	bool refused = tried && would_wait(req, result);

	/* The kernel orders this after what the ring's thread did. The load says so in terms of the C memory model. */
	atomic_load(&req->client->nr_passed_on);
	req->client->nr_hushed -= req->cached && req->bytes;
	if (tried)
		note_try(req->tries, refused);
	if (!refused)
		finish(aio, req, result);
	else if (req->recalled)
		give_back(aio, req);
	else
		let_wait(aio, req);
}

/* The kernel refused the first request of the batch: only that one fails. */
static void fail_first(struct aio *aio, long err)
{
	struct aio_request *req = STAILQ_FIRST(&aio->todo);

	STAILQ_REMOVE_HEAD(&aio->todo, link);
	came_back(aio, req, err);
}

static unsigned int gather(struct aio *aio, struct iocb **batch)
{
	unsigned int room, nr = 0;
	struct aio_request *req;

	room = aio->nr_in_kernel < aio->nr_places ? aio->nr_places - aio->nr_in_kernel : 0;
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
	while (nr--)
		STAILQ_REMOVE_HEAD(&aio->todo, link);
}

/* Requests that the context has no room for stay queued. The next completion makes room. */
static void submit_all(struct aio *aio)
{
	struct iocb *batch[SUBMIT_BATCH];
	unsigned int nr;

	if (aio->uring)
		submit_to_uring(aio);
	while ((nr = gather(aio, batch))) {
		int ret = io_submit(aio->ctx, (long)nr, batch);

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
	void *req;
	long result;

	while (aio->nr_in_uring && uring_take(aio->uring, &req, &result)) {
		aio->nr_in_uring--;
		came_back(aio, req, result);
	}
	while (aio->nr_in_kernel && aio_ring_take(aio->ctx, &event)) {
		aio->nr_in_kernel--;
		came_back(aio, event.data, (long)event.res);
	}
}

static void submit_more(struct aio *aio)
{
	if (!STAILQ_EMPTY(&aio->todo) || !STAILQ_EMPTY(&aio->for_uring))
		submit_all(aio);
}

/* Poll while requests may be complete for which the kernel sends no event. */
static void look(void *user)
{
	struct aio_client *client = user;

	reap(client->aio);
	if (!client->nr_hushed)
		return;
	if (client->look_ns < LONG_LOOK_NS)
		client->look_ns *= 2;
	loop_timer_set(client->aio->worker->loop, &client->look, client->look_ns, look, client);
}

/* The ring's thread found no more requests to submit, or the kernel refused one. */
static void run_ended(struct slow_request *run)
{
	struct aio_client *client = container_of(run, struct aio_client, run);
	struct aio *aio = client->aio;
	struct aio_request *req;
	bool more;

	client->runs = false;
	pthread_mutex_lock(&client->lock);
	req = STAILQ_FIRST(&client->refused); /* at most one: it ended the run */
	STAILQ_INIT(&client->refused);
	more = !STAILQ_EMPTY(&client->to_wait);
	pthread_mutex_unlock(&client->lock);
	if (more)
		start_run(client);
	if (req) {
		aio->nr_in_kernel--;
		client->nr_hushed -= req->cached;
		finish(aio, req, req->refused);
	}
	reap(aio);
	if (!client->runs)
		client->idle(client);
}

/* The kernel did not take the request: it refused this one (`err`) or one before it, or it had no room. */
static void not_taken(struct aio *aio, struct aio_request *req, int err)
{
	aio->nr_in_kernel--;
	if (err) {
		came_back(aio, req, err);
		return;
	}
	req->client->nr_hushed -= req->cached;
	if (req->recalled)
		give_back(aio, req);
	else
		let_wait(aio, req);
}

static void call_done(struct loop_call *loop)
{
	struct aio_client *client = container_of(loop, struct aio_client, call.loop);
	struct aio_call *call = &client->call;
	struct aio *aio = client->aio;

	if (call->late)
		client->wary_until_ns = loop_lately_ns() + WARY_NS;
	for (unsigned int i = call->nr_taken; i < call->nr; i++)
		not_taken(aio, request_of(call->batch[i]),
			  i == call->nr_taken && call->err != -EAGAIN ? call->err : 0);
	reap(aio);
	submit_more(aio);
	call->out = call->late = false;
	if (!STAILQ_EMPTY(&client->to_try))
		begin_call(aio, client);
	if (aio_is_idle(client))
		client->idle(client);
}

/*
 * A completion may make room, or start the next step of a request. The watch is edge-triggered: nobody has to read the
 * counter, and each later completion triggers it again.
 */
static void completions_came(void *user, uint32_t events)
{
	struct aio *aio = user;

	(void)events;
	reap(aio);
	submit_more(aio);
}

/* Called once a pass. A request that completes at once is answered in the pass that took it. */
static void aio_submit(void *ctx)
{
	struct aio *aio = ctx;

	submit_all(aio);
	worker_time_passes(aio->worker);
	reap(aio);
	submit_more(aio); /* next steps of the reaped requests */
}

/* --- life --- */

static void aio_close(void *ctx)
{
	struct aio *aio = ctx;

	if (!aio)
		return;
	loop_timer_cancel(&aio->uring_again);
	loop_remove(aio->worker->loop, aio->uring_watch);
	uring_close(aio->uring);
	loop_remove(aio->worker->loop, aio->watch);
	if (aio->ctx)
		io_destroy(aio->ctx);
	if (aio->event_fd >= 0)
		close(aio->event_fd);
	bufpool_free(aio->buffers);
	free(aio);
}

/* Halve the number of slots until the system has that many left. */
static int make_context(struct aio *aio)
{
	int err;

	aio->nr_places = aio->worker->serves_one ? PLACES_FOR_GUEST : PLACES_FOR_ALL;
	while ((err = io_setup((int)aio->nr_places, &aio->ctx)) == -EAGAIN &&
	       aio->nr_places > PLACES_AT_LEAST)
		aio->nr_places /= 2;
	if (err == -EAGAIN)
		log_error("the system is out of aio contexts; raise fs.aio-max-nr (sysctl)");
	slots_init(&aio->slots, aio->nr_places);
	return err;
}

static int aio_setup(struct aio *aio)
{
	int err = make_context(aio);

	if (err)
		return err;
	aio->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (aio->event_fd < 0)
		return -errno;
	aio->watch = loop_add(aio->worker->loop, aio->event_fd, EPOLLIN | EPOLLET, completions_came,
			      aio);
	if (!aio->watch)
		return -errno;
	if (aio->uring) {
		aio->uring_watch = loop_add(aio->worker->loop, uring_fd(aio->uring),
					    EPOLLIN | EPOLLET, completions_came, aio);
		if (!aio->uring_watch)
			return -errno;
	}
	aio->buffers = bufpool_new(ARENA_BYTES);
	return aio->buffers ? 0 : -ENOMEM;
}

static void *aio_prepare(void)
{
	return uring_open(PLACES_FOR_GUEST);
}

static void aio_unprepare(void *prepared)
{
	uring_close(prepared);
}

static int aio_open(struct worker *worker, void *prepared, void **ret_ctx)
{
	struct aio *aio = calloc(1, sizeof(*aio));
	int err;

	if (!aio) {
		uring_close(prepared);
		return -ENOMEM;
	}
	aio->worker = worker;
	aio->event_fd = -1;
	aio->uring = prepared;
	STAILQ_INIT(&aio->todo);
	STAILQ_INIT(&aio->for_uring);
	err = aio_setup(aio);
	if (err) {
		aio_close(aio);
		return err;
	}
	*ret_ctx = aio;
	return 0;
}

static void aio_rest(void *ctx)
{
	struct aio *aio = ctx;

	if (aio->uring && !bufpool_used(aio->buffers))
		uring_remove_pieces(aio->uring);
	bufpool_rest(aio->buffers);
}

const struct plane blk_plane = { .prepare = aio_prepare,
				 .unprepare = aio_unprepare,
				 .open = aio_open,
				 .close = aio_close,
				 .submit = aio_submit,
				 .rest = aio_rest };
