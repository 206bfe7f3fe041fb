/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_PCAP
#include <pcap/pcap.h>
#endif

#include "core/log.h"
#include "core/thread.h"
#include "netback/capture.h"
#include "netback/pcapng.h"

#define BUFFER_BYTES (1u << 20)
#define READER_MS    500 /* wait this long for a pipe when the capture is to end */

struct capture {
	char name[32];
	char path[MESSAGE_NAME_MAX];
	uint32_t number; /* control's number for it */
	uint32_t snaplen;
	uint64_t max_bytes;
	int fd;
	atomic_int holders;          /* the starter and the thread */
	struct message_insn *filter; /* owned; NULL: all frames */

	pthread_mutex_t lock; /* never held during a write to the file */
	pthread_cond_t wake;
	uint8_t *buffer; /* owned; NULL when the capture has ended */
	uint32_t used;
	uint64_t total; /* bytes that are or will be in the file */
	bool full;
	bool is_pipe;
	bool stopping;
	bool finished; /* the file is closed */
	int err;       /* -errno that ended the capture, or 0 */
	uint64_t nr_added;
	uint64_t nr_lost;

	/* Used by the thread only. */
	uint8_t *spare; /* owned */
};

/* --- filters --- */

#ifdef HAVE_PCAP
_Static_assert(sizeof(struct message_insn) == sizeof(struct bpf_insn), "the same");

static const struct bpf_insn *program_of(const struct capture *c)
{
	return (const struct bpf_insn *)(const void *)c->filter;
}

static int check_filter(const struct capture *c, uint32_t nr_insns)
{
	return bpf_validate(program_of(c), (int)nr_insns) ? 0 : -EINVAL;
}

static bool is_wanted(const struct capture *c, const uint8_t *data, uint32_t len, uint32_t seen)
{
	return !c->filter || bpf_filter(program_of(c), data, len, seen);
}
#else
static int check_filter(const struct capture *c, uint32_t nr_insns)
{
	(void)c;
	(void)nr_insns;
	return -EOPNOTSUPP;
}

static bool is_wanted(const struct capture *c, const uint8_t *data, uint32_t len, uint32_t seen)
{
	(void)c;
	(void)data;
	(void)len;
	(void)seen;
	return true;
}
#endif

static int take_filter(struct capture *c, const struct message_insn *insns, uint32_t nr_insns)
{
	if (!nr_insns)
		return 0;
	if (nr_insns > MESSAGE_INSNS)
		return -EINVAL;
	c->filter = malloc(nr_insns * sizeof(insns[0]));
	if (!c->filter)
		return -ENOMEM;
	memcpy(c->filter, insns, nr_insns * sizeof(insns[0]));
	return check_filter(c, nr_insns);
}

/* --- the thread --- */

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_stopping(struct capture *c)
{
	bool stopping;

	pthread_mutex_lock(&c->lock);
	stopping = c->stopping;
	pthread_mutex_unlock(&c->lock);
	return stopping;
}

/*
 * A pipe with room takes PIPE_BUF bytes without waiting (pipe(7)), whatever flags its opener chose. Once the capture is
 * to end, a reader that takes nothing is not waited for.
 */
static int wait_for_room(struct capture *c)
{
	struct pollfd pipe = { .fd = c->fd, .events = POLLOUT };
	int nr;

	do
		nr = poll(&pipe, 1, READER_MS);
	while ((nr == 0 && !is_stopping(c)) || (nr < 0 && errno == EINTR));
	return nr > 0 ? 0 : nr < 0 ? -errno : -ETIMEDOUT;
}

static int write_all(struct capture *c, const uint8_t *data, uint32_t len)
{
	int err = 0;

	while (len && !err) {
		ssize_t n;

		err = c->is_pipe ? wait_for_room(c) : 0;
		if (err)
			break;
		n = write(c->fd, data, c->is_pipe && len > PIPE_BUF ? PIPE_BUF : len);
		if (n >= 0) {
			data += n;
			len -= (uint32_t)n;
		} else if (errno != EINTR && errno != EAGAIN) {
			err = -errno;
		}
	}
	return err;
}

/* Wait for frames and take them into c->spare. Returns how many bytes; 0: the capture ends. */
static uint32_t take_buffer(struct capture *c)
{
	uint8_t *full;
	uint32_t used;

	pthread_mutex_lock(&c->lock);
	while (!c->used && !c->stopping)
		pthread_cond_wait(&c->wake, &c->lock);
	full = c->buffer;
	used = c->used;
	c->buffer = c->spare;
	c->used = 0;
	c->spare = full;
	pthread_mutex_unlock(&c->lock);
	return used;
}

/* Frames are not added any more. */
static void shut(struct capture *c)
{
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	free(c->buffer);
	c->buffer = NULL;
	c->used = 0;
	pthread_mutex_unlock(&c->lock);
	free(c->spare);
	c->spare = NULL;
}

static int write_frames(struct capture *c)
{
	uint32_t len;
	int err = 0;

	while (!err && (len = take_buffer(c)))
		err = write_all(c, c->spare, len);
	return err;
}

static void report(const struct capture *c, int err)
{
	if (err == -EPIPE)
		log_about(LOG_LEVEL_INFO, c->name, "the reader of its capture has gone");
	else if (err == -ETIMEDOUT)
		log_about(LOG_LEVEL_INFO, c->name,
			  "the reader of its capture takes nothing: its end is missing");
	else if (err)
		log_about(LOG_LEVEL_WARNING, c->name, "the capture in %s ends: %s", c->path,
			  strerror(-err));
	else
		log_about(LOG_LEVEL_INFO, c->name,
			  "capture in %s: frames=%" PRIu64 " missing=%" PRIu64 "%s", c->path,
			  c->nr_added, c->nr_lost, c->full ? ", its size limit is reached" : "");
}

