/* SPDX-License-Identifier: MIT */
/*
 * blk_nbd.c - the guest's disk as an NBD export on a Unix socket, so that real
 * programs (qemu-img, nbdinfo, fio, mkfs) sit on top of the ring.
 *
 * One client at a time, one command at a time; a command is split into as many
 * ring requests as it needs, and these are in flight together. Protocol: the
 * NBD project's doc/proto.md, fixed newstyle, simple replies.
 */
#include "simblk.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

#define MAGIC_INIT    0x4e42444d41474943ull
#define MAGIC_OPTION  0x49484156454f5054ull
#define MAGIC_REPLY   0x0003e889045565a9ull
#define MAGIC_REQUEST 0x25609513u
#define MAGIC_ANSWER  0x67446698u

enum { FIXED_NEWSTYLE = 1, NO_ZEROES = 2 };
enum { OPT_EXPORT_NAME = 1, OPT_ABORT = 2, OPT_LIST = 3, OPT_INFO = 6, OPT_GO = 7 };
enum { REP_ACK = 1, REP_SERVER = 2, REP_INFO = 3 };
#define REP_UNSUPPORTED 0x80000001u
enum { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };
enum { FLAG_HAS_FLAGS = 1, FLAG_READ_ONLY = 2, FLAG_FLUSH = 4, FLAG_TRIM = 32 };
enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM };
enum { NBD_EIO = 5, NBD_EINVAL = 22 };

#define MAX_COMMAND (32u << 20)

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* --- the ring side --- */

/* Take answers until @limit requests or fewer are in flight. 0 or -EIO. */
static int settle(struct blk_front *f, uint32_t limit, uint64_t base, uint8_t *buf)
{
	struct blk_queue *q = &f->queue[0];
	int err = 0;

	blk_ring_push(f, q);
	while (q->busy > limit && !f->stats.protocol_errors) {
		struct pollfd p = { .fd = xenevtchn_fd(f->xce), .events = POLLIN };
		int status, port;
		struct blk_req *r = blk_ring_take(f, q, &status);

		if (!r && !blk_ring_wait_wanted(f, q)) {
			if (poll(&p, 1, 20000) <= 0 && !stop)
				return -EIO;
			port = p.revents ? xenevtchn_pending(f->xce) : -1;
			if (port > 0)
				xenevtchn_unmask(f->xce, (evtchn_port_t)port);
		}
		if (!r)
			continue;
		f->stats.done++;
		if (status != BLK_OKAY)
			err = -EIO;
		for (uint32_t i = 0; r->op == BLK_READ && i < r->nr_segs; i++)
			memcpy(buf + (r->sector - base) * BLK_SECTOR + (size_t)i * SIM_PAGE_SIZE,
			       sim_guest_addr(&f->guest, r->seg[i].gfn),
			       (r->seg[i].last + 1u) * BLK_SECTOR);
	}
	return f->stats.protocol_errors ? -EIO : err;
}

static struct blk_req *idle_request(struct blk_queue *q)
{
	for (uint32_t i = 0; i < q->depth; i++)
		if (!q->req[i].busy)
			return &q->req[i];
	return NULL;
}

/* Cut @r's sectors into whole pages and fill them for a write. */
static void fill(struct blk_front *f, struct blk_req *r, const uint8_t *data)
{
	uint32_t left = r->nr_sectors;

	for (r->nr_segs = 0; left; r->nr_segs++) {
		struct blk_seg *s = &r->seg[r->nr_segs];
		uint32_t take = left < BLK_PAGE_SECTORS ? left : BLK_PAGE_SECTORS;

		s->gfn = r->pages + r->nr_segs;
		s->first = 0;
		s->last = (uint8_t)(take - 1);
		if (r->op == BLK_WRITE)
			memcpy(sim_guest_addr(&f->guest, s->gfn),
			       data + (size_t)r->nr_segs * SIM_PAGE_SIZE, take * BLK_SECTOR);
		s->ref = blk_grant(f, r, r->nr_segs);
		left -= take;
	}
}

