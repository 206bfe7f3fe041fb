/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container_of.h"
#include "blkback/nbd_keep.h"
#include "blkback/nbd_link.h"
#include "core/log.h"
#include "core/statefile.h"
#include "ring/blkif.h"

#define NS_PER_MS    1000000ull
#define FIRST_TRY_NS (10 * NS_PER_MS)
#define LAST_TRY_NS  (1000 * NS_PER_MS)
#define HANDSHAKE_NS (5000 * NS_PER_MS)
#define STOP_NS      (5000 * NS_PER_MS)  /* for unanswered requests when the rings stop */
#define TRIM_CHUNK   ((uint64_t)1 << 30) /* a length has 32 bits on the wire */

TAILQ_HEAD(held, image_request);

struct nbd_link {
	struct nbd_link_setup setup;
	struct nbd_facts facts;
	struct nbd_conn conn;
	struct nbd_keep keep;
	struct held held; /* requests that wait for the server */
	uint64_t bytes;   /* facts.bytes, for other threads */

	bool opened;   /* setup.opened was told of success or failure */
	bool up;       /* requests go straight to the server */
	bool dialling; /* control was asked to connect */
	bool ask_block;
	bool fenced;  /* no earlier connection was left when this one was made */
	bool expired; /* no server for too long: requests fail */
	bool lost;    /* an acknowledged write could not be repeated: the next flush says so */
	bool stopping, suspend;
	bool halted;  /* nothing may be repeated to the server */
	bool waiting; /* connected, but halted */

	uint64_t away_since;
	bool said; /* the log says that it is away */
	uint64_t next_try_ns;
	struct loop_timer try_timer, limit_timer, handshake_timer, stop_timer;
	struct loop_tick tick;
	uint32_t seconds; /* since it was opened */
	struct log_limit talk;

	struct image_request replay;
	uint8_t *replay_buf; /* owned; only while replaying */
	uint64_t replay_pos;
	unsigned int nr_replayed;

	struct loop_task order, report;
	int open_err;
	char why[192];
};

static struct loop *loop_of(struct nbd_link *link)
{
	return link->setup.worker->loop;
}

static void __attribute__((format(printf, 3, 4)))
say(struct nbd_link *link, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (!log_enabled(level) || !log_allow(&link->talk, link->setup.who))
		return;
	va_start(ap, fmt);
	log_vabout(level, link->setup.who, fmt, ap);
	va_end(ap);
}

/* --- the first connection --- */

static void report_opened(struct loop_task *task)
{
	struct nbd_link *link = container_of(task, struct nbd_link, report);

	link->setup.opened(link->setup.user, link->open_err, link->why, &link->facts);
}

static void report(struct nbd_link *link, int err, const char *why)
{
	link->opened = true;
	link->open_err = err;
	if (why != link->why)
		snprintf(link->why, sizeof(link->why), "%s", why);
	link->report.run = report_opened;
	loop_post(link->setup.control, &link->report);
}

/* --- requests that wait for the server --- */

static void hold(struct nbd_link *link, struct image_request *req)
{
	if (link->stopping || req->recalled) { /* the rings do not wait for the server any more */
		req->given_back(req);
		return;
	}
	req->nbd.flushing = false; /* its data must be sent again first */
	req->nbd.held = true;
	TAILQ_INSERT_TAIL(&link->held, req, nbd.link);
}

static void let_go(struct nbd_link *link, struct image_request *req)
{
	TAILQ_REMOVE(&link->held, req, nbd.link);
	req->nbd.held = false;
}

static struct image_request *take_held(struct nbd_link *link)
{
	struct image_request *req = TAILQ_FIRST(&link->held);

	if (req)
		let_go(link, req);
	return req;
}

/* --- requests --- */

static int transmit(struct nbd_link *link, struct image_request *req, bool as_flush, bool fua)
{
	req->nbd.sent_at = link->seconds;
	return nbd_conn_send(&link->conn, req, as_flush, fua);
}

static void refused(struct nbd_link *link, struct image_request *req, int err)
{
	if (err == -ENOTCONN)
		hold(link, req);
	else
		req->done(req, err);
}

static void send_flush(struct nbd_link *link, struct image_request *req)
{
	int err;

	req->nbd.mark = nbd_keep_mark(&link->keep);
	err = transmit(link, req, true, false);
	if (err)
		refused(link, req, err);
}

