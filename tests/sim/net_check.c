/* SPDX-License-Identifier: MIT */
/*
 * net_check.c - conversations of an honest frontend with its backend.
 *
 * The peer sends each frame back to the address it came from, in order. So a frame from a group's
 * address asks "would a frame to that group reach me?", and one more from our own address says when the
 * answer is complete: no clock decides.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_slots.h"
#include "util.h"

#define EVENTUALLY_MS 15000

/* Say what failed, and return it. */
static int failed(const char *what)
{
	fprintf(stderr, "simnet: %s\n", what);
	return -EPROTO;
}

/* A frame from `source`, with a number by which it is known when it comes back. */
static int send_from(struct net_front *f, const uint8_t *source, uint16_t number)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
	static uint8_t buf[NET_FRAME_MAX];
	struct net_frame frame = { .kind = NET_RAW, .len = 100, .number = number };
	const struct net_slot slot = { .size = 100 };

	net_frame_build(buf, &frame, source, peer, false);
	memcpy(sim_guest_addr(&f->guest, net_page_gfn), buf, frame.len);
	return net_try_slots(f, &slot, 1, MUST_WORK);
}

/* The next test frame that the host sends: its number, or -ETIMEDOUT. */
static int receive_number(struct net_front *f)
{
	int64_t end = sim_now_ms() + EVENTUALLY_MS * sim_slowness();
	struct net_queue *q = &f->queue[0];
	struct net_frame frame;

	while (sim_now_ms() < end) {
		while (net_rx_take(f, q)) {
			const char *wrong =
				net_frame_check(f->packet.data, f->packet.len, false, &frame);

			net_rx_refill(f, q);
			if (!wrong)
				return frame.number;
		}
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

/* Whether a frame to `group` reaches us: 1 or 0, or -errno. */
static int reaches(struct net_front *f, const uint8_t *group)
{
	static uint16_t number;
	uint16_t question = ++number, mark = ++number;
	bool came = false;
	int got, err = send_from(f, group, question);

	if (!err)
		err = send_from(f, f->mac, mark);
	if (err)
		return err;
	do {
		got = receive_number(f);
		came = came || got == question;
	} while (got >= 0 && got != mark);
	return got < 0 ? got : came;
}

/* A link that has just come up drops frames at first. */
static int warm_up(struct net_front *f)
{
	int64_t end = sim_now_ms() + EVENTUALLY_MS * sim_slowness();
	uint16_t number = 60000;

	while (sim_now_ms() < end) {
		int err = send_from(f, f->mac, number++);

		if (err)
			return err;
		poll(NULL, 0, 20);
		if (net_rx_take(f, &f->queue[0]))
			break;
	}
	net_rx_refill(f, &f->queue[0]);
	/* What else is on its way comes before this one. */
	number++;
	if (send_from(f, f->mac, number))
		return -EPROTO;
	for (;;) {
		int got = receive_number(f);

		if (got < 0 || got == number)
			return got < 0 ? got : 0;
	}
}

/* --- multicast control --- */

static const uint8_t *group(unsigned int last)
{
	static uint8_t address[6] = { 1, 0, 0x5e, 0, 1, 0 };

	address[5] = (uint8_t)last;
	return address;
}

static int change(struct net_front *f, uint8_t type, const uint8_t *address, enum verdict verdict)
{
	const struct net_slot slots[2] = {
		{ .size = 60, .flags = TX_EXTRA_INFO },
		{ .is_extra = true, .extra_type = type, .group = address },
	};

	return net_try_slots(f, slots, 2, verdict);
}

static int connect_with_groups(struct net_front *f)
{
	int err;

	f->opt.groups = true;
	err = net_connect(f);
	return err ? err : warm_up(f);
}

static int fill_list(struct net_front *f)
{
	int err = 0;

	for (unsigned int i = 0; i < 64 && !err; i++)
		err = change(f, EXTRA_MCAST_ADD, group(i), MUST_WORK);
	if (!err)
		err = change(f, EXTRA_MCAST_ADD, group(64), MUST_ERROR);
	if (!err)
		err = change(f, EXTRA_MCAST_DEL, group(63), MUST_WORK);
	return err ? err : change(f, EXTRA_MCAST_ADD, group(64), MUST_WORK);
}

static int multicast(struct net_front *f)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	int err = connect_with_groups(f);

	if (err)
		return err;
	if (reaches(f, group(1)) != 0)
		return failed("a group that was not asked for reaches us");
	if (reaches(f, everybody) != 1)
		return failed("a broadcast does not reach us");
	if (change(f, EXTRA_MCAST_ADD, group(1), MUST_WORK) ||
	    change(f, EXTRA_MCAST_ADD, f->mac, MUST_ERROR))
		return failed("the list takes the wrong addresses");
	if (reaches(f, group(1)) != 1 || reaches(f, group(2)) != 0)
		return failed("an added group does not reach us, or another does");
	if (change(f, EXTRA_MCAST_DEL, group(1), MUST_WORK) || reaches(f, group(1)) != 0)
		return failed("a removed group reaches us");
	if (fill_list(f))
		return failed("64 groups are not what the list takes");
	if (reaches(f, group(64)) != 1 || reaches(f, group(63)) != 0)
		return failed("a full list passes the wrong groups");
	return 0;
}

/* The switch may be turned at any time; the list is there all along. NULL: the key goes. */
static int becomes(struct net_front *f, const char *request, const uint8_t *address, int wanted)
{
	int64_t end = sim_now_ms() + EVENTUALLY_MS * sim_slowness();
	int now;

	if (request)
		bus_write(&f->bus, XBT_NULL, "request-multicast-control", "%s", request);
	else
		bus_remove(&f->bus, XBT_NULL, "request-multicast-control");
	do {
		now = reaches(f, address);
	} while (now >= 0 && now != wanted && sim_now_ms() < end);
	if (now == wanted)
		return 0;
	fprintf(stderr, "simnet: request-multicast-control=%s is not heard\n",
		request ? request : "(none)");
	return -EPROTO;
}

static int multicast_dynamic(struct net_front *f)
{
	int err = net_connect(f);

	if (!err)
		err = warm_up(f);
	if (!err && reaches(f, group(1)) != 1)
		return failed("groups are filtered before anybody asked");
	if (!err)
		err = change(f, EXTRA_MCAST_ADD, group(2), MUST_WORK);
	if (!err)
		err = becomes(f, "1", group(1), 0);
	if (!err && reaches(f, group(2)) != 1)
		return failed("what was added before is forgotten");
	if (!err)
		err = becomes(f, "0", group(1), 1);
	if (!err)
		err = becomes(f, "1", group(1), 0);
	bus_write(&f->bus, XBT_NULL, "request-multicast-control", "%s", "perhaps");
	if (!err && reaches(f, group(1)) != 0)
		return failed("nonsense was taken for a wish");
	return err ? err : becomes(f, NULL, group(1), 1);
}

/* "waiting" is printed; then $XENSIM_DIR/go must appear. */
static int wait_for_go(void)
{
	int64_t end = sim_now_ms() + 4 * EVENTUALLY_MS * sim_slowness();
	char *path = sim_asprintf("%s/go", getenv("XENSIM_DIR"));

	puts("waiting");
	fflush(stdout);
	while (access(path, F_OK) && sim_now_ms() < end)
		poll(NULL, 0, 10);
	free(path);
	return sim_now_ms() < end ? 0 : -ETIMEDOUT;
}

static int multicast_restart(struct net_front *f)
{
	int err = connect_with_groups(f);

	if (!err)
		err = change(f, EXTRA_MCAST_ADD, group(1), MUST_WORK);
	if (!err)
		err = wait_for_go();
	if (err)
		return err;
	if (reaches(f, group(1)) != 1 || reaches(f, group(2)) != 0)
		return failed("the list is another one after the restart");
	return change(f, EXTRA_MCAST_ADD, group(2), MUST_WORK) || reaches(f, group(2)) != 1
		       ? failed("the list cannot be changed after the restart")
		       : 0;
}

/* The list is lost while we wait. */
static int multicast_lost(struct net_front *f)
{
	int err = connect_with_groups(f);

	if (!err && reaches(f, group(1)) != 0)
		return failed("a group that was not asked for reaches us");
	if (!err)
		err = wait_for_go();
	if (err)
		return err;
	return reaches(f, group(1)) == 1 ? 0 : failed("a lost list keeps frames from us");
}

/* --- all of them --- */

static const struct {
	const char *name;
	int (*run)(struct net_front *f);
} checks[] = {
	{ "multicast", multicast },
	{ "multicast-dynamic", multicast_dynamic },
	{ "multicast-restart", multicast_restart },
	{ "multicast-lost", multicast_lost },
};
#define NR_CHECKS (sizeof(checks) / sizeof(checks[0]))

void net_check_list(void)
{
	for (size_t i = 0; i < NR_CHECKS; i++)
		puts(checks[i].name);
}

int net_check(struct net_front *f)
{
	int err = net_page_open(f);

	for (size_t i = 0; i < NR_CHECKS && !err; i++)
		if (!strcmp(checks[i].name, f->opt.check))
			return checks[i].run(f);
	return err ? err : -EINVAL;
}