/* A read or write of any length. @buf holds it all. */
static int transfer(struct blk_front *f, uint8_t op, uint64_t sector, uint64_t nr, uint8_t *buf)
{
	uint32_t most = f->max_segs * BLK_PAGE_SECTORS;
	struct blk_queue *q = &f->queue[0];
	uint64_t base = sector;
	int err = 0, last;

	while (nr && !err) {
		struct blk_req *r = idle_request(q);

		if (!r) {
			err = settle(f, q->depth - 1, base, buf);
			continue;
		}
		r->op = op;
		r->sector = sector;
		r->nr_sectors = nr < most ? (uint32_t)nr : most;
		fill(f, r, buf + (sector - base) * BLK_SECTOR);
		blk_ring_put(f, q, r);
		sector += r->nr_sectors;
		nr -= r->nr_sectors;
	}
	last = settle(f, 0, base, buf);
	return err ? err : last;
}

static int simple(struct blk_front *f, uint8_t op, uint64_t sector, uint32_t nr)
{
	struct blk_req *r = idle_request(&f->queue[0]);

	r->op = op;
	r->sector = sector;
	r->nr_sectors = nr;
	r->nr_segs = 0;
	blk_ring_put(f, &f->queue[0], r);
	return settle(f, 0, sector, NULL);
}

/* --- the NBD side --- */

static bool get(int fd, void *to, size_t len)
{
	uint8_t *at = to;

	while (len) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR && !stop)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool put(int fd, const void *from, size_t len)
{
	const uint8_t *at = from;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR && !stop)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static uint16_t export_flags(const struct blk_front *f)
{
	unsigned int flags = FLAG_HAS_FLAGS;

	flags |= f->readonly ? FLAG_READ_ONLY : 0u;
	flags |= f->flush ? FLAG_FLUSH : 0u;
	flags |= f->discard ? FLAG_TRIM : 0u;
	return (uint16_t)flags;
}

static bool reply(int fd, uint32_t option, uint32_t type, const void *data, uint32_t len)
{
	struct __attribute__((packed)) {
		uint64_t magic;
		uint32_t option, type, len;
	} head = { htobe64(MAGIC_REPLY), htobe32(option), htobe32(type), htobe32(len) };

	return put(fd, &head, sizeof(head)) && put(fd, data, len);
}

static bool reply_info(struct blk_front *f, int fd, uint32_t option)
{
	struct __attribute__((packed)) {
		uint16_t type;
		uint64_t size;
		uint16_t flags;
	} export = { htobe16(INFO_EXPORT), htobe64(f->nr_sectors * BLK_SECTOR),
		     htobe16(export_flags(f)) };
	struct __attribute__((packed)) {
		uint16_t type;
		uint32_t min, preferred, max;
	} block = { htobe16(INFO_BLOCK_SIZE), htobe32(BLK_SECTOR), htobe32(SIM_PAGE_SIZE),
		    htobe32(MAX_COMMAND) };

	return reply(fd, option, REP_INFO, &export, sizeof(export)) &&
	       reply(fd, option, REP_INFO, &block, sizeof(block)) &&
	       reply(fd, option, REP_ACK, NULL, 0);
}

static bool export_name(struct blk_front *f, int fd, bool zeroes)
{
	struct __attribute__((packed)) {
		uint64_t size;
		uint16_t flags;
		uint8_t zero[124];
	} old = { htobe64(f->nr_sectors * BLK_SECTOR), htobe16(export_flags(f)), { 0 } };

	return put(fd, &old, zeroes ? sizeof(old) : 10);
}

/* Option haggling. True once the client may send commands. */
static bool negotiate(struct blk_front *f, int fd)
{
	struct __attribute__((packed)) {
		uint64_t magic, option;
		uint16_t flags;
	} hello = { htobe64(MAGIC_INIT), htobe64(MAGIC_OPTION),
		    htobe16(FIXED_NEWSTYLE | NO_ZEROES) };
	struct __attribute__((packed)) {
		uint64_t magic;
		uint32_t option, len;
	} opt;
	static uint8_t data[65536];
	uint32_t client, empty_name = 0;

	if (!put(fd, &hello, sizeof(hello)) || !get(fd, &client, sizeof(client)))
		return false;
	while (get(fd, &opt, sizeof(opt)) && be64toh(opt.magic) == MAGIC_OPTION &&
	       be32toh(opt.len) <= sizeof(data) && get(fd, data, be32toh(opt.len))) {
		uint32_t option = be32toh(opt.option);
		bool ok = true;

		switch (option) {
		case OPT_EXPORT_NAME:
			return export_name(f, fd, !(be32toh(client) & NO_ZEROES));
		case OPT_GO:
			return reply_info(f, fd, option);
		case OPT_INFO:
			ok = reply_info(f, fd, option);
			break;
		case OPT_LIST:
			ok = reply(fd, option, REP_SERVER, &empty_name, sizeof(empty_name)) &&
			     reply(fd, option, REP_ACK, NULL, 0);
			break;
		case OPT_ABORT:
			reply(fd, option, REP_ACK, NULL, 0);
			return false;
		default:
			ok = reply(fd, option, REP_UNSUPPORTED, NULL, 0);
		}
		if (!ok)
			break;
	}
	return false;
}