static void send_request(struct nbd_link *link, struct image_request *req)
{
	uint64_t left = req->bytes - req->nbd.progress;
	int err;

	if (req->recalled) { /* between two parts of a long discard */
		req->given_back(req);
		return;
	}
	if (req->op == IMAGE_FLUSH && !link->facts.flush) {
		req->done(req, 0); /* a server without flush has no cache */
		return;
	}
	if (req->op == IMAGE_FLUSH && link->keep.header) {
		send_flush(link, req);
		return;
	}
	req->nbd.chunk = left < TRIM_CHUNK ? left : TRIM_CHUNK;
	err = transmit(link, req, false, req->durable && link->facts.fua);
	if (err)
		refused(link, req, err);
}

void nbd_link_submit(struct nbd_link *link, struct image_request *req)
{
	req->nbd.progress = 0;
	req->nbd.flushing = false;
	req->nbd.since = link->seconds;
	req->nbd.held = false;
	if (link->up)
		send_request(link, req);
	else if (link->expired)
		req->done(req, -EIO);
	else
		hold(link, req);
}

/* Whether a write can be acknowledged now: it is on the medium, or its data is kept. */
static bool is_safe(struct nbd_link *link, const struct image_request *req)
{
	if (!link->facts.flush)
		return true;
	if (req->durable && !link->facts.fua)
		return false;
	/*
	 * While older writes are kept, a write that is on the medium is kept, too. Else a replay would put older data
	 * over it.
	 */
	if (req->durable && nbd_keep_is_empty(&link->keep))
		return true;
	return nbd_keep_append(&link->keep, req->offset, req->buf, req->bytes) == 0;
}

static void write_done(struct nbd_link *link, struct image_request *req)
{
	if (!req->nbd.flushing && !is_safe(link, req)) {
		req->nbd.flushing = true;
		send_flush(link, req);
		return;
	}
	if (req->nbd.flushing)
		nbd_keep_drop(&link->keep, req->nbd.mark);
	req->done(req, (long)req->bytes);
}

static void flush_done(struct nbd_link *link, struct image_request *req)
{
	bool lost = link->lost;

	if (link->keep.header)
		nbd_keep_drop(&link->keep, req->nbd.mark);
	link->lost = false;
	req->done(req, lost ? -EREMOTEIO : 0); /* the data is lost: retrying does not help */
}

static void discard_done(struct nbd_link *link, struct image_request *req)
{
	req->nbd.progress += req->nbd.chunk;
	if (req->nbd.progress < req->bytes)
		send_request(link, req);
	else
		req->done(req, 0);
}

static void replay_done(struct nbd_link *link, int error);

static void answered(void *user, struct image_request *req, int error)
{
	struct nbd_link *link = user;

	if (req == &link->replay)
		replay_done(link, error);
	else if (error == ENOTCONN || error == ESHUTDOWN)
		hold(link, req);
	else if (error)
		req->done(req, -error);
	else if (req->op == IMAGE_READ)
		req->done(req, (long)req->bytes);
	else if (req->op == IMAGE_WRITE)
		write_done(link, req);
	else if (req->op == IMAGE_FLUSH)
		flush_done(link, req);
	else
		discard_done(link, req);
}

/* --- up again: the kept writes, then the requests that wait --- */

static void come_up(struct nbd_link *link)
{
	struct held todo = TAILQ_HEAD_INITIALIZER(todo);
	struct image_request *req;
	unsigned int nr = 0;

	free(link->replay_buf);
	link->replay_buf = NULL;
	link->up = true;
	link->expired = false;
	loop_timer_cancel(&link->limit_timer);
	if (!link->opened)
		report(link, 0, "");
	TAILQ_CONCAT(&todo, &link->held, nbd.link);
	while ((req = TAILQ_FIRST(&todo))) {
		TAILQ_REMOVE(&todo, req, nbd.link);
		req->nbd.held = false;
		req->nbd.progress = 0;
		nr++;
		send_request(link, req);
	}
	if (link->said)
		say(link, LOG_LEVEL_INFO,
		    "%s is back after %llu ms; %u requests and %u unflushed writes were sent again",
		    link->setup.image,
		    (unsigned long long)((loop_now_ns() - link->away_since) / NS_PER_MS), nr,
		    link->nr_replayed);
	link->away_since = 0;
	link->said = false;
}

/*
 * The server is there, so the disk can be attached. The kept writes are not repeated while the domain is halted: the
 * export may hold newer data.
 */
static void wait_for_domain(struct nbd_link *link)
{
	free(link->replay_buf);
	link->replay_buf = NULL;
	link->waiting = true;
	link->expired = false;
	loop_timer_cancel(&link->limit_timer);
	if (!link->opened)
		report(link, 0, "");
}