static void release(struct capture *c)
{
	if (atomic_fetch_sub(&c->holders, 1) > 1)
		return;
	free(c->buffer);
	free(c->spare);
	if (c->fd >= 0)
		close(c->fd);
	free(c->filter);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void *run(void *user)
{
	struct capture *c = user;
	uint8_t end[64];
	int err = write_frames(c);

	shut(c);
	if (!err)
		err = write_all(c, end,
				pcapng_put_statistics(end, wall_ns(), c->nr_added, c->nr_lost));
	close(c->fd);
	c->fd = -1;
	report(c, err);
	pthread_mutex_lock(&c->lock);
	c->err = err ? err : c->full ? -EFBIG : 0;
	c->finished = true;
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->lock);
	release(c);
	return NULL;
}

/* --- life --- */

static int start_thread(struct capture *c)
{
	int err;

	atomic_fetch_add(&c->holders, 1);
	err = thread_start(run, c);
	if (err)
		atomic_fetch_sub(&c->holders, 1);
	return err;
}

static int begin(struct capture *c, const struct message_capture *what)
{
	struct stat st;
	int err = take_filter(c, what->insns, what->nr_insns);

	if (!err && fstat(c->fd, &st) < 0)
		err = -errno;
	if (!err && (what->snaplen == 0 || what->snaplen > CAPTURE_MAX_SNAPLEN))
		err = -EINVAL;
	if (err)
		return err;
	c->buffer = malloc(BUFFER_BYTES);
	c->spare = malloc(BUFFER_BYTES);
	if (!c->buffer || !c->spare)
		return -ENOMEM;
	c->used = pcapng_put_start(c->buffer, what->ifname, c->snaplen);
	c->total = (uint64_t)st.st_size + c->used;
	c->is_pipe = S_ISFIFO(st.st_mode);
	return start_thread(c);
}

int capture_start(const struct message_capture *what, const char *name, int fd,
		  struct capture **ret)
{
	struct capture *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->fd = fd;
	c->holders = 1;
	c->number = what->number;
	c->snaplen = what->snaplen;
	c->max_bytes = what->max_bytes;
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->path, sizeof(c->path), "%s", what->name);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	err = begin(c, what);
	if (err) {
		release(c);
		return err;
	}
	*ret = c;
	return 0;
}

void capture_stop(struct capture *c)
{
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

bool capture_ended(struct capture *c, struct message_captured *ret)
{
	bool finished;

	pthread_mutex_lock(&c->lock);
	finished = c->finished;
	*ret = (struct message_captured){ .number = c->number,
					  .err = c->err,
					  .nr_frames = c->nr_added,
					  .nr_missing = c->nr_lost };
	pthread_mutex_unlock(&c->lock);
	return finished;
}

static void wait_finished(struct capture *c, unsigned int wait_ms)
{
	uint64_t end_ns = wall_ns() + wait_ms * UINT64_C(1000000);
	struct timespec end = { .tv_sec = (time_t)(end_ns / 1000000000u),
				.tv_nsec = (long)(end_ns % 1000000000u) };

	pthread_mutex_lock(&c->lock);
	while (!c->finished && !pthread_cond_timedwait(&c->wake, &c->lock, &end))
		;
	pthread_mutex_unlock(&c->lock);
}

void capture_put(struct capture *c, unsigned int wait_ms)
{
	capture_stop(c);
	if (wait_ms)
		wait_finished(c, wait_ms);
	release(c);
}

/* --- frames --- */

/* Copy at most `most` bytes of the frame to `to`. Returns how many, and the frame's whole length. */
static uint32_t gather(uint8_t *to, uint32_t most, const struct iovec *iov, unsigned int nr,
		       uint32_t *ret_len)
{
	uint32_t len = 0, seen = 0;

	for (unsigned int i = 0; i < nr; i++) {
		uint32_t part = (uint32_t)iov[i].iov_len;

		len += part;
		if (part > most - seen)
			part = most - seen;
		if (part)
			memcpy(to + seen, iov[i].iov_base, part);
		seen += part;
	}
	*ret_len = len;
	return seen;
}

static void add_locked(struct capture *c, const struct iovec *iov, unsigned int nr,
		       struct pcapng_packet *packet)
{
	uint8_t *block = c->buffer + c->used;
	uint32_t size;

	if (c->total + c->snaplen + PCAPNG_PACKET_MAX > c->max_bytes) {
		c->full = c->stopping = true;
		pthread_cond_signal(&c->wake);
		return;
	}
	if (c->snaplen + PCAPNG_PACKET_MAX > BUFFER_BYTES - c->used) {
		c->nr_lost++;
		return;
	}
	packet->seen = gather(block + PCAPNG_DATA_OFFSET, c->snaplen, iov, nr, &packet->len);
	if (!is_wanted(c, block + PCAPNG_DATA_OFFSET, packet->len, packet->seen))
		return;
	if (!c->used)
		pthread_cond_signal(&c->wake);
	size = pcapng_put_packet(block, packet);
	c->used += size;
	c->total += size;
	c->nr_added++;
}

void capture_add(struct capture *c, const struct iovec *iov, unsigned int nr, bool inbound,
		 const char *reason)
{
	char comment[PCAPNG_COMMENT_MAX];
	struct pcapng_packet packet = { .time_ns = wall_ns(), .inbound = inbound };

	if (reason) {
		snprintf(comment, sizeof(comment), "dropped: %s", reason);
		packet.comment = comment;
	}
	pthread_mutex_lock(&c->lock);
	if (!c->stopping)
		add_locked(c, iov, nr, &packet);
	pthread_mutex_unlock(&c->lock);
}
