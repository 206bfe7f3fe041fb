/* SPDX-License-Identifier: MIT */
/*
 * A network queue on a real worker. A socket replaces the tap, and a few arrays replace the guest. Time passes only when a test
 * says so.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/fake_xen.h"
#include "netback/checksum.h"
#include "netback/nic.h"
#include "netback/vif_queue.h"
#include "netframes.h"
#include "turn.h"

#define PAGES    800
#define TX_PAGE  600
#define RX_PAGE  601
#define DOMID    3
#define TX_PORT  11
#define RX_PORT  12
#define NO_GRANT 5000
/* Other queues of the same worker, see below: their rings are in the pages behind. */
#define MAX_RIVALS 60
#define RIVAL_PAGE 610
#define RIVAL_PORT 20

/* --- the guest, and time --- */

static _Alignas(4096) uint8_t pages[PAGES][4096];
static bool revoked[PAGES];
static unsigned int notified[16];
static uint64_t clock_offset_ns;

static void rival_reacts(uint32_t index);

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

/* The time; only tests change it. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = (time_t)(1000 + clock_offset_ns / 1000000000u);
	ts->tv_nsec = (long)(clock_offset_ns % 1000000000u);
	return 0;
}

int __real_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);

/* The kernel does not know this clock. So its timer expires at once, and the loop checks which timers are due. */
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was)
{
	struct itimerspec now = { .it_value.tv_nsec = 1 };

	(void)flags, (void)at;
	return __real_timerfd_settime(fd, 0, &now, was);
}

static void pass_ms(uint64_t ms)
{
	clock_offset_ns += ms * 1000000u;
}

static void *page_of(uint32_t domid, uint32_t ref, int prot)
{
	(void)domid;
	return ref < PAGES && (prot || !revoked[ref]) ? pages[ref] : NULL;
}

static void hears(uint32_t domid, uint32_t port)
{
	(void)domid;
	if (port < RIVAL_PORT)
		notified[port]++;
	else
		rival_reacts(port - RIVAL_PORT);
}

/* --- what the queue tells the control thread --- */

static int nr_started, nr_refused, nr_stopped, nr_broke, nr_synced, nr_stall_calls;
static int last_err;
static bool stalled_now;

static void set_started(struct ringset *set, int err, const char *why)
{
	(void)set;
	assert_true(!err || *why);
	nr_started += !err;
	nr_refused += err != 0;
	last_err = err;
}

static void set_stopped(struct ringset *set)
{
	(void)set;
	nr_stopped++;
}

static void set_broke(struct ringset *set, int err, const char *why)
{
	(void)set;
	assert_true(*why);
	nr_broke++;
	last_err = err;
}

static void set_synced(struct ringset *set)
{
	(void)set;
	nr_synced++;
}

void vif_queue_stall_changed(struct vif_queue *queue, bool stalled)
{
	(void)queue;
	nr_stall_calls++;
	stalled_now = stalled;
}

/* --- the rig --- */

static struct worker worker;
static struct vif_queue *q;
static atomic_bool domain_halted;
static struct vif_kept kept;
static struct vif_shared shared;
static struct vif_undo undo;
static struct ringset set;
static struct vif_stats stats;
static int tap; /* the host's end */
static uint32_t tx_prod, tx_seen, rx_prod, rx_seen;

/* Some turns of the worker's loop. Nothing here has to wait, so a few turns are enough. */
static void settle(void)
{
	turn(worker.loop, 12);
	assert_false(q->part.queue.dirty); /* whatever it waits for, it does not poll */
}

static void put32(uint8_t *p, uint32_t v)
{
	__atomic_store_n((uint32_t *)(void *)p, v, __ATOMIC_SEQ_CST);
}

static uint32_t get32(const uint8_t *p)
{
	return __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_SEQ_CST);
}

static void make_ring(uint32_t page)
{
	memset(pages[page], 0, 4096);
	put32(pages[page] + 4, 1);
	put32(pages[page] + 12, 1);
}

/* As vif_shared_init(), with a struct of ours in the place of the file. */
static void begin_shared(void)
{
	assert_int_equal(vif_shared_init(&shared, -1), -EBADF);
	shared.kept = &kept;
}

static void make_set(struct ringset *of, struct vif_queue *queue)
{
	*of = (struct ringset){ .home = worker.loop,
				.started = set_started,
				.stopped = set_stopped,
				.broke = set_broke,
				.synced = set_synced };
	ringset_add(of, &queue->part, &vif_queue_ops);
}

static void make_queue(bool notify, struct offload_accept accept)
{
	static const struct plane *const planes[PLANE_NR] = { [PLANE_NET] = &vif_plane };
	int fds[2];

	memset(revoked, 0, sizeof(revoked));
	memset(notified, 0, sizeof(notified));
	nr_started = nr_refused = nr_stopped = nr_synced = nr_broke = nr_stall_calls = 0;
	fake_xen = (struct fake_xen){ .page = page_of, .notified = hears };
	stalled_now = false;
	tx_prod = tx_seen = rx_prod = rx_seen = 0;
	make_ring(TX_PAGE);
	make_ring(RX_PAGE);
	memset(&kept, 0, sizeof(kept));
	stats = (struct vif_stats){ 0 };
	memset(&undo, 0, sizeof(undo));
	begin_shared();
	assert_int_equal(worker_open(&worker, 0, planes), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	tap = fds[1];
	q = calloc(1, sizeof(*q));
	domain_halted = false;
	q->part.queue.domain_halted = &domain_halted;
	q->part.worker = &worker;
	q->shared = &shared;
	q->undo = &undo;
	q->stats = &stats;
	q->fd = fds[0];
	q->rx_notify = notify;
	q->drain_ns = UINT64_C(10000000000);
	q->stall_ns = UINT64_C(60000000000);
	q->accept = accept;
	q->id = (struct trace_id){ .kind = "vif", .domid = DOMID, .devid = 1 };
	q->front = (struct message_nic_queue){ TX_PAGE, RX_PAGE, TX_PORT, RX_PORT };
	make_set(&set, q);
}

static const struct offload_accept all = {
	.sg = true, .csum_v4 = true, .csum_v6 = true, .gso_v4 = true, .gso_v6 = true
};

static void start(void)
{
	ringset_start(&set);
	settle();
	assert_int_equal(nr_started + nr_refused, 1);
}

static void stop(struct ringset *of)
{
	ringset_stop(of, false);
}

static int setup(void **state)
{
	(void)state;
	make_queue(true, all);
	start();
	assert_int_equal(nr_started, 1);
	return 0;
}

static uint64_t rx_dropped(void)
{
	const struct vif_stats *s = q->stats;

	return s->rx_drop_stalled + s->rx_drop_big + s->rx_drop_mcast + s->rx_drop_header +
	       s->rx_drop_copy;
}

/* After each test nothing is left, and each frame is in one counter. */
static int teardown(void **state)
{
	const struct vif_stats *s = q->stats;
	uint64_t held = q->rx.hold.len ? 1 : 0;

	(void)state;
	assert_int_equal(s->rx_read - s->rx_merged - held + s->rx_segments - s->rx_segmented,
			 s->rx_packets + rx_dropped());
	if (nr_started) {
		stop(&set);
		settle();
		assert_int_equal(nr_stopped, 1);
	}
	assert_int_equal(fake_xen_nr_mapped(), 0);
	assert_int_equal(fake_xen_nr_bound(), 0);
	close(q->fd);
	close(tap);
	worker_close(&worker);
	free(q);
	return 0;
}

/* --- the guest's transmit side --- */

static void tx_push(const void *slot, size_t size)
{
	memcpy(pages[TX_PAGE] + 64 + (tx_prod++ % 256) * 12, slot, size);
}

static void tx_slot(uint16_t id, uint32_t gref, uint16_t offset, uint16_t size, uint16_t flags)
{
	struct netif_tx_request req = {
		.gref = gref, .offset = offset, .flags = flags, .id = id, .size = size
	};

	tx_push(&req, sizeof(req));
}

static void tx_kick(void)
{
	put32(pages[TX_PAGE], tx_prod);
	fake_xen_event(DOMID, TX_PORT);
	settle();
}

static struct netif_tx_response tx_response(void)
{
	struct netif_tx_response rsp;

	assert_true(get32(pages[TX_PAGE] + 8) != tx_seen);
	memcpy(&rsp, pages[TX_PAGE] + 64 + (tx_seen++ % 256) * 12, sizeof(rsp));
	return rsp;
}

static void expect_response(uint16_t id, int status)
{
	struct netif_tx_response rsp = tx_response();

	assert_int_equal(rsp.status, status);
	if (status != NETIF_STATUS_NULL)
		assert_int_equal(rsp.id, id);
}

static void expect_no_response(void)
{
	assert_int_equal(get32(pages[TX_PAGE] + 8), tx_seen);
}

/* Put a frame into pages from 0, one slot per page, and publish it. */
static void send_frame(const uint8_t *frame, uint32_t len, uint16_t flags, uint16_t gso_size,
		       bool v6)
{
	for (uint32_t at = 0, i = 0; at < len; at += 4096, i++) {
		uint32_t part = len - at < 4096 ? len - at : 4096;
		uint16_t more = at + part < len ? NETIF_TX_MORE_DATA : 0;

		memcpy(pages[i], frame + at, part);
		if (i == 0 && gso_size)
			more |= NETIF_TX_EXTRA_INFO;
		tx_slot((uint16_t)i, i, 0, (uint16_t)(i ? part : len),
			(uint16_t)((i ? 0 : flags) | more));
		if (i == 0 && gso_size) {
			struct netif_extra extra = { .type = NETIF_EXTRA_GSO,
						     .gso.size = gso_size,
						     .gso.type = v6 ? 2 : 1 };

			tx_push(&extra, sizeof(extra));
		}
	}
	tx_kick();
}

static uint8_t got[80000];
static uint8_t frame[80000];
static uint8_t work[80000];

/* What the host reads: the header comes apart from the frame. */
static uint32_t host_reads(struct virtio_net_hdr *hdr)
{
	uint8_t buf[80000];
	ssize_t n = read(tap, buf, sizeof(buf));

	if (n < (ssize_t)sizeof(*hdr))
		return 0;
	memcpy(hdr, buf, sizeof(*hdr));
	memcpy(got, buf + sizeof(*hdr), (size_t)n - sizeof(*hdr));
	return (uint32_t)((size_t)n - sizeof(*hdr));
}

/* --- the guest's receive side --- */

/* Post buffers: slot n of the ring has page n, so that the outcome is easy to find. */
static void rx_post(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++, rx_prod++) {
		struct netif_rx_request req = { .id = (uint16_t)(rx_prod % 256 + 300),
						.gref = rx_prod % 256 };

		memcpy(pages[RX_PAGE] + 64 + (rx_prod % 256) * 8, &req, sizeof(req));
	}
	put32(pages[RX_PAGE], rx_prod);
}