static void replay_next(struct nbd_link *link)
{
	struct nbd_keep_record record;
	int err;

	if (link->halted) {
		wait_for_domain(link);
		return;
	}
	err = nbd_keep_next(&link->keep, &link->replay_pos, &record, link->replay_buf,
			    NBD_KEEP_LARGEST);
	if (err == -ENOENT) {
		come_up(link);
		return;
	}
	if (err) {
		link->lost = true;
		say(link, LOG_LEVEL_ERROR,
		    "%s: unflushed writes cannot be read back (%s); the guest's next flush fails",
		    link->setup.image, strerror(-err));
		nbd_keep_drop(&link->keep, nbd_keep_mark(&link->keep));
		come_up(link);
		return;
	}
	link->nr_replayed++;
	link->replay = (struct image_request){ .op = IMAGE_WRITE,
					       .buf = link->replay_buf,
					       .bytes = record.bytes,
					       .offset = record.offset };
	err = transmit(link, &link->replay, false, false);
	if (err && err != -ENOTCONN)
		replay_done(link, -err);
}

static void replay_done(struct nbd_link *link, int error)
{
	if (error == ENOTCONN || error == ESHUTDOWN)
		return; /* down() follows, and a whole replay after that */
	if (error && !link->lost)
		say(link, LOG_LEVEL_ERROR,
		    "%s refuses to repeat a write that it had acknowledged: %s; the guest's next "
		    "flush fails",
		    link->setup.image, strerror(error));
	link->lost |= error != 0;
	replay_next(link);
}

static void replay(struct nbd_link *link)
{
	link->nr_replayed = 0;
	if (link->halted) {
		wait_for_domain(link);
		return;
	}
	if (!link->keep.header || nbd_keep_is_empty(&link->keep)) {
		come_up(link);
		return;
	}
	link->replay_pos = nbd_keep_first(&link->keep);
	link->replay_buf = malloc(NBD_KEEP_LARGEST);
	if (link->replay_buf)
		replay_next(link);
	else
		nbd_conn_close(&link->conn); /* try_timer is armed by the caller */
}

static int open_keep(struct nbd_link *link)
{
	bool lost;
	int err;

	if (link->keep.header || link->setup.keep_fd < 0 || !link->facts.flush)
		return 0;
	err = nbd_keep_open(&link->keep, link->setup.keep_fd, link->setup.image, &lost);
	if (err)
		return err;
	link->setup.keep_fd = -1;
	link->lost = lost || link->setup.keep_lost;
	if (link->lost)
		say(link, LOG_LEVEL_ERROR,
		    "%s: the file of its unflushed writes is damaged or of another image; the "
		    "guest's next flush fails",
		    link->setup.image);
	return 0;
}

/* --- the connection --- */

static void try_now(void *user);

static void try_later(struct nbd_link *link)
{
	loop_timer_set(loop_of(link), &link->try_timer, link->next_try_ns, try_now, link);
	link->next_try_ns *= 2;
	if (link->next_try_ns > LAST_TRY_NS)
		link->next_try_ns = LAST_TRY_NS;
}

static void limit_reached(void *user)
{
	struct nbd_link *link = user;
	struct image_request *req;

	link->expired = true;
	if (!link->opened) {
		loop_timer_cancel(&link->try_timer);
		link->dialling = false;
		nbd_conn_close(&link->conn);
		report(link, -ETIMEDOUT, link->why);
		return;
	}
	say(link, LOG_LEVEL_ERROR, "%s is away for %u s; requests fail until it is back",
	    link->setup.image, link->setup.timeout_s);
	while ((req = take_held(link)))
		req->done(req, -EIO);
}

static void begin_outage(struct nbd_link *link)
{
	if (link->away_since && (link->limit_timer.armed || link->expired))
		return;
	if (!link->away_since)
		link->away_since = loop_now_ns();
	link->next_try_ns = FIRST_TRY_NS;
	loop_timer_set(loop_of(link), &link->limit_timer,
		       link->setup.timeout_s * 1000ull * NS_PER_MS, limit_reached, link);
}

static void say_away(struct nbd_link *link)
{
	if (link->said)
		return;
	link->said = true;
	if (link->stopping)
		say(link, LOG_LEVEL_WARNING, "%s is away (%s) while the disk is taken away",
		    link->setup.image, link->why);
	else
		say(link, LOG_LEVEL_WARNING, "%s is away (%s); its requests wait up to %u s",
		    link->setup.image, link->why, link->setup.timeout_s);
}

