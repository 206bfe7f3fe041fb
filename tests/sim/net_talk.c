/* SPDX-License-Identifier: MIT */
/* net_talk.c - sending single frames, and waiting for their return. */
#include "net_talk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_slots.h"
#include "util.h"

bool net_take_frame(struct net_front *f, struct net_frame *frame)
{
	for (uint32_t i = 0; i < f->nr_queues; i++)
		while (net_rx_take(f, &f->queue[i])) {
			const char *wrong = net_frame_check(f->packet.data, f->packet.len,
							    f->packet.blank, frame);

			net_rx_refill(f, &f->queue[i]);
			if (!wrong)
				return true;
		}
	return false;
}

int net_failed(const char *what)
{
	fprintf(stderr, "simnet: %s\n", what);
	return -EPROTO;
}

int net_send_from(struct net_front *f, const uint8_t *source, uint16_t number)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
	static uint8_t buf[NET_FRAME_MAX];
	struct net_frame frame = { .kind = NET_RAW, .len = 100, .number = number };
	const struct net_slot slot = { .size = 100 };

	net_frame_build(buf, &frame, source, peer, false);
	memcpy(sim_guest_addr(&f->guest, net_page_gfn), buf, frame.len);
	return net_try_slots(f, &slot, 1, MUST_WORK);
}

int net_receive_frame(struct net_front *f, struct net_frame *frame)
{
	int64_t end = sim_now_ms() + NET_EVENTUALLY_MS * sim_slowness();

	while (sim_now_ms() < end) {
		if (net_take_frame(f, frame))
			return 0;
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

int net_receive_number(struct net_front *f)
{
	struct net_frame frame;
	int err = net_receive_frame(f, &frame);

	return err ? err : frame.number;
}

int net_warm_up(struct net_front *f)
{
	int64_t end = sim_now_ms() + NET_EVENTUALLY_MS * sim_slowness();
	uint16_t number = 60000;
	struct net_frame frame;

	while (sim_now_ms() < end) {
		int err = net_send_from(f, f->mac, number++);

		if (err)
			return err;
		poll(NULL, 0, 20);
		if (net_take_frame(f, &frame))
			break;
	}
	/* Frames that were sent earlier come before this one. */
	number++;
	if (net_send_from(f, f->mac, number))
		return -EPROTO;
	for (;;) {
		int got = net_receive_number(f);

		if (got < 0 || got == number)
			return got < 0 ? got : 0;
	}
}

int net_wait_for_go(void)
{
	int64_t end = sim_now_ms() + 4 * NET_EVENTUALLY_MS * sim_slowness();
	char *path = sim_asprintf("%s/go", getenv("XENSIM_DIR"));

	puts("waiting");
	fflush(stdout);
	while (access(path, F_OK) && sim_now_ms() < end)
		poll(NULL, 0, 10);
	free(path);
	return sim_now_ms() < end ? 0 : -ETIMEDOUT;
}