static void rx_post_and_kick(uint32_t nr)
{
	uint32_t old = rx_prod, wanted = get32(pages[RX_PAGE] + 4);

	rx_post(nr);
	/* As an honest frontend does: only when the backend asked for it. */
	if (rx_prod - wanted < rx_prod - old)
		fake_xen_event(DOMID, RX_PORT);
	settle();
}

static bool rx_response(struct netif_rx_response *ret)
{
	if (get32(pages[RX_PAGE] + 8) == rx_seen)
		return false;
	memcpy(ret, pages[RX_PAGE] + 64 + (rx_seen++ % 256) * 8, sizeof(*ret));
	return true;
}

struct received {
	uint32_t len;
	uint32_t nr_slots; /* data */
	uint16_t flags;    /* of the first slot */
	bool failed;
	struct netif_extra gso; /* type 0: there was none */
	struct netif_extra hash;
	struct netif_extra xdp;
};

/* Each extra at most once, in slots of their own. */
static void take_extras(struct received *ret)
{
	struct netif_extra extra;

	do {
		struct netif_extra *to;

		assert_true(rx_response((struct netif_rx_response *)(void *)&extra));
		to = extra.type == NETIF_EXTRA_GSO    ? &ret->gso
		     : extra.type == NETIF_EXTRA_HASH ? &ret->hash
						      : &ret->xdp;
		assert_int_equal(to->type, 0);
		*to = extra;
	} while (extra.flags & NETIF_EXTRA_MORE);
}

/* Put the next frame together from its slots. */
static bool guest_receives(struct received *ret)
{
	struct netif_rx_response rsp;
	uint32_t page = rx_seen % 256;

	*ret = (struct received){ 0 };
	if (!rx_response(&rsp))
		return false;
	ret->flags = rsp.flags;
	for (;;) {
		assert_int_equal(rsp.id, page + 300);
		ret->nr_slots++;
		if (rsp.status < 0) {
			ret->failed = true;
		} else {
			assert_in_range(rsp.offset + rsp.status, 0, 4096);
			assert_int_equal(rsp.offset, ret->nr_slots == 1
							     ? (int)atomic_load(&shared.headroom)
							     : 0);
			memcpy(got + ret->len, pages[page] + rsp.offset, (size_t)rsp.status);
			ret->len += (uint16_t)rsp.status;
		}
		if (ret->nr_slots == 1 && (rsp.flags & NETIF_RX_EXTRA_INFO))
			take_extras(ret);
		if (!(rsp.flags & NETIF_RX_MORE_DATA))
			return true;
		page = rx_seen % 256;
		assert_true(rx_response(&rsp));
		assert_int_equal(rsp.flags & ~NETIF_RX_MORE_DATA, 0);
	}
}

static void expect_nothing_received(void)
{
	assert_int_equal(get32(pages[RX_PAGE] + 8), rx_seen);
}

/* The host sends a frame as the kernel would, with `gso_size` above 0 as a large one. */
static void host_writes(const struct spec *s, const struct built *b, bool blank, uint16_t gso_size)
{
	struct virtio_net_hdr hdr = { 0 };

	if (blank) {
		hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr.csum_start = htole16((uint16_t)b->l4);
		hdr.csum_offset = htole16(s->tcp ? 16 : 6);
	}
	if (gso_size) {
		hdr.gso_type = s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = htole16(gso_size);
		hdr.hdr_len = htole16((uint16_t)b->data);
	}
	memcpy(work, &hdr, sizeof(hdr));
	memcpy(work + sizeof(hdr), frame, b->len);
	assert_int_equal(write(tap, work, sizeof(hdr) + b->len), sizeof(hdr) + b->len);
}

static void host_sends(const struct spec *s, const struct built *b, bool blank, uint16_t gso_size)
{
	host_writes(s, b, blank, gso_size);
	settle();
}

/* --- from the guest --- */