/* A server may come back each time and never answer one request. Such a request fails in the end. */
static void fail_old(struct nbd_link *link)
{
	struct held todo = TAILQ_HEAD_INITIALIZER(todo);
	struct image_request *req;

	TAILQ_CONCAT(&todo, &link->held, nbd.link);
	while ((req = TAILQ_FIRST(&todo))) {
		TAILQ_REMOVE(&todo, req, nbd.link);
		if (link->seconds - req->nbd.since > 2 * link->setup.timeout_s)
			req->done(req, -EIO);
		else
			TAILQ_INSERT_TAIL(&link->held, req, nbd.link);
	}
}

static void down(void *user, const char *why)
{
	struct nbd_link *link = user;

	if (why != link->why)
		snprintf(link->why, sizeof(link->why), "%s", why);
	loop_timer_cancel(&link->handshake_timer);
	nbd_conn_close(&link->conn);
	free(link->replay_buf);
	link->replay_buf = NULL;
	link->up = link->waiting = link->dialling = false;
	if (!link->opened && !link->setup.resume) {
		report(link, -ECONNREFUSED, link->why);
		return;
	}
	if (link->opened && link->open_err)
		return;
	begin_outage(link);
	say_away(link);
	fail_old(link);
	if (!link->stopping)
		try_later(link);
}

/* Runs once a second. A server that is connected but silent counts as away. */
static void look_at_clock(void *user)
{
	struct nbd_link *link = user;
	const struct image_request *oldest = nbd_conn_oldest(&link->conn);

	link->seconds++;
	if (!oldest || link->seconds - oldest->nbd.sent_at <= link->setup.timeout_s)
		return;
	snprintf(link->why, sizeof(link->why), "no answer for %u s", link->setup.timeout_s);
	nbd_conn_give_up(&link->conn, link->why);
}

static void stop_too_long(void *user)
{
	struct nbd_link *link = user;

	if (nbd_conn_oldest(&link->conn))
		nbd_conn_give_up(&link->conn, "no answer");
}

static void begin_replay(struct nbd_link *link)
{
	replay(link);
	if (!nbd_conn_is_open(&link->conn))
		try_later(link);
}

static void up(void *user, const struct nbd_facts *facts)
{
	struct nbd_link *link = user;
	uint32_t block = facts->block;
	int err;

	loop_timer_cancel(&link->handshake_timer);
	if (link->ask_block && block > BLKIF_SECTOR_SIZE) {
		/*
		 * Guests send single sectors. Connect again without asking for the block size: the server then takes
		 * what it can.
		 */
		link->ask_block = false;
		link->facts.block = block;
		nbd_conn_close(&link->conn);
		try_now(link);
		return;
	}
	if (!link->ask_block)
		block = link->facts.block;
	link->facts = *facts;
	link->facts.block = block;
	link->facts.fenced = link->fenced;
	if (facts->read_only && !link->setup.read_only) {
		down(link, "the export is read-only; use r instead of w in the disk line");
		return;
	}
	err = open_keep(link);
	if (err) {
		down(link, strerror(-err));
		return;
	}
	__atomic_store_n(&link->bytes, facts->bytes, __ATOMIC_RELAXED);
	link->next_try_ns = FIRST_TRY_NS;
	begin_replay(link);
}

static void handshake_too_long(void *user)
{
	down(user, "the server does not answer");
}

/* A short wait is normal after a restart, and is not logged. */
static void wait_for_the_old_one(struct nbd_link *link)
{
	snprintf(link->why, sizeof(link->why), "an earlier connection is not over");
	begin_outage(link);
	if (link->next_try_ns == LAST_TRY_NS)
		say_away(link);
	try_later(link);
}

static void try_now(void *user)
{
	struct nbd_link *link = user;

	link->dialling = true;
	loop_timer_set(loop_of(link), &link->handshake_timer, HANDSHAKE_NS, handshake_too_long,
		       link);
	link->setup.connect(link->setup.dial);
}

struct connected {
	struct loop_task task;
	struct nbd_link *link; /* borrowed */
	int err, fd;           /* owned */
	bool fenced;
	char why[192];
};

/* A socket that comes too late for its attempt serves the next one. */
static void take_socket(struct nbd_link *link, const struct connected *connected)
{
	int err;

	link->dialling = false;
	link->fenced = connected->fenced;
	if (connected->err == -EBUSY) {
		loop_timer_cancel(&link->handshake_timer);
		wait_for_the_old_one(link);
		return;
	}
	if (connected->err) {
		down(link, connected->why);
		return;
	}
	err = nbd_conn_open(&link->conn, connected->fd, link->setup.name.export_name,
			    link->ask_block);
	if (err)
		down(link, strerror(-err));
}