struct command {
	uint32_t type, len;
	uint64_t handle, offset;
};

static bool get_command(int fd, struct command *cmd)
{
	struct __attribute__((packed)) {
		uint32_t magic;
		uint16_t flags, type;
		uint64_t handle, offset;
		uint32_t len;
	} wire;

	if (!get(fd, &wire, sizeof(wire)) || be32toh(wire.magic) != MAGIC_REQUEST)
		return false;
	*cmd = (struct command){ .type = be16toh(wire.type),
				 .len = be32toh(wire.len),
				 .handle = wire.handle,
				 .offset = be64toh(wire.offset) };
	return cmd->type != CMD_DISC;
}

/* NBD's error number; the ring's own checks are left to the backend. */
static uint32_t run_command(struct blk_front *f, const struct command *cmd, uint8_t *buf)
{
	uint64_t sector = cmd->offset / BLK_SECTOR;
	uint32_t nr = cmd->len / BLK_SECTOR;
	int err = -EINVAL;

	if (cmd->offset % BLK_SECTOR || cmd->len % BLK_SECTOR)
		return NBD_EINVAL;
	switch (cmd->type) {
	case CMD_READ:
		err = transfer(f, BLK_READ, sector, nr, buf);
		break;
	case CMD_WRITE:
		err = transfer(f, BLK_WRITE, sector, nr, buf);
		break;
	case CMD_FLUSH:
		err = simple(f, BLK_FLUSH, 0, 0);
		break;
	case CMD_TRIM:
		err = simple(f, BLK_DISCARD, sector, nr);
		break;
	}
	return !err ? 0 : err == -EINVAL ? NBD_EINVAL : NBD_EIO;
}

static void serve(struct blk_front *f, int fd, uint8_t *buf)
{
	struct command cmd;

	while (!stop && get_command(fd, &cmd)) {
		struct __attribute__((packed)) {
			uint32_t magic, error;
			uint64_t handle;
		} head = { htobe32(MAGIC_ANSWER), 0, cmd.handle };
		bool data = cmd.type == CMD_READ || cmd.type == CMD_WRITE;
		uint32_t err;

		if (data && cmd.len > MAX_COMMAND)
			return;
		if (cmd.type == CMD_WRITE && !get(fd, buf, cmd.len))
			return;
		err = run_command(f, &cmd, buf);
		f->stats.errors += err != 0;
		head.error = htobe32(err);
		if (!put(fd, &head, sizeof(head)))
			return;
		if (cmd.type == CMD_READ && !err && !put(fd, buf, cmd.len))
			return;
	}
}

static int listen_on(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		sim_die("%s: cannot be a socket", path);
	strcpy(addr.sun_path, path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4))
		sim_die("%s: %s", path, strerror(errno));
	return fd;
}

int blk_nbd(struct blk_front *f, const char *path)
{
	struct sigaction sa = { .sa_handler = on_signal };
	uint8_t *buf = sim_alloc(MAX_COMMAND);
	int fd = listen_on(path), err = 0;

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	printf("nbd+unix:///?socket=%s\n", path);
	fflush(stdout);
	while (!stop && !err) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
				       { .fd = xs_fileno(f->bus.xs), .events = POLLIN } };
		int client = poll(p, 2, -1) > 0 && p[0].revents ? accept(fd, NULL, NULL) : -1;

		if (client >= 0 && negotiate(f, client))
			serve(f, client, buf);
		if (client >= 0)
			close(client);
		bus_drain(&f->bus);
		if (bus_back_state(&f->bus) != BUS_CONNECTED)
			err = -ECANCELED;
	}
	close(fd);
	unlink(path);
	free(buf);
	return err;
}