static void guest_frame_reaches_the_host(void **state)
{
	struct spec s = { .payload = 100 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;

	(void)state;
	send_frame(frame, b.len, NETIF_TX_CSUM_BLANK | NETIF_TX_DATA_VALIDATED, 0, false);
	assert_int_equal(host_reads(&hdr), b.len);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(le16toh(hdr.csum_start), b.l4);
	checksum_finish(got, b.len, b.l4, 6);
	assert_true(csum_is_right(got, &s, &b));
	expect_response(0, NETIF_STATUS_OKAY);
	expect_no_response();
	assert_int_equal(notified[TX_PORT], 1);
	assert_int_equal(q->stats->tx_packets, 1);
	assert_int_equal(q->stats->tx_bytes, b.len);
}

/* --- another queue of the same worker that copies twice in a pass, as for a disk's indirect requests --- */

static struct queue neighbour;
static int neighbour_rounds;
static uint8_t neighbour_got[16];

static void neighbour_idles(struct queue *queue)
{
	(void)queue;
}

static void neighbour_copies_on(struct queue *queue)
{
	struct grant_copy copy = {
		.domid = q->id.domid, .ref = 0, .len = 16, .local = neighbour_got
	};

	if (neighbour_rounds++ < 2)
		assert_true(grant_batch_add(&queue->worker->copies, &copy) >= 0);
}

static bool neighbour_is_done(struct queue *queue)
{
	(void)queue;
	return false;
}

static void frame_is_sent_once_whatever_a_neighbour_does(void **state)
{
	static const struct queue_ops ops = { .take = neighbour_idles,
					      .act = neighbour_copies_on,
					      .give = neighbour_idles,
					      .answer = neighbour_is_done };
	struct spec s = { .payload = 100 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;

	(void)state;
	neighbour_rounds = 0;
	worker_attach(&worker, &neighbour, &ops);
	queue_mark(&neighbour);
	queue_mark(&q->part.queue);
	send_frame(frame, b.len, NETIF_TX_CSUM_BLANK | NETIF_TX_DATA_VALIDATED, 0, false);
	assert_int_equal(neighbour_rounds, 3);
	assert_int_equal(host_reads(&hdr), b.len);
	assert_int_equal(recv(tap, got, sizeof(got), 0), -1);
	expect_response(0, NETIF_STATUS_OKAY);
	expect_no_response();
	worker_detach(&neighbour);
}

/* The checksum does not depend on where the guest has cut the frame into pieces. */
static void blank_checksum_is_finished_for_a_guest_that_must_not_leave_one(void **state)
{
	static const uint16_t cuts[] = { 1, 13, 35, 41, 100, 333 };

	(void)state;
	q->finish_csum = true;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct spec s = { .tcp = true, .v6 = i % 2, .payload = 777, .seed = (uint32_t)i };
		struct built b = build_blank(frame, &s);
		struct virtio_net_hdr hdr;

		memcpy(pages[0], frame, b.len);
		tx_slot(1, 0, 0, (uint16_t)b.len, NETIF_TX_MORE_DATA | NETIF_TX_CSUM_BLANK);
		tx_slot(2, 0, cuts[i], 7, NETIF_TX_MORE_DATA);
		tx_slot(3, 0, (uint16_t)(cuts[i] + 7), (uint16_t)(b.len - cuts[i] - 7), 0);
		tx_kick();
		assert_int_equal(host_reads(&hdr), b.len);
		assert_int_equal(hdr.flags, 0);
		assert_true(csum_is_right(got, &s, &b));
		for (uint16_t id = 1; id < 4; id++)
			expect_response(id, NETIF_STATUS_OKAY);
	}
	assert_int_equal(q->stats->tx_csum_finished, sizeof(cuts) / sizeof(cuts[0]));
}

static void large_guest_frame_reaches_the_host_whole(void **state)
{
	struct spec s = { .tcp = true, .v6 = true, .payload = 65000 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;

	(void)state;
	send_frame(frame, b.len, NETIF_TX_CSUM_BLANK | NETIF_TX_DATA_VALIDATED, 1440, true);
	assert_int_equal(host_reads(&hdr), b.len);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
	assert_memory_equal(got + b.data, frame + b.data, b.len - b.data);
	expect_response(0, NETIF_STATUS_OKAY);
	expect_response(0, NETIF_STATUS_NULL); /* the extra's slot, right behind the first */
	for (uint16_t i = 1; i < 16; i++)
		expect_response(i, NETIF_STATUS_OKAY);
	expect_no_response();
}

static void headers_in_slots_of_one_byte_are_gathered(void **state)
{
	struct spec s = { .tcp = true, .payload = 300 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;

	(void)state;
	memcpy(pages[0], frame, b.len);
	tx_slot(1, 0, 0, (uint16_t)b.len, NETIF_TX_MORE_DATA | NETIF_TX_CSUM_BLANK);
	for (uint16_t i = 1; i < 17; i++)
		tx_slot((uint16_t)(i + 1), 0, i, 1, NETIF_TX_MORE_DATA);
	tx_slot(18, 0, 17, (uint16_t)(b.len - 17), 0);
	tx_kick();
	assert_int_equal(host_reads(&hdr), b.len);
	assert_int_equal(le16toh(hdr.csum_start), b.l4);
	checksum_finish(got, b.len, b.l4, 16);
	assert_true(csum_is_right(got, &s, &b));
	assert_memory_equal(got, frame, b.l4);
	for (uint16_t i = 1; i < 19; i++)
		expect_response(i, NETIF_STATUS_OKAY);
}

static void row_14_empty_slot_is_fine_whatever_its_grant(void **state)
{
	struct spec s = { .payload = 100 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;

	(void)state;
	memcpy(pages[0], frame, b.len);
	tx_slot(1, 0, 0, (uint16_t)b.len, NETIF_TX_MORE_DATA);
	tx_slot(2, NO_GRANT, 0, 0, 0);
	tx_kick();
	assert_int_equal(host_reads(&hdr), b.len);
	expect_response(1, NETIF_STATUS_OKAY);
	expect_response(2, NETIF_STATUS_OKAY);
}

static void row_19_one_failed_copy_spoils_the_packet_and_only_that(void **state)
{
	struct spec s = { .payload = 6000 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;

	(void)state;
	tx_slot(1, 0, 0, (uint16_t)b.len, NETIF_TX_MORE_DATA);
	tx_slot(2, NO_GRANT, 0, 3000, 0);
	s.payload = 50;
	b = build_blank(frame, &s);
	memcpy(pages[5], frame, b.len);
	tx_slot(3, 5, 0, (uint16_t)b.len, 0);
	tx_kick();
	expect_response(1, NETIF_STATUS_OKAY);
	expect_response(2, NETIF_STATUS_ERROR);
	expect_response(3, NETIF_STATUS_OKAY);
	assert_int_equal(host_reads(&hdr), b.len);
	assert_int_equal(host_reads(&hdr), 0);
	assert_int_equal(q->stats->tx_drop_copy, 1);
}

static void bad_packets_are_answered_and_the_ring_goes_on(void **state)
{
	struct spec s = { .payload = 50 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;
	struct netif_extra mcast = { .type = NETIF_EXTRA_MCAST_ADD }; /* of no group's address */

	(void)state;
	tx_slot(1, 0, 0, 13, 0);                   /* too short */
	tx_slot(2, 0, 0, 100, NETIF_TX_MORE_DATA); /* too long */
	tx_slot(3, 0, 0, 101, 0);
	tx_slot(4, 0, 0, 60, NETIF_TX_EXTRA_INFO);
	tx_push(&mcast, sizeof(mcast));
	tx_slot(5, 0, 0, 60, NETIF_TX_CSUM_BLANK); /* zeros have no checksum */
	memset(pages[0], 0, 4096);
	memcpy(pages[5], frame, b.len);
	tx_slot(6, 5, 0, (uint16_t)b.len, 0);
	tx_kick();
	for (uint16_t i = 1; i < 5; i++)
		expect_response(i, NETIF_STATUS_ERROR);
	expect_response(0, NETIF_STATUS_NULL);
	expect_response(5, NETIF_STATUS_ERROR);
	expect_response(6, NETIF_STATUS_OKAY);
	assert_int_equal(host_reads(&hdr), b.len);
	assert_int_equal(q->stats->tx_drop_short, 1);
	assert_int_equal(q->stats->tx_drop_long, 1);
	assert_int_equal(q->stats->tx_mcast_refused, 1);
	assert_int_equal(q->stats->tx_drop_csum, 1);
}

/* A dummy packet; its slot must be answered with `status`, the extra's with NULL. */
static void ask_for_group(enum netif_extra_type type, uint8_t last, int status)
{
	struct netif_extra extra = { .type = (uint8_t)type };

	memcpy(extra.mcast_addr, "\x01\x00\x5e\x00\x00", 5);
	extra.mcast_addr[5] = last;
	tx_slot(9, NO_GRANT, 4095, 60000, NETIF_TX_EXTRA_INFO); /* none of that is checked */
	tx_push(&extra, sizeof(extra));
	tx_kick();
	expect_response(9, status);
	expect_response(0, NETIF_STATUS_NULL);
}

static void row_7_list_of_groups_is_filled_and_emptied(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < MCAST_MAX; i++)
		ask_for_group(NETIF_EXTRA_MCAST_ADD, (uint8_t)i, NETIF_STATUS_OKAY);
	ask_for_group(NETIF_EXTRA_MCAST_ADD, MCAST_MAX, NETIF_STATUS_ERROR);
	ask_for_group(NETIF_EXTRA_MCAST_ADD, 0, NETIF_STATUS_OKAY);
	ask_for_group(NETIF_EXTRA_MCAST_DEL, 5, NETIF_STATUS_OKAY);
	ask_for_group(NETIF_EXTRA_MCAST_ADD, MCAST_MAX, NETIF_STATUS_OKAY);
	assert_int_equal(q->stats->tx_mcast, MCAST_MAX + 3);
	assert_int_equal(q->stats->tx_mcast_refused, 1);
}

static void host_sends_to(const char *address)
{
	struct spec s = { .payload = 100 };
	struct built b = build_blank(frame, &s);

	memcpy(frame, address, 6);
	host_sends(&s, &b, false, 0);
}

static void only_groups_of_the_list_reach_a_guest_that_asked_for_it(void **state)
{
	struct received r;

	(void)state;
	rx_post(10);
	ask_for_group(NETIF_EXTRA_MCAST_ADD, 7, NETIF_STATUS_OKAY);
	host_sends_to("\x01\x00\x5e\x00\x00\x08");
	assert_true(guest_receives(&r)); /* not asked for yet */
	atomic_store(&shared.filters_groups, true);
	host_sends_to("\x01\x00\x5e\x00\x00\x08");
	expect_nothing_received();
	assert_int_equal(q->stats->rx_drop_mcast, 1);
	host_sends_to("\x01\x00\x5e\x00\x00\x07");
	assert_true(guest_receives(&r));
	host_sends_to("\xff\xff\xff\xff\xff\xff");
	assert_true(guest_receives(&r));
	host_sends_to("\x00\x16\x3e\x00\x00\x07");
	assert_true(guest_receives(&r));
	ask_for_group(NETIF_EXTRA_MCAST_DEL, 7, NETIF_STATUS_OKAY);
	host_sends_to("\x01\x00\x5e\x00\x00\x07");
	expect_nothing_received();
}

static void row_16_gso_on_udp_is_answered_with_an_error(void **state)
{
	struct spec s = { .payload = 3000 };
	struct built b = build_blank(frame, &s);

	(void)state;
	send_frame(frame, b.len, 0, 1448, false);
	expect_response(0, NETIF_STATUS_ERROR);
	expect_response(0, NETIF_STATUS_NULL);
	assert_int_equal(q->stats->tx_drop_gso, 1);
}

static void row_1_impossible_index_stops_the_queue_for_good(void **state)
{
	struct spec s = { .payload = 50 };
	struct built b = build_blank(frame, &s);

	(void)state;
	memcpy(pages[0], frame, b.len);
	tx_slot(1, 0, 0, (uint16_t)b.len, 0);
	tx_prod += 256;
	tx_kick();
	assert_int_equal(nr_broke, 1);
	assert_int_equal(last_err, -EPROTO);
	expect_no_response();
	tx_prod = 1; /* the guest corrects it too late */
	tx_kick();
	rx_post(10);
	host_sends(&s, &b, false, 0);
	fake_xen_event(DOMID, RX_PORT);
	settle();
	expect_no_response();
	expect_nothing_received();
	assert_int_equal(nr_broke, 1);
}

static void row_1_impossible_receive_index_stops_it_too(void **state)
{
	(void)state;
	put32(pages[RX_PAGE], 257);
	fake_xen_event(DOMID, RX_PORT);
	settle();
	assert_int_equal(nr_broke, 1);
}

static void fatal_packet_leaves_the_ring_untouched(void **state)
{
	(void)state;
	tx_slot(1, 0, 4000, 97, 0);
	tx_kick();
	assert_int_equal(nr_broke, 1);
	expect_no_response();
}

static void full_ring_is_served_in_batches(void **state)
{
	struct spec s = { .payload = 20 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;
	unsigned int seen = 0;

	(void)state;
	memcpy(pages[0], frame, b.len);
	for (uint16_t i = 0; i < 256; i++)
		tx_slot(i, 0, 0, (uint16_t)b.len, 0);
	tx_kick();
	for (uint16_t i = 0; i < 256; i++)
		expect_response(i, NETIF_STATUS_OKAY);
	while (host_reads(&hdr))
		seen++;
	/* A socket holds fewer than a tap; what it refused was dropped and counted. */
	assert_int_equal(seen + q->stats->tx_drop_tap_busy, 256);
	assert_true(fake_xen.nr_copy_calls <= 256 / VIF_BATCH);
}

static void busy_host_drops_and_says_so(void **state)
{
	struct spec s = { .tcp = true, .payload = 60000 };
	struct built b = build_blank(frame, &s);
	unsigned int dropped = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		send_frame(frame, b.len, NETIF_TX_CSUM_BLANK, 1448, false);
		dropped += tx_response().status == NETIF_STATUS_DROPPED;
		while (get32(pages[TX_PAGE] + 8) != tx_seen)
			tx_response();
	}
	assert_true(dropped > 0);
	assert_int_equal(q->stats->tx_drop_tap_busy, dropped);
	assert_int_equal(q->stats->tx_packets, 10 - dropped);
}

static void notification_is_left_out_when_not_asked_for(void **state)
{
	struct spec s = { .payload = 50 };
	struct built b = build_blank(frame, &s);

	(void)state;
	put32(pages[TX_PAGE] + 12, 2); /* rsp_event */
	send_frame(frame, b.len, 0, 0, false);
	assert_int_equal(notified[TX_PORT], 0);
	assert_int_equal(q->stats->notify_suppressed, 1);
	send_frame(frame, b.len, 0, 0, false);
	assert_int_equal(notified[TX_PORT], 1);
}

static void event_is_asked_for_once_the_ring_is_empty(void **state)
{
	struct spec s = { .payload = 50 };
	struct built b = build_blank(frame, &s);

	(void)state;
	send_frame(frame, b.len, 0, 0, false);
	assert_int_equal(get32(pages[TX_PAGE] + 4), tx_prod + 1);
}

static void rate_limit_holds_packets_back_and_lets_them_go(void **state)
{
	struct spec s = { .payload = 4000 };
	struct built b = build_blank(frame, &s);
	unsigned int sent;

	(void)state;
	memcpy(pages[0], frame, b.len);
	rate_set(&shared.limits.tx.bytes, 50000,
		 50000); /* a byte per microsecond; bursts of 128 KiB */
	for (uint16_t i = 0; i < 60; i++)
		tx_slot(i, 0, 0, (uint16_t)b.len, 0);
	tx_kick();
	sent = get32(pages[TX_PAGE] + 8);
	assert_int_equal(sent, RATE_MIN_BURST_BYTES / b.len);
	pass_ms(1); /* 1000 bytes: not enough for one */
	settle();
	assert_int_equal(get32(pages[TX_PAGE] + 8), sent);
	pass_ms(20); /* five or so */
	settle();
	assert_in_range(get32(pages[TX_PAGE] + 8), sent + 4, sent + 6);
	pass_ms(1000);
	settle();
	assert_int_equal(get32(pages[TX_PAGE] + 8), 60);
}

static void a_higher_limit_is_seen_soon(void **state)
{
	struct spec s = { .payload = 4000 };
	struct built b = build_blank(frame, &s);

	(void)state;
	memcpy(pages[0], frame, b.len);
	rate_set(&shared.limits.tx.bytes, 1, 1000000); /* the second burst is a day away */
	for (uint16_t i = 0; i < 60; i++)
		tx_slot(i, 0, 0, (uint16_t)b.len, 0);
	tx_kick();
	assert_in_range(get32(pages[TX_PAGE] + 8), 1, 59);
	rate_set(&shared.limits.tx.bytes, 0, 0);
	pass_ms(101);
	settle();
	assert_int_equal(get32(pages[TX_PAGE] + 8), 60);
}

/* A ring of large frames of `nr_segments` segments, one slot and an extra each. */
static void send_large_frames(uint32_t nr, uint32_t nr_segments)
{
	struct spec s = { .tcp = true, .nr_tcp_options = 3, .payload = nr_segments * 50 };
	struct built b = build_blank(frame, &s);
	struct netif_extra extra = { .type = NETIF_EXTRA_GSO, .gso.size = 50, .gso.type = 1 };

	for (uint32_t at = 0; at < b.len; at += 4096)
		memcpy(pages[at / 4096], frame + at, 4096);
	for (uint32_t i = 0; i < nr; i++) {
		tx_slot((uint16_t)i, 0, 0, (uint16_t)b.len,
			NETIF_TX_EXTRA_INFO | (b.len > 4096 ? NETIF_TX_MORE_DATA : 0));
		tx_push(&extra, sizeof(extra));
		if (b.len > 4096)
			tx_slot((uint16_t)i, 1, 0, (uint16_t)(b.len - 4096), 0);
	}
	put32(pages[TX_PAGE], tx_prod);
}

static uint32_t host_counts(void)
{
	struct virtio_net_hdr hdr;
	uint32_t nr = 0;

	while (host_reads(&hdr))
		nr++;
	return nr;
}

static void one_pass(void)
{
	turn(worker.loop, 1);
}

static void pass_ends_when_the_kernel_has_enough_to_cut(void **state)
{
	uint32_t most = 0, sum = 0;

	(void)state;
	send_large_frames(60, 130);
	fake_xen_event(DOMID, TX_PORT);
	for (uint32_t nr; sum < 60; sum += nr) {
		one_pass();
		nr = host_counts();
		most = nr > most ? nr : most;
	}
	assert_int_equal(most, 4); /* 512 segments are full with the fourth */
	settle();
}

static void packet_limit_counts_segments(void **state)
{
	(void)state;
	rate_set(&shared.limits.tx.packets, 100, 100000); /* one in a millisecond */
	send_large_frames(10, 60);
	fake_xen_event(DOMID, TX_PORT);
	settle();
	assert_int_equal(host_counts(), 2);
	pass_ms(20); /* what the second took beyond the burst */
	settle();
	assert_int_equal(host_counts(), 0);
	pass_ms(2);
	settle();
	assert_int_equal(host_counts(), 1);
	pass_ms(60);
	settle();
	assert_int_equal(host_counts(), 1);
}

static void byte_limit_counts_the_headers_of_each_segment(void **state)
{
	(void)state;
	rate_set(&shared.limits.tx.bytes, 1, 1000000);
	send_large_frames(60, 60);
	fake_xen_event(DOMID, TX_PORT);
	settle();
	assert_int_equal(host_counts(), RATE_MIN_BURST_BYTES / (60 * (50 + 66)));
}

/* --- to the guest --- */

static void large_frames_for_the_guest_count_by_their_segments(void **state)
{
	struct spec s = { .tcp = true, .nr_tcp_options = 3, .payload = 60 * 50 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post(200);
	rate_set(&shared.limits.rx.packets, 100, 100000);
	for (int i = 0; i < 5; i++)
		host_sends(&s, &b, true, 50);
	assert_true(guest_receives(&r));
	assert_true(guest_receives(&r));
	expect_nothing_received();
	pass_ms(22);
	settle();
	assert_true(guest_receives(&r));
	expect_nothing_received();
}

static void packet_limit_leaves_frames_in_the_tap(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post(40);
	rate_set(&shared.limits.rx.packets, 10, 10000); /* one in a millisecond */
	for (int i = 0; i < 30; i++)
		host_sends(&s, &b, true, 0);
	for (int i = 0; i < 10; i++)
		assert_true(guest_receives(&r));
	expect_nothing_received();
	pass_ms(5);
	settle();
	for (int i = 0; i < 5; i++)
		assert_true(guest_receives(&r));
	expect_nothing_received();
	rate_set(&shared.limits.rx.packets, 0, 0);
	pass_ms(101);
	settle();
	for (int i = 0; i < 15; i++)
		assert_true(guest_receives(&r));
	expect_nothing_received();
}

static void host_frame_reaches_the_guest(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post(4);
	host_sends(&s, &b, true, 0);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
	assert_int_equal(r.flags, NETIF_RX_DATA_VALIDATED | NETIF_RX_CSUM_BLANK);
	assert_memory_equal(got, frame, b.len);
	assert_int_equal(notified[RX_PORT], 1);
	expect_nothing_received();
}

static void large_host_frame_takes_an_extra_and_seventeen_slots(void **state)
{
	struct spec s = { .tcp = true, .payload = 65535 - 40 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post(18);
	host_sends(&s, &b, true, 1448);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, 65549);
	assert_int_equal(r.nr_slots, 17);
	assert_int_equal(r.gso.type, NETIF_EXTRA_GSO);
	assert_int_equal(r.gso.gso.type, NETIF_GSO_TCPV4);
	assert_int_equal(r.gso.gso.size, 1448);
	assert_memory_equal(got, frame, b.len);
	assert_int_equal(get32(pages[RX_PAGE] + 8), 18);
}

static void turn_hashing_on(void)
{
	vif_shared_lock_hash(&shared);
	kept.hash.algorithm = HASH_TOEPLITZ;
	kept.hash.types = HASH_ALL_TYPES;
	memset(kept.hash.key, 0x5a, sizeof(kept.hash.key));
	vif_shared_unlock_hash(&shared, true);
}

static uint32_t hash_of(const struct received *r)
{
	const uint8_t *v = r->hash.hash.value;

	return v[0] | (uint32_t)v[1] << 8 | (uint32_t)v[2] << 16 | (uint32_t)v[3] << 24;
}

static void hash_comes_behind_gso_and_takes_a_slot(void **state)
{
	struct spec s = { .tcp = true, .payload = 20000 };
	struct built b = build_offloaded(frame, &s);
	struct hash_value expected;
	struct received r;

	(void)state;
	turn_hashing_on();
	hash_frame(&kept.hash, frame, b.len, true, &expected);
	rx_post_and_kick(6); /* five pages, GSO and hash are seven */
	host_sends(&s, &b, true, 1448);
	expect_nothing_received();
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	assert_int_equal(r.gso.type, NETIF_EXTRA_GSO);
	assert_int_equal(r.hash.hash.type, HASH_IPV4_TCP);
	assert_int_equal(r.hash.hash.algorithm, HASH_TOEPLITZ);
	assert_int_equal(hash_of(&r), expected.value);
	assert_memory_equal(got, frame, b.len);
}

static void every_segment_has_the_hash_of_the_whole(void **state)
{
	struct spec s = { .tcp = true, .nr_tags = 1, .payload = 3000 };
	struct built b = build_offloaded(frame, &s);
	struct hash_value expected;
	struct received r;

	(void)state;
	turn_hashing_on();
	hash_frame(&kept.hash, frame, b.len, true, &expected);
	rx_post_and_kick(6);
	host_sends(&s, &b, true, 1000);
	for (int i = 0; i < 3; i++) {
		assert_true(guest_receives(&r));
		assert_int_equal(hash_of(&r), expected.value);
	}
	expect_nothing_received();
}

static void what_has_no_hash_gets_none(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	turn_hashing_on();
	put16(frame + 12, 0x88b5);
	rx_post(4);
	host_sends(&s, &b, false, 0);
	assert_true(guest_receives(&r));
	assert_int_equal(r.flags, 0);
}

static void headroom_is_left_in_the_first_slot_only(void **state)
{
	struct spec s = { .tcp = true, .payload = 20000 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	atomic_store(&shared.headroom, 256);
	turn_hashing_on();
	memset(pages[0], 0x77, 4096);
	rx_post_and_kick(7); /* five pages and three extras are eight */
	host_sends(&s, &b, true, 1448);
	expect_nothing_received();
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
	assert_memory_equal(got, frame, b.len);
	assert_int_equal(r.gso.type, NETIF_EXTRA_GSO);
	assert_int_equal(r.hash.type, NETIF_EXTRA_HASH);
	assert_int_equal(r.xdp.type, NETIF_EXTRA_XDP);
	assert_int_equal(r.xdp.xdp.headroom, 256);
	for (int i = 0; i < 256; i++)
		assert_int_equal(pages[0][i], 0x77);
}

#define OLD 0xa5 /* what was there before */

/* Fill the stack, and all buffers that a worker keeps from pass to pass, with this byte. */
static void __attribute__((noinline)) fill_with_old_bytes(void)
{
	volatile uint8_t stack[65536];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = OLD;
	memset(q->pool->pages, OLD, (size_t)1024 * 4096);
	memset(q->rx.slots, OLD, sizeof(q->rx.slots));
	memset(q->tx.packets, OLD, sizeof(q->tx.packets));
	memset(pages, 0x77, (size_t)256 * 4096);
}

static uint32_t count_old(uint32_t page)
{
	uint32_t nr = 0;

	for (uint32_t i = 64; i < 4096; i++)
		nr += pages[page][i] == OLD;
	return nr;
}

/* Extras of all kinds, responses, headers that the daemon makes; nothing after the end of a frame. */
static void guest_sees_no_byte_that_nobody_wrote(void **state)
{
	struct spec specs[] = { { .tcp = true, .payload = 20000 },
				{ .payload = 0 },
				{ .tcp = true, .payload = 3000, .nr_tags = 1 } };
	static const uint8_t xdp[8] = { NETIF_EXTRA_XDP, 0, 0, 1 };
	struct received r;

	(void)state;
	atomic_store(&shared.headroom, 256);
	turn_hashing_on();
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct built b = build_offloaded(frame, &specs[i]);
		uint32_t page = rx_seen % 256, end;

		for (uint32_t n = b.data; n < b.len; n++)
			frame[n] = 0x11;
		fill_with_old_bytes();
		rx_post_and_kick(20);
		host_sends(&specs[i], &b, true, specs[i].tcp ? 1448 : 0);
		while (guest_receives(&r)) {
			assert_memory_equal(&r.xdp, xdp, sizeof(xdp));
			assert_int_equal(r.gso.gso.pad, 0);
			assert_int_equal(r.gso.gso.features, 0);
			end = 256 + (r.len < 3840 ? r.len : 3840);
			for (uint32_t n = 0; n < 4096; n += n == 255 ? end - 255 : 1)
				assert_int_equal(pages[page][n], 0x77);
			page = rx_seen % 256;
		}
		send_frame(frame, 60, 0, 0, false);
		assert_int_equal(count_old(RX_PAGE), 0);
		assert_int_equal(count_old(TX_PAGE), 0);
	}
}

static void largest_frame_with_the_largest_headroom_fits(void **state)
{
	struct spec s = { .tcp = true, .payload = 65535 - 40, .nr_tags = 0 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	atomic_store(&shared.headroom, NETIF_MAX_HEADROOM);
	rx_post_and_kick(60);
	for (int i = 0; i < 3; i++) {
		host_sends(&s, &b, true, 1448);
		assert_true(guest_receives(&r));
		assert_int_equal(r.len, b.len);
		assert_int_equal(r.nr_slots, 17);
		assert_memory_equal(got, frame, b.len);
	}
}

static void held_frame_takes_the_headroom_of_its_delivery(void **state)
{
	struct spec s = { .tcp = true, .payload = 20000 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post_and_kick(5);
	host_sends(&s, &b, true, 1448);
	expect_nothing_received();
	atomic_store(&shared.headroom, 512);
	ringset_sync(&set);
	settle();
	assert_int_equal(nr_synced, 1);
	rx_post_and_kick(1); /* would have done without; now it is six pages and two extras */
	expect_nothing_received();
	rx_post_and_kick(2);
	assert_true(guest_receives(&r));
	assert_int_equal(r.xdp.xdp.headroom, 512);
	assert_memory_equal(got, frame, b.len);
}

/* 17 pages: neither side's page boundary may cut a copy in two. */
static void frame_of_several_slots_is_lost_once(void **state)
{
	struct spec s = { .payload = 9000 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	revoked[1] = revoked[2] = true;
	rx_post(8);
	host_sends(&s, &b, false, 0);
	host_sends(&s, &b, false, 0);
	assert_true(guest_receives(&r));
	assert_true(r.failed);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
	assert_int_equal(q->stats->rx_read, 2);
	assert_int_equal(q->stats->rx_packets, 1);
	assert_int_equal(q->stats->rx_bytes, b.len);
	assert_int_equal(q->stats->rx_drop_copy, 1);
}

static void half_cut_frame_that_is_given_up_is_counted_by_its_rest(void **state)
{
	struct spec s = { .tcp = true, .nr_tags = 1, .payload = 14480 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post_and_kick(3);
	host_sends(&s, &b, true, 1448);
	for (int i = 0; i < 3; i++)
		assert_true(guest_receives(&r));
	pass_ms(11000);
	settle();
	assert_int_equal(q->stats->rx_packets, 3);
	assert_int_equal(q->stats->rx_segments, 10);
	assert_int_equal(q->stats->rx_drop_stalled, 7);
}

static void stall_may_come_before_the_drain_or_never(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);

	(void)state;
	q->stall_ns = 1000000000;
	host_sends(&s, &b, false, 0);
	pass_ms(1011); /* long timers may be 10 ms late */
	settle();
	assert_true(stalled_now);
	assert_int_equal(q->stats->rx_drop_stalled, 0);
	rx_post_and_kick(1);
	assert_false(stalled_now);
	q->stall_ns = 0;
	host_sends(&s, &b, false, 0);
	for (int i = 0; i < 100; i++) {
		pass_ms(1000);
		settle();
	}
	assert_int_equal(nr_stall_calls, 2);
}

static void large_frame_costs_17_operations_each_way(void **state)
{
	struct spec s = { .tcp = true, .payload = 65535 - 40 - 14 };
	struct built b = build_offloaded(frame, &s);
	struct virtio_net_hdr hdr;
	struct received r;

	(void)state;
	rx_post_and_kick(18);
	host_sends(&s, &b, true, 1448);
	assert_true(guest_receives(&r));
	assert_int_equal(fake_xen.nr_copy_ops, (b.len + 4095) / 4096);
	fake_xen.nr_copy_ops = 0;
	send_frame(frame, b.len, NETIF_TX_CSUM_BLANK, 1448, false);
	assert_int_equal(host_reads(&hdr), b.len);
	assert_int_equal(fake_xen.nr_copy_ops, (b.len + 4095) / 4096);
	fake_xen.nr_copy_ops = 0;
	atomic_store(&shared.headroom, 256);
	rx_post_and_kick(19);
	host_sends(&s, &b, true, 1448);
	assert_true(guest_receives(&r));
	assert_int_equal(fake_xen.nr_copy_ops, (b.len + 256 + 4095) / 4096);
}

static void frames_wait_for_the_first_slot(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	host_sends(&s, &b, false, 0);
	host_sends(&s, &b, false, 0);
	expect_nothing_received();
	assert_int_equal(q->stats->rx_starved, 1);
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
	expect_nothing_received();
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
}

/* --- where the time goes --- */

static uint64_t fake_ns;

static uint64_t fake_clock(void)
{
	return fake_ns;
}

static void use_a_fake_clock(void)
{
	fake_ns = 1000;
	worker.clock = (struct pass_clock){ .now_ns = fake_clock };
}

static bool times_are(const struct stat_times *times, uint64_t nr, uint64_t sum)
{
	return stat_times_count(times) == nr && times->sum == sum;
}

static void a_wait_for_slots_counts_when_there_were_frames(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	use_a_fake_clock();
	host_sends(&s, &b, false, 0);
	expect_nothing_received();
	fake_ns += 250000000;
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	assert_true(times_are(&q->stats->time_rx_slots, 1, 250000000));
	assert_true(times_are(&q->stats->time_rx, 1, 0));
	fake_ns += 60000000; /* again no slots, but no frame that needs one */
	rx_post_and_kick(2);
	host_sends(&s, &b, false, 0);
	assert_true(guest_receives(&r));
	assert_true(times_are(&q->stats->time_rx_slots, 1, 250000000));
}

static void a_frame_that_is_held_takes_until_the_guest_has_it(void **state)
{
	struct spec s = { .tcp = true, .payload = 20000 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	use_a_fake_clock();
	rx_post_and_kick(5); /* five pages and the extra are six */
	host_sends(&s, &b, true, 1448);
	expect_nothing_received();
	fake_ns += 3000000;
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	assert_true(times_are(&q->stats->time_rx, 1, 3000000));
	assert_true(times_are(&q->stats->time_rx_slots, 1, 3000000));
}

static void waits_for_the_rate_limit_are_told(void **state)
{
	struct spec s = { .payload = 100 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;
	struct received r;

	(void)state;
	use_a_fake_clock();
	rate_set(&shared.limits.tx.packets, 1, 3600u * 1000000u);
	rate_set(&shared.limits.rx.packets, 1, 3600u * 1000000u);
	shared.limits.tx.packets.min_burst = shared.limits.rx.packets.min_burst = 1;
	rx_post_and_kick(10);
	for (int i = 0; i < 2; i++) {
		send_frame(frame, b.len, NETIF_TX_CSUM_BLANK, 0, false);
		host_sends(&s, &b, false, 0);
	}
	assert_int_equal(q->stats->tx_packets, 1);
	assert_int_equal(q->stats->rx_packets, 1);
	fake_ns += 70000000;
	rate_set(&shared.limits.tx.packets, 0, 0);
	rate_set(&shared.limits.rx.packets, 0, 0);
	pass_ms(101); /* it looks again */
	settle();
	assert_int_equal(q->stats->tx_packets, 2);
	assert_int_equal(q->stats->rx_packets, 2);
	assert_true(times_are(&q->stats->time_tx_limit, 1, 70000000));
	assert_true(times_are(&q->stats->time_rx_limit, 1, 70000000));
	assert_true(times_are(&q->stats->time_tx, 2, 0));
	while (host_reads(&hdr) || guest_receives(&r))
		;
}

static void row_24_one_slot_too_few_is_too_few(void **state)
{
	struct spec s = { .tcp = true, .payload = 20000 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post_and_kick(5); /* five pages and the extra are six */
	host_sends(&s, &b, true, 1448);
	expect_nothing_received();
	assert_int_equal(q->stats->rx_held, 1);
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
	assert_memory_equal(got, frame, b.len);
	assert_int_equal(q->stats->rx_packets, 1);
}

static void order_is_kept_behind_a_held_frame(void **state)
{
	struct spec large = { .tcp = true, .payload = 20000 }, small = { .payload = 10 };
	struct built b = build_offloaded(frame, &large);
	struct received r;

	(void)state;
	rx_post_and_kick(5);
	host_sends(&large, &b, true, 1448);
	b = build_blank(frame, &small);
	host_sends(&small, &b, false, 0); /* this one fits, but it is not its turn */
	expect_nothing_received();
	rx_post_and_kick(3);
	assert_true(guest_receives(&r));
	assert_int_equal(r.gso.type, NETIF_EXTRA_GSO);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
}

static void check_segments(const struct spec *large, const struct built *lb, uint32_t mss,
			   uint32_t nr, uint32_t posted)
{
	struct received r;

	for (uint32_t k = 0; k < nr; k++) {
		struct spec s = *large;
		struct built b = *lb;
		uint32_t at = lb->data + k * mss;

		while (!guest_receives(&r)) {
			assert_true(posted < nr);
			rx_post_and_kick(nr - posted < 64 ? nr - posted : 64);
			posted += 64;
		}
		s.payload = lb->len - at < mss ? lb->len - at : mss;
		b.len = lb->data + s.payload;
		assert_int_equal(r.len, b.len);
		assert_int_equal(r.flags, NETIF_RX_DATA_VALIDATED);
		assert_int_equal(r.gso.type, 0);
		assert_true(csum_is_right(got, &s, &b));
		assert_memory_equal(got + b.data, frame + at, s.payload);
	}
	expect_nothing_received();
	assert_int_equal(q->stats->rx_segmented, 1);
}

static void tagged_large_frame_is_cut_for_the_guest(void **state)
{
	struct spec s = { .tcp = true, .nr_tags = 1, .payload = 14480 };
	struct built b = build_offloaded(frame, &s);

	(void)state;
	rx_post_and_kick(64);
	host_sends(&s, &b, true, 1448);
	check_segments(&s, &b, 1448, 10, 64);
}

static void frame_of_more_segments_than_slots_is_cut_bit_by_bit(void **state)
{
	struct spec s = { .tcp = true, .v6 = true, .nr_tags = 1, .payload = 60000 };
	struct built b = build_offloaded(frame, &s);

	(void)state;
	rx_post_and_kick(100);
	host_sends(&s, &b, true, 88);
	check_segments(&s, &b, 88, 682, 100);
}

static void tagged_blank_checksum_is_finished(void **state)
{
	struct spec s = { .tcp = true, .nr_tags = 1, .payload = 1000 };
	struct built b = build_offloaded(frame, &s);
	struct received r;

	(void)state;
	rx_post(4);
	host_sends(&s, &b, true, 0);
	assert_true(guest_receives(&r));
	assert_int_equal(r.flags, NETIF_RX_DATA_VALIDATED);
	assert_true(csum_is_right(got, &s, &b));
	assert_int_equal(q->stats->rx_csum_finished, 1);
}

/* --- large frames of one flow that follow each other in the tap --- */

#define STREAM_SEQ 1000u

/* A piece of a TCP stream that begins `from` bytes into it. Each byte shows its position. */
static struct built stream_piece(const struct spec *s, uint32_t from)
{
	struct built b = build_blank(frame, s);

	put32(frame + b.l4 + 4, htobe32(STREAM_SEQ + from));
	frame[b.l4 + 13] = 0x10;
	for (uint32_t i = 0; i < s->payload; i++)
		frame[b.data + i] = (uint8_t)((from + i) * 2654435761u >> 24);
	put16(frame + csum_at(s, &b), plain_pseudo(frame, s, &b));
	return b;
}

static void host_streams(uint32_t from, uint32_t payload)
{
	struct spec s = { .tcp = true, .payload = payload };
	struct built b = stream_piece(&s, from);

	host_writes(&s, &b, true, 100);
}

static void expect_stream(uint32_t from, uint32_t payload)
{
	struct spec s = { .tcp = true, .payload = payload };
	struct built b = stream_piece(&s, from);
	struct received r;

	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
	assert_memory_equal(got, frame, b.len);
	assert_int_equal(r.flags & ~NETIF_RX_MORE_DATA,
			 NETIF_RX_DATA_VALIDATED | NETIF_RX_CSUM_BLANK | NETIF_RX_EXTRA_INFO);
	assert_int_equal(r.gso.gso.size, 100);
	assert_int_equal(r.nr_slots, (b.len + atomic_load(&shared.headroom) + 4095) / 4096);
}

static void pieces_of_a_stream_become_one_frame(void **state)
{
	(void)state;
	rx_post(40);
	host_streams(0, 4600);
	host_streams(4600, 9200);
	host_streams(13800, 2300);
	settle();
	expect_stream(0, 16100);
	expect_nothing_received();
	assert_int_equal(q->stats->rx_read, 3);
	assert_int_equal(q->stats->rx_merged, 2);
	assert_int_equal(q->stats->rx_packets, 1);
	assert_int_equal(notified[RX_PORT], 1);
}

static void pieces_are_put_behind_the_headroom(void **state)
{
	(void)state;
	atomic_store(&shared.headroom, 256);
	rx_post(40);
	host_streams(0, 4600);
	host_streams(4600, 4600);
	settle();
	expect_stream(0, 9200);
	expect_nothing_received();
}

static void other_frames_keep_their_place_in_a_stream(void **state)
{
	struct spec s = { .payload = 10 };
	struct built small = build_blank(frame, &s);
	struct received r;

	(void)state;
	rx_post(80);
	host_streams(0, 4600);
	host_streams(4600, 4600);
	build_blank(frame, &s);
	host_writes(&s, &small, false, 0);
	host_streams(9200, 4600);
	host_streams(50000, 40000); /* what is between them was lost */
	settle();
	expect_stream(0, 9200);
	assert_true(guest_receives(&r));
	build_blank(frame, &s);
	assert_int_equal(r.len, small.len);
	assert_memory_equal(got, frame, small.len);
	expect_stream(9200, 4600);
	expect_stream(50000, 40000);
	expect_nothing_received();
	assert_int_equal(q->stats->rx_merged, 1);
}

static void a_piece_that_finds_no_slots_waits(void **state)
{
	(void)state;
	rx_post_and_kick(4); /* one extra and 8192 bytes would do, two pieces take another */
	host_streams(0, 8000);
	host_streams(8000, 8000);
	settle();
	expect_stream(0, 8000);
	expect_nothing_received();
	assert_int_equal(q->stats->rx_held, 1);
	rx_post_and_kick(3);
	expect_stream(8000, 8000);
	assert_int_equal(q->stats->rx_merged, 0);
}

static void a_piece_that_takes_all_slots_goes_alone(void **state)
{
	(void)state;
	rx_post_and_kick(3);
	host_streams(0, 8000);
	host_streams(8000, 8000);
	settle();
	expect_stream(0, 8000);
	expect_nothing_received();
	assert_int_equal(q->rx.hold.len, 0); /* the other is in the tap */
	rx_post_and_kick(3);
	expect_stream(8000, 8000);
}

/* Until the queue has read a frame, the other queues of the worker leave room only for one. */
static void neighbour_fills_the_pool(struct queue *queue)
{
	(void)queue;
	if (q->stats->rx_read)
		return;
	while (vif_pool_peek_rx(q->pool, 2))
		vif_pool_keep_rx(q->pool, NETIF_PAGE_SIZE);
	vif_pool_keep_rx(q->pool, (POOL_FRAME_PAGES - 1) * NETIF_PAGE_SIZE);
}

static bool neighbour_waits_for_us(struct queue *queue)
{
	(void)queue;
	return q->stats->rx_read == 0;
}

static void a_piece_that_has_no_room_behind_it_goes_alone(void **state)
{
	static const struct queue_ops ops = { .take = neighbour_idles,
					      .act = neighbour_idles,
					      .give = neighbour_fills_the_pool,
					      .answer = neighbour_waits_for_us };

	(void)state;
	rx_post(80);
	worker_attach(&worker, &neighbour, &ops);
	queue_mark(&neighbour);
	host_streams(0, 30000);
	host_streams(70000, 60000);
	settle();
	expect_stream(0, 30000);
	expect_stream(70000, 60000);
	expect_nothing_received();
	worker_detach(&neighbour);
}

static void a_piece_larger_than_was_expected_waits(void **state)
{
	(void)state;
	rx_post_and_kick(6);
	host_streams(0, 4600); /* three slots, and room for another like it */
	host_streams(4600, 16000);
	settle();
	expect_stream(0, 4600);
	expect_nothing_received();
	assert_int_equal(q->stats->rx_held, 1);
	rx_post_and_kick(2);
	expect_stream(4600, 16000);
	assert_int_equal(q->stats->rx_merged, 0);
}

/* More than fits into one frame, one pass or one ring. */
static void a_long_stream_arrives_whole(void **state)
{
	uint32_t sent = 0, taken = 0, len;

	(void)state;
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 12; i++, sent += len) {
			len = 100 * (1 + (round * 12 + i) * 37 % 130);
			host_streams(sent, len);
		}
		settle();
		rx_post_and_kick(256 - (rx_prod - rx_seen));
		while (get32(pages[RX_PAGE] + 8) != rx_seen) {
			uint32_t before = rx_seen;
			struct received r;

			assert_true(guest_receives(&r));
			rx_seen = before;
			expect_stream(taken, r.len - 54);
			taken += r.len - 54;
			rx_post_and_kick(256 - (rx_prod - rx_seen));
		}
		assert_int_equal(taken, sent);
	}
	assert_int_not_equal(q->stats->rx_merged, 0);
}

static int setup_small(void **state)
{
	struct offload_accept accept = all;

	(void)state;
	accept.gso_v4 = false;
	make_queue(true, accept);
	start();
	return 0;
}

static void a_guest_that_takes_no_large_frames_gets_none(void **state)
{
	struct received r;

	(void)state;
	rx_post(40);
	host_streams(0, 200);
	host_streams(200, 200);
	settle();
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(guest_receives(&r));
		assert_int_equal(r.len, 154);
		assert_int_equal(r.gso.type, 0);
	}
	expect_nothing_received();
	assert_int_equal(q->stats->rx_merged, 0);
}

static void frame_above_a_page_needs_sg(void **state)
{
	struct spec s = { .payload = 5000 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	q->accept.sg = q->accept.gso_v4 = q->accept.gso_v6 = false;
	rx_post(8);
	host_sends(&s, &b, false, 0);
	expect_nothing_received();
	assert_int_equal(q->stats->rx_drop_big, 1);
	s.payload = 1000;
	b = build_blank(frame, &s);
	host_sends(&s, &b, false, 0);
	assert_true(guest_receives(&r));
}

static void row_20_revoked_buffer_costs_its_slot_only(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	revoked[0] = true;
	rx_post(4);
	host_sends(&s, &b, false, 0);
	host_sends(&s, &b, false, 0);
	assert_true(guest_receives(&r));
	assert_true(r.failed);
	assert_true(guest_receives(&r));
	assert_false(r.failed);
	assert_int_equal(r.len, b.len);
	assert_int_equal(q->stats->rx_drop_copy, 1);
}

static void old_frames_are_given_up_and_new_ones_get_through(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	for (int i = 0; i < 3; i++)
		host_sends(&s, &b, false, 0);
	pass_ms(9000);
	settle();
	assert_int_equal(q->stats->rx_drop_stalled, 0);
	pass_ms(2000);
	settle();
	assert_int_equal(q->stats->rx_drop_stalled, 3);
	rx_post_and_kick(10);
	expect_nothing_received();
	s.payload = 100;
	b = build_blank(frame, &s);
	host_sends(&s, &b, false, 0);
	assert_true(guest_receives(&r));
	assert_int_equal(r.len, b.len);
	assert_int_equal(nr_stall_calls, 0);
}

static void row_24_stalled_guest_loses_the_carrier_until_it_recovers(void **state)
{
	struct spec s = { .tcp = true, .payload = 20000 };
	struct built b = build_offloaded(frame, &s);

	(void)state;
	host_sends(&s, &b, true, 1448);
	for (int i = 0; i < 62; i++) {
		pass_ms(1000);
		settle();
	}
	assert_int_equal(nr_stall_calls, 1);
	assert_true(stalled_now);
	rx_post_and_kick(1);
	assert_int_equal(nr_stall_calls, 2);
	assert_false(stalled_now);
}

/* --- a guest that has shut down --- */

static void domain_halts(bool halted)
{
	atomic_store(&domain_halted, halted);
	ringset_halt_changed(&set);
	settle();
}

static void frames_of_a_halted_guest_wait_until_it_runs(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;
	struct received r;

	(void)state;
	rx_post_and_kick(2);
	domain_halts(true);
	memcpy(pages[0], frame, b.len);
	tx_slot(5, 0, 0, (uint16_t)b.len, 0);
	tx_kick();
	expect_no_response();
	assert_int_equal(host_reads(&hdr), 0);
	host_sends(&s, &b, false, 0);
	host_sends(&s, &b, false, 0);
	expect_nothing_received();
	domain_halts(false);
	expect_response(5, NETIF_STATUS_OKAY);
	assert_int_equal(host_reads(&hdr), b.len);
	assert_true(guest_receives(&r));
	assert_true(guest_receives(&r));
	host_sends(&s, &b, false, 0);
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	tx_slot(6, 0, 0, (uint16_t)b.len, 0);
	tx_kick();
	expect_response(6, NETIF_STATUS_OKAY);
	assert_int_equal(host_reads(&hdr), b.len);
}

/* The guest cannot post slots meanwhile, so this time does not count as a stall. */
static void a_halted_guest_keeps_the_carrier(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	host_sends(&s, &b, false, 0);
	assert_int_equal(q->rx.state, VIF_RX_STARVED);
	domain_halts(true);
	for (int i = 0; i < 70; i++) {
		pass_ms(1000);
		settle();
	}
	domain_halts(false);
	assert_int_equal(nr_stall_calls, 0);
	assert_int_equal(q->stats->rx_drop_stalled, 0);
	rx_post_and_kick(1);
	assert_true(guest_receives(&r));
	host_sends(&s, &b, false, 0);
	for (int i = 0; i < 62; i++) {
		pass_ms(1000);
		settle();
	}
	assert_int_equal(nr_stall_calls, 1); /* as usual when it runs again */
}

/* --- the states of the way to the guest, and what leads from one to the next --- */

static void host_sends_one(void)
{
	struct spec s = { .payload = 700 };
	struct built b = build_offloaded(frame, &s);

	host_sends(&s, &b, true, 0);
}

static void expect_received(unsigned int nr)
{
	struct received r;

	while (nr--)
		assert_true(guest_receives(&r));
	expect_nothing_received();
}

static void expect_state(enum vif_rx_state state, bool unwatched)
{
	assert_int_equal(q->rx.state, state);
	assert_int_equal(q->rx.unwatched, unwatched);
	assert_int_equal(q->rx.timer.armed, state > VIF_RX_READING);
}

static void empty_reads_and_is_empty_again(void **state)
{
	(void)state;
	expect_state(VIF_RX_EMPTY, false);
	rx_post_and_kick(5);
	for (int i = 0; i < 4; i++) {
		host_sends_one();
		expect_received(1);
		expect_state(VIF_RX_EMPTY, false);
	}
	host_sends_one();
	expect_received(1);
	expect_state(VIF_RX_STARVED, false); /* without a slot the queue does not read the tap */
}

static void empty_stays_so_while_the_guest_does_not_run(void **state)
{
	(void)state;
	rx_post_and_kick(4);
	domain_halts(true);
	expect_state(VIF_RX_EMPTY, false);
	host_sends_one();
	expect_state(VIF_RX_EMPTY, true); /* it hears of the first one only */
	host_sends_one();
	domain_halts(false);
	expect_received(2);
	expect_state(VIF_RX_EMPTY, false);
}

/* With the tenth and last frame of its burst sent. */
static void throttle(void)
{
	rx_post_and_kick(40);
	rate_set(&shared.limits.rx.packets, 10, 10000);
	for (int i = 0; i < 10; i++)
		host_sends_one();
	expect_received(10);
	expect_state(VIF_RX_THROTTLED, false);
}

static void throttled_reads_when_it_is_its_turn_and_not_before(void **state)
{
	(void)state;
	throttle();
	host_sends_one();
	host_sends_one();
	expect_state(VIF_RX_THROTTLED, true); /* it hears of the first one only */
	rate_set(&shared.limits.rx.packets, 0, 0);
	rx_post_and_kick(1); /* a pass, for another reason */
	expect_received(0);
	expect_state(VIF_RX_THROTTLED, true);
	pass_ms(101);
	settle();
	expect_received(2);
	expect_state(VIF_RX_EMPTY, false);
}

static void throttled_is_looked_at_anew_when_the_guest_runs_again(void **state)
{
	(void)state;
	throttle();
	domain_halts(true);
	host_sends_one();
	expect_state(VIF_RX_THROTTLED, true);
	pass_ms(101);
	settle(); /* its turn came and went by */
	expect_state(VIF_RX_READING, true);
	expect_received(0);
	domain_halts(false);
	expect_received(1);
	expect_state(VIF_RX_EMPTY, false);
	for (int i = 0; i < 11; i++)
		host_sends_one();
	expect_state(VIF_RX_THROTTLED, true);
	rate_set(&shared.limits.rx.packets, 0, 0);
	domain_halts(true);
	domain_halts(false);
	expect_state(VIF_RX_EMPTY, false);
	expect_received(11);
}

static void starved_reads_when_there_are_slots(void **state)
{
	(void)state;
	host_sends_one();
	expect_state(VIF_RX_STARVED, false);
	host_sends_one();
	expect_state(VIF_RX_STARVED, true);
	rx_post_and_kick(1);
	expect_received(1);
	expect_state(VIF_RX_STARVED, true); /* the second one waits again */
	rx_post_and_kick(2);
	expect_received(1);
	expect_state(VIF_RX_EMPTY, false);
}

static void what_starved_may_be_throttled_next(void **state)
{
	(void)state;
	rate_set(&shared.limits.rx.packets, 10, 10000);
	for (int i = 0; i < 12; i++)
		host_sends_one();
	expect_state(VIF_RX_STARVED, true);
	rx_post_and_kick(13);
	expect_state(VIF_RX_THROTTLED, true);
	pass_ms(5);
	settle();
	expect_state(VIF_RX_EMPTY, false);
	host_sends_one();
	expect_state(VIF_RX_STARVED, false); /* and starve again */
	rx_post_and_kick(1);
	expect_received(13);
	expect_state(VIF_RX_EMPTY, false);
}

static void pass_seconds(int nr)
{
	while (nr--) {
		pass_ms(1000);
		settle();
	}
}

static void stalled_reads_when_there_are_slots(void **state)
{
	(void)state;
	host_sends_one();
	pass_seconds(62);
	expect_state(VIF_RX_STALLED, false);
	assert_true(stalled_now);
	host_sends_one();
	expect_state(VIF_RX_STALLED, true);
	pass_seconds(12); /* old frames are given up in this state, too */
	expect_state(VIF_RX_STALLED, true);
	assert_int_equal(q->stats->rx_drop_stalled, 2);
	rx_post_and_kick(1);
	assert_false(stalled_now);
	expect_state(VIF_RX_EMPTY, false);
	host_sends_one();
	expect_received(1);
}

static void starved_and_stalled_begin_their_time_anew_when_the_guest_runs_again(void **state)
{
	(void)state;
	host_sends_one();
	pass_seconds(50);
	domain_halts(true);
	expect_state(VIF_RX_STARVED, false);
	domain_halts(false);
	pass_seconds(50);
	expect_state(VIF_RX_STARVED, false);
	pass_seconds(12);
	expect_state(VIF_RX_STALLED, false);
	domain_halts(true);
	domain_halts(false);
	expect_state(VIF_RX_STALLED, false);
	assert_int_equal(nr_stall_calls, 1);
	rx_post_and_kick(1);
	expect_state(VIF_RX_EMPTY, false);
	assert_int_equal(nr_stall_calls, 2);
}

static int setup_silent(void **state)
{
	(void)state;
	make_queue(false, all);
	start();
	return 0;
}

static void silent_frontend_is_looked_at_by_the_clock(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	host_sends(&s, &b, false, 0);
	expect_nothing_received();
	rx_post(4); /* and not a word */
	settle();
	expect_nothing_received();
	pass_ms(31);
	settle();
	assert_true(guest_receives(&r));
	for (int i = 0; i < 4; i++)
		host_sends(&s, &b, false, 0);
	for (int i = 0; i < 2100; i++) {
		pass_ms(31);
		settle();
	}
	assert_int_equal(nr_stall_calls, 0); /* it would look stalled all the time */
}

/* --- life --- */

static int setup_single_channel(void **state)
{
	(void)state;
	make_queue(true, all);
	q->front.rx_port = 0;
	start();
	return 0;
}

static void one_event_channel_serves_both_directions(void **state)
{
	struct spec s = { .payload = 700 };
	struct built b = build_blank(frame, &s);
	struct received r;

	(void)state;
	assert_int_equal(fake_xen_nr_bound(), 1);
	rx_post(4);
	host_sends(&s, &b, false, 0);
	assert_true(guest_receives(&r));
	assert_int_equal(notified[TX_PORT], 1);
	send_frame(frame, b.len, 0, 0, false);
	expect_response(0, NETIF_STATUS_OKAY);
	assert_int_equal(notified[TX_PORT], 2);
	assert_int_equal(notified[RX_PORT], 0);
}

static void start_that_fails_anywhere_leaves_nothing(void **state)
{
	(void)state;
	for (unsigned int step = 1; step <= 4; step++) {
		make_queue(true, all);
		fake_xen.bad_step = step;
		start();
		assert_int_equal(nr_refused, 1);
		assert_int_equal(last_err, -EACCES);
		assert_int_equal(fake_xen_nr_mapped(), 0);
		assert_int_equal(fake_xen_nr_bound(), 0);
		teardown(NULL);
	}
}

static void row_3_ring_in_an_impossible_state_is_not_attached(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		make_queue(true, all);
		put32(pages[i ? RX_PAGE : TX_PAGE], 300);
		start();
		assert_int_equal(nr_refused, 1);
		assert_int_equal(last_err, -EPROTO);
		teardown(NULL);
	}
}

static void resumed_ring_goes_on_where_it_was(void **state)
{
	struct spec s = { .payload = 50 };
	struct built b = build_blank(frame, &s);
	struct virtio_net_hdr hdr;

	(void)state;
	make_queue(true, all);
	q->resume = true;
	tx_prod = tx_seen = 1000;
	put32(pages[TX_PAGE] + 8, 1000); /* answered so far */
	put32(pages[TX_PAGE] + 12, 1001);
	memcpy(pages[0], frame, b.len);
	tx_slot(77, 0, 0, (uint16_t)b.len, 0); /* asked while nobody was there */
	put32(pages[TX_PAGE], tx_prod);
	start();
	assert_int_equal(host_reads(&hdr), b.len);
	expect_response(77, NETIF_STATUS_OKAY);
	assert_true(notified[TX_PORT] >= 1); /* the last one may have been lost */
	assert_true(notified[RX_PORT] >= 1);
	teardown(NULL);
}

static void frames_for_an_earlier_guest_are_not_delivered(void **state)
{
	struct spec s = { .payload = 50 };
	struct built b = build_blank(frame, &s);

	(void)state;
	make_queue(true, all);
	host_writes(&s, &b, false, 0);
	rx_post(4);
	start();
	expect_nothing_received();
	teardown(NULL);
}

static void vanished_interface_stops_the_queue(void **state)
{
	(void)state;
	close(tap);
	settle();
	assert_int_equal(nr_broke, 1);
	assert_int_equal(last_err, -ENODEV);
	tap = -1;
}

/* --- neighbours that never have enough --- */

struct rival {
	struct vif_queue q;
	struct ringset set;
	struct vif_undo undo;
	struct vif_stats stats;
	int tap;
	uint32_t tx_prod, rx_prod;
};

static struct rival *rivals; /* of the test; NULL: there are none */
static uint32_t nr_rivals;
static bool rivals_send;
static uint8_t large[80000]; /* what the host sends to them */
static uint32_t large_len;

static uint8_t *rival_ring(uint32_t index, bool tx)
{
	return pages[RIVAL_PAGE + 2 * index + (tx ? 0 : 1)];
}

/* All of its ring, in frames of as many slots as one may have. */
static void rival_sends(uint32_t index)
{
	struct rival *rival = &rivals[index];
	uint8_t *ring = rival_ring(index, true);
	uint32_t room = 256 - (rival->tx_prod - get32(ring + 8));

	for (uint32_t i = 0; i < room; i++) {
		bool last = i % NETIF_MAX_SLOTS == NETIF_MAX_SLOTS - 1 || i + 1 == room;
		struct netif_tx_request req = { .size = i % NETIF_MAX_SLOTS ? 0 : 60,
						.flags = last ? 0 : NETIF_TX_MORE_DATA };

		memcpy(ring + 64 + (rival->tx_prod++ % 256) * 12, &req, sizeof(req));
	}
	put32(ring, rival->tx_prod);
	put32(ring + 12, get32(ring + 8) + 1);
}

/* Slots for two large frames; and there are always more of those. */
static void rival_receives(uint32_t index)
{
	struct rival *rival = &rivals[index];
	uint8_t *ring = rival_ring(index, false);

	for (; rival->rx_prod - get32(ring + 8) < 40; rival->rx_prod++)
		memset(ring + 64 + (rival->rx_prod % 256) * 8, 0, 8);
	put32(ring, rival->rx_prod);
	put32(ring + 12, get32(ring + 8) + 1);
	while (send(rival->tap, large, large_len, 0) > 0)
		;
}

/* At once, while it is being served: before the backend looks whether there is more. */
static void rival_reacts(uint32_t index)
{
	if (rivals_send)
		rival_sends(index);
	else
		rival_receives(index);
}

static void make_rival(uint32_t index)
{
	struct rival *rival = &rivals[index];
	int fds[2];

	make_ring(RIVAL_PAGE + 2 * index);
	make_ring(RIVAL_PAGE + 2 * index + 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	rival->tap = fds[1];
	rival->q = *q;
	rival->q.fd = fds[0];
	rival->q.stats = &rival->stats;
	rival->q.part = (struct ring_part){ .worker = &worker };
	rival->q.undo = &rival->undo;
	rival->q.front =
		(struct message_nic_queue){ RIVAL_PAGE + 2 * index, RIVAL_PAGE + 2 * index + 1,
					    RIVAL_PORT + index, 0 };
	make_set(&rival->set, &rival->q);
	ringset_start(&rival->set);
}

/* Start `nr` of them; q is the victim. */
static void make_rivals(uint32_t nr, bool send)
{
	stop(&set); /* so that they can be made like it */
	settle();
	nr_started = nr_stopped = 0;
	rivals = calloc(nr, sizeof(*rivals));
	nr_rivals = nr;
	rivals_send = send;
	for (uint32_t i = 0; i < nr; i++)
		make_rival(i);
	ringset_start(&set);
	settle();
	assert_int_equal(nr_started, nr + 1);
	for (uint32_t i = 0; i < nr; i++) {
		rival_reacts(i);
		fake_xen_event(DOMID, RIVAL_PORT + i);
	}
}

static void drop_rivals(void)
{
	for (uint32_t i = 0; i < nr_rivals; i++)
		stop(&rivals[i].set);
	settle();
	for (uint32_t i = 0; i < nr_rivals; i++) {
		close(rivals[i].q.fd);
		close(rivals[i].tap);
	}
	free(rivals);
	rivals = NULL;
	nr_stopped = 0;
}

static void host_takes_from_rivals(void)
{
	for (uint32_t i = 0; i < nr_rivals; i++)
		while (recv(rivals[i].tap, got, sizeof(got), 0) > 0)
			;
}

/* Its ring is full again and again, too, of the least frames there are. */
static void victim_sends(void)
{
	for (; tx_prod - get32(pages[TX_PAGE] + 8) < 256;)
		tx_slot(0, 0, 0, 60, 0);
	put32(pages[TX_PAGE], tx_prod);
	fake_xen_event(DOMID, TX_PORT);
}

static void check_share_of_sending(uint32_t nr)
{
	uint64_t others = 0;

	make_rivals(nr, true);
	for (int i = 0; i < 200; i++) {
		victim_sends();
		one_pass();
		host_counts();
		host_takes_from_rivals();
	}
	for (uint32_t i = 0; i < nr; i++)
		others += rivals[i].q.stats->tx_packets;
	assert_true(others > 100);
	assert_true(q->stats->tx_packets * nr >= others);
	drop_rivals();
}

static void neighbours_that_always_send_leave_a_queue_its_share(void **state)
{
	(void)state;
	check_share_of_sending(4);
}

static void more_neighbours_than_there_are_shares_take_turns(void **state)
{
	(void)state;
	check_share_of_sending(MAX_RIVALS);
}

static void make_large(void)
{
	struct spec s = { .tcp = true, .payload = 65000 };
	struct built b = build_offloaded(large + sizeof(struct virtio_net_hdr), &s);
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .csum_start = htole16((uint16_t)b.l4),
				      .csum_offset = htole16(16),
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .gso_size = htole16(1448) };

	memcpy(large, &hdr, sizeof(hdr));
	large_len = (uint32_t)sizeof(hdr) + b.len;
}

static void neighbours_that_always_receive_leave_a_queue_its_share(void **state)
{
	struct spec s = { .payload = 100 };
	struct built b = build_blank(frame, &s);
	uint32_t served = 0;

	(void)state;
	make_large();
	make_rivals(40, false);
	for (int i = 0; i < 100; i++) {
		struct received r;

		rx_post(rx_seen + 256 - rx_prod);
		host_writes(&s, &b, false, 0);
		one_pass();
		while (guest_receives(&r))
			served++;
	}
	/* At least one pass in four. */
	assert_true(rivals[0].q.stats->rx_packets > 100);
	assert_true(served >= 25);
	drop_rivals();
}

#define WITH(test, set_up) cmocka_unit_test_setup_teardown(test, set_up, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(guest_frame_reaches_the_host, setup),
		WITH(frame_is_sent_once_whatever_a_neighbour_does, setup),
		WITH(blank_checksum_is_finished_for_a_guest_that_must_not_leave_one, setup),
		WITH(large_guest_frame_reaches_the_host_whole, setup),
		WITH(headers_in_slots_of_one_byte_are_gathered, setup),
		WITH(row_14_empty_slot_is_fine_whatever_its_grant, setup),
		WITH(row_19_one_failed_copy_spoils_the_packet_and_only_that, setup),
		WITH(bad_packets_are_answered_and_the_ring_goes_on, setup),
		WITH(row_7_list_of_groups_is_filled_and_emptied, setup),
		WITH(only_groups_of_the_list_reach_a_guest_that_asked_for_it, setup),
		WITH(row_16_gso_on_udp_is_answered_with_an_error, setup),
		WITH(row_1_impossible_index_stops_the_queue_for_good, setup),
		WITH(row_1_impossible_receive_index_stops_it_too, setup),
		WITH(fatal_packet_leaves_the_ring_untouched, setup),
		WITH(full_ring_is_served_in_batches, setup),
		WITH(busy_host_drops_and_says_so, setup),
		WITH(notification_is_left_out_when_not_asked_for, setup),
		WITH(event_is_asked_for_once_the_ring_is_empty, setup),
		WITH(rate_limit_holds_packets_back_and_lets_them_go, setup),
		WITH(a_higher_limit_is_seen_soon, setup),
		WITH(pass_ends_when_the_kernel_has_enough_to_cut, setup),
		WITH(packet_limit_counts_segments, setup),
		WITH(byte_limit_counts_the_headers_of_each_segment, setup),
		WITH(large_frames_for_the_guest_count_by_their_segments, setup),
		WITH(packet_limit_leaves_frames_in_the_tap, setup),
		WITH(host_frame_reaches_the_guest, setup),
		WITH(large_host_frame_takes_an_extra_and_seventeen_slots, setup),
		WITH(hash_comes_behind_gso_and_takes_a_slot, setup),
		WITH(every_segment_has_the_hash_of_the_whole, setup),
		WITH(what_has_no_hash_gets_none, setup),
		WITH(headroom_is_left_in_the_first_slot_only, setup),
		WITH(guest_sees_no_byte_that_nobody_wrote, setup),
		WITH(largest_frame_with_the_largest_headroom_fits, setup),
		WITH(held_frame_takes_the_headroom_of_its_delivery, setup),
		WITH(frame_of_several_slots_is_lost_once, setup),
		WITH(half_cut_frame_that_is_given_up_is_counted_by_its_rest, setup),
		WITH(stall_may_come_before_the_drain_or_never, setup),
		WITH(large_frame_costs_17_operations_each_way, setup),
		WITH(frames_wait_for_the_first_slot, setup),
		WITH(a_wait_for_slots_counts_when_there_were_frames, setup),
		WITH(a_frame_that_is_held_takes_until_the_guest_has_it, setup),
		WITH(waits_for_the_rate_limit_are_told, setup),
		WITH(row_24_one_slot_too_few_is_too_few, setup),
		WITH(order_is_kept_behind_a_held_frame, setup),
		WITH(tagged_large_frame_is_cut_for_the_guest, setup),
		WITH(frame_of_more_segments_than_slots_is_cut_bit_by_bit, setup),
		WITH(tagged_blank_checksum_is_finished, setup),
		WITH(frame_above_a_page_needs_sg, setup),
		WITH(row_20_revoked_buffer_costs_its_slot_only, setup),
		WITH(old_frames_are_given_up_and_new_ones_get_through, setup),
		WITH(row_24_stalled_guest_loses_the_carrier_until_it_recovers, setup),
		WITH(frames_of_a_halted_guest_wait_until_it_runs, setup),
		WITH(a_halted_guest_keeps_the_carrier, setup),
		WITH(empty_reads_and_is_empty_again, setup),
		WITH(empty_stays_so_while_the_guest_does_not_run, setup),
		WITH(throttled_reads_when_it_is_its_turn_and_not_before, setup),
		WITH(throttled_is_looked_at_anew_when_the_guest_runs_again, setup),
		WITH(starved_reads_when_there_are_slots, setup),
		WITH(what_starved_may_be_throttled_next, setup),
		WITH(stalled_reads_when_there_are_slots, setup),
		WITH(starved_and_stalled_begin_their_time_anew_when_the_guest_runs_again, setup),
		WITH(silent_frontend_is_looked_at_by_the_clock, setup_silent),
		WITH(one_event_channel_serves_both_directions, setup_single_channel),
		WITH(pieces_of_a_stream_become_one_frame, setup),
		WITH(pieces_are_put_behind_the_headroom, setup),
		WITH(other_frames_keep_their_place_in_a_stream, setup),
		WITH(a_piece_that_finds_no_slots_waits, setup),
		WITH(a_piece_that_takes_all_slots_goes_alone, setup),
		WITH(a_piece_that_has_no_room_behind_it_goes_alone, setup),
		WITH(a_piece_larger_than_was_expected_waits, setup),
		WITH(a_long_stream_arrives_whole, setup),
		WITH(a_guest_that_takes_no_large_frames_gets_none, setup_small),
		cmocka_unit_test(start_that_fails_anywhere_leaves_nothing),
		cmocka_unit_test(row_3_ring_in_an_impossible_state_is_not_attached),
		cmocka_unit_test(resumed_ring_goes_on_where_it_was),
		cmocka_unit_test(frames_for_an_earlier_guest_are_not_delivered),
		WITH(vanished_interface_stops_the_queue, setup),
		WITH(neighbours_that_always_send_leave_a_queue_its_share, setup),
		WITH(more_neighbours_than_there_are_shares_take_turns, setup),
		WITH(neighbours_that_always_receive_leave_a_queue_its_share, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