static void run_connected(struct loop_task *task)
{
	struct connected *connected = container_of(task, struct connected, task);

	if (connected->link->dialling)
		take_socket(connected->link, connected);
	else if (connected->fd >= 0)
		close(connected->fd);
	free(connected);
}

void nbd_link_connected(struct nbd_link *link, int err, const char *why, int fd, bool fenced)
{
	struct connected *connected = malloc(sizeof(*connected));

	if (!connected) { /* the link tries again later */
		if (fd >= 0)
			close(fd);
		return;
	}
	*connected = (struct connected){
		.task.run = run_connected, .link = link, .err = err, .fd = fd, .fenced = fenced
	};
	snprintf(connected->why, sizeof(connected->why), "%s", why);
	loop_post(loop_of(link), &connected->task);
}

/* --- life --- */

static const struct nbd_conn_ops conn_ops = { .up = up, .down = down, .done = answered };

static struct nbd_link *link_of_order(struct loop_task *task)
{
	return container_of(task, struct nbd_link, order);
}

static void run_open(struct loop_task *task)
{
	struct nbd_link *link = link_of_order(task);

	loop_tick_add(loop_of(link), &link->tick, look_at_clock, link);
	try_now(link);
}

struct nbd_link *nbd_link_new(const struct nbd_link_setup *setup)
{
	struct nbd_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->setup = *setup;
	link->halted = setup->halted;
	link->keep = (struct nbd_keep)NBD_KEEP_CLOSED;
	link->ask_block = true;
	link->next_try_ns = FIRST_TRY_NS;
	TAILQ_INIT(&link->held);
	link->conn = (struct nbd_conn){ .loop = loop_of(link), .ops = &conn_ops, .user = link };
	nbd_conn_init(&link->conn);
	link->order.run = run_open;
	loop_post(loop_of(link), &link->order);
	return link;
}

static void run_close(struct loop_task *task)
{
	struct nbd_link *link = link_of_order(task);

	loop_timer_cancel(&link->try_timer);
	loop_timer_cancel(&link->limit_timer);
	loop_timer_cancel(&link->handshake_timer);
	loop_timer_cancel(&link->stop_timer);
	loop_tick_remove(&link->tick);
	nbd_conn_close(&link->conn);
	if (!link->suspend && !link->up && link->keep.header && !nbd_keep_is_empty(&link->keep))
		say(link, LOG_LEVEL_ERROR,
		    "%s: writes that it had acknowledged and that were not flushed are not sent "
		    "again; "
		    "what it has lost of them stays lost",
		    link->setup.image);
	nbd_keep_close(&link->keep);
	statefile_close(&link->setup.keep_fd);
	free(link->replay_buf);
	if (link->setup.ended)
		link->setup.ended(link->setup.dial);
	free(link);
}

void nbd_link_close(struct nbd_link *link)
{
	link->order.run = run_close;
	loop_post(loop_of(link), &link->order);
}

uint64_t nbd_link_bytes(const struct nbd_link *link)
{
	return __atomic_load_n(&link->bytes, __ATOMIC_RELAXED);
}

bool nbd_link_is_away(const struct nbd_link *link)
{
	return !link->up && !link->expired && !link->stopping;
}

/* Also after a stop: the first attempt to attach the rings may have been taken back. */
void nbd_link_start(struct nbd_link *link)
{
	if (!link->stopping)
		return;
	link->stopping = link->suspend = false;
	loop_timer_cancel(&link->stop_timer);
	if (!nbd_conn_is_open(&link->conn) && !link->dialling)
		try_later(link);
}

void nbd_link_stop(struct nbd_link *link, bool suspend)
{
	struct image_request *req;

	link->stopping = true;
	link->suspend = suspend;
	while ((req = take_held(link)))
		req->given_back(req);
	if (link->up && !link->stop_timer.armed)
		loop_timer_set(loop_of(link), &link->stop_timer, STOP_NS, stop_too_long, link);
}

void nbd_link_recall(struct nbd_link *link, struct image_request *req)
{
	if (!req->nbd.held)
		return; /* it is in flight: hold() gives it back */
	let_go(link, req);
	req->given_back(req);
}

void nbd_link_halt(struct nbd_link *link, bool halted)
{
	link->halted = halted;
	if (halted || !link->waiting)
		return;
	link->waiting = false;
	begin_replay(link);
}
