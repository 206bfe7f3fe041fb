/* SPDX-License-Identifier: MIT */
/*
 * Control's end of the links to the guests' processes, when a guest has taken its process over and the process sends what it
 * likes. Only its own guest may suffer, not control or other guests.
 */
#include "unit.h"

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "blkback/vbd_stats.h"
#include "control/guests.h"
#include "core/fdpass.h"
#include "fake/fake_process.h"
#include "turn.h"

enum { BAD = 1, GOOD = 2 }; /* domids */

struct toy {
	struct device dev; /* first */
	unsigned int nr_answers, nr_lost, nr_ready;
};

static struct loop *loop;
static struct guests *guests;
static struct loop_tick second;
static struct device_env env;
static bool all_greeted;

/* --- devices --- */

static void toy_answer(struct device *dev, const struct message *message, int *fds,
		       unsigned int nr_fds)
{
	(void)fds;
	CHECK(message->domid == dev->domid && message->life == dev->life);
	CHECK(nr_fds == 0 || message->type == MESSAGE_STARTED);
	((struct toy *)(void *)dev)->nr_answers++;
}

static const struct device_ops toy_ops = { .kind = "vbd", .answer = toy_answer };

void device_lost(struct device *dev)
{
	((struct toy *)(void *)dev)->nr_lost++;
}

void device_log(struct device *dev, enum log_level level, const char *fmt, ...)
{
	(void)dev, (void)level, (void)fmt;
}

void device_look_at_figures(struct device *dev, uint64_t now_ns)
{
	(void)now_ns;
	dev->rests = dev->figures.mem && stats_view_rests(&dev->figures);
}

static void ready(struct device *dev)
{
	((struct toy *)(void *)dev)->nr_ready++;
}

static struct toy toy_of(uint32_t domid)
{
	return (struct toy){
		.dev = { .ops = &toy_ops, .env = &env, .domid = domid, .devid = 51712 }
	};
}

static void start(struct toy *toy)
{
	struct message message = { .type = MESSAGE_START_DISK };

	CHECK(guests_may_start(&toy->dev));
	CHECK(guests_start(&toy->dev, &message, NULL, 0) == 0);
}

/* --- the loop --- */

/* Afterwards control has read all that was in the sockets, or never will. */
#define TURNS 40

/* --- what a process says --- */

static struct message about(uint32_t type, uint32_t domid, uint32_t life)
{
	return (struct message){
		.type = type, .kind = MESSAGE_VBD, .domid = domid, .devid = 51712, .life = life
	};
}

/* False if control does not read the message now. */
static bool says(uint32_t domid, const struct message *message)
{
	size_t size = message_bytes(message->type);

	return send(fake_processes[domid].fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)size;
}

static void says_with(uint32_t domid, const struct message *message, int fd, unsigned int nr_fds)
{
	const struct iovec iov = { (void *)(uintptr_t)message, message_bytes(message->type) };
	int fds[2] = { fd, fd };

	CHECK(fdpass_send(fake_processes[domid].fd, &iov, 1, fds, nr_fds, MSG_DONTWAIT) == 0);
}

static void greets(uint32_t domid, uint32_t nr_devices)
{
	struct message message = { .type = MESSAGE_HELLO };

	message.hello.protocol = MESSAGE_PROTOCOL;
	message.hello.nr_devices = nr_devices;
	snprintf(message.hello.version, sizeof(message.hello.version), "%s", PACKAGE_VERSION);
	CHECK(says(domid, &message));
}

static void tells_of(uint32_t domid, struct message device)
{
	device.type = MESSAGE_DEVICE;
	CHECK(says(domid, &device));
	device.type = MESSAGE_START_DISK;
	memset(&device.disk, 0, sizeof(device.disk));
	CHECK(says(domid, &device));
}

/* --- what an admin sees --- */

static struct guests_process seen;
static unsigned int nr_seen;

static void see(void *user, const struct guests_process *process)
{
	(void)user;
	seen = *process;
	nr_seen++;
}

static void look_at_all(void)
{
	nr_seen = 0;
	guests_each(guests, see, NULL);
}

/* --- each case has its own control --- */

static void greeted(void *user)
{
	(void)user;
	all_greeted = true;
}

static void a_second_passes(void *user)
{
	(void)user;
	guests_look_after(guests);
}

static int set_up(void **state)
{
	struct guests_setup setup = { .isolation = ISOLATION_GUEST, .fd = -1, .hung_s = 30 };

	(void)state;
	loop = setup.loop = loop_new();
	CHECK(loop && guests_new(&setup, &guests) == 0);
	loop_tick_add(loop, &second, a_second_passes, NULL);
	env = (struct device_env){ .loop = loop, .guests = guests, .ready = ready };
	all_greeted = false;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_tick_remove(&second);
	guests_free(guests);
	fake_process_reset();
	loop_free(loop);
	return 0;
}

static void find_left(uint32_t domid)
{
	fake_process_leave(domid);
	guests_find(guests, greeted, NULL);
	CHECK(!all_greeted);
}

/* --- the cases --- */

static void one_that_has_told_of_a_device_and_then_talks_nonsense_harms_itself_alone(void **state)
{
	struct message device = about(MESSAGE_DEVICE, BAD, 7);
	struct toy toy = toy_of(BAD), other = toy_of(GOOD);

	(void)state;
	find_left(BAD);
	greets(BAD, 2);
	device.served.starting = true;
	tells_of(BAD, device);
	CHECK(says(BAD, &(struct message){ .type = MESSAGE_HELLO }));
	turn(loop, TURNS);
	CHECK(fake_processes[BAD].killed && all_greeted);
	CHECK(!guests_left(&toy.dev) && !guests_may_start(&toy.dev));
	start(&other);
	fake_process_die(BAD);
	turn(loop, TURNS);
	CHECK(toy.nr_ready && guests_may_start(&toy.dev));
	guests_forget(&other.dev);
}

static void one_that_was_just_started_has_nothing_to_be_adopted(void **state)
{
	struct toy toy = toy_of(BAD);

	(void)state;
	start(&toy);
	greets(BAD, 1);
	turn(loop, TURNS);
	CHECK(fake_processes[BAD].killed && toy.nr_lost == 0);
	fake_process_die(BAD);
	CHECK(toy.nr_lost == 1);
}

static void one_that_was_just_started_is_of_our_version_whatever_it_says(void **state)
{
	struct message message = { .type = MESSAGE_HELLO };
	struct toy toy = toy_of(BAD);

	(void)state;
	start(&toy);
	message.hello.protocol = MESSAGE_PROTOCOL + 1;
	message.hello.ending = true;
	CHECK(says(BAD, &message));
	message = about(MESSAGE_STARTED, BAD, toy.dev.life);
	CHECK(says(BAD, &message));
	turn(loop, TURNS);
	CHECK(toy.nr_answers == 1 && guests_may_start(&toy.dev));
	guests_forget(&toy.dev);
}

static void nobody_tells_of_more_devices_than_there_can_be(void **state)
{
	(void)state;
	find_left(BAD);
	greets(BAD, UINT32_MAX);
	turn(loop, TURNS);
	CHECK(fake_processes[BAD].killed && all_greeted);
	fake_process_die(BAD);
}

static void another_guests_device_is_not_to_be_had(void **state)
{
	struct toy good = toy_of(GOOD);

	(void)state;
	find_left(BAD);
	greets(BAD, 1);
	tells_of(BAD, about(MESSAGE_DEVICE, GOOD, 7));
	turn(loop, TURNS);
	CHECK(fake_processes[BAD].killed && all_greeted && !guests_left(&good.dev));
	fake_process_die(BAD);
	start(&good);
	guests_forget(&good.dev);
}

static void what_it_says_of_others_or_of_an_earlier_life_is_passed_over(void **state)
{
	struct toy bad = toy_of(BAD), good = toy_of(GOOD);
	struct message message;

	(void)state;
	start(&bad);
	start(&good);
	for (uint32_t life = 0; life < 4; life++) {
		message = about(MESSAGE_STOPPED, GOOD, life);
		CHECK(says(BAD, &message));
	}
	message = about(MESSAGE_STOPPED, BAD, bad.dev.life + 1);
	CHECK(says(BAD, &message));
	message = about(MESSAGE_STOPPED, BAD, bad.dev.life);
	message.kind = MESSAGE_VBD3;
	CHECK(says(BAD, &message));
	message.kind = MESSAGE_VBD;
	CHECK(says(BAD, &message));
	turn(loop, TURNS);
	CHECK(bad.nr_answers == 1 && good.nr_answers == 0);
	guests_forget(&bad.dev);
	guests_forget(&good.dev);
}

static void a_flag_is_whatever_byte_it_is(void **state)
{
	struct message device = about(MESSAGE_DEVICE, BAD, 7);
	struct message_served served;
	struct message echo;
	struct toy toy = toy_of(BAD);

	(void)state;
	find_left(BAD);
	greets(BAD, 1);
	device.served.halted = 0x80;
	tells_of(BAD, device);
	turn(loop, TURNS);
	CHECK(all_greeted && guests_left(&toy.dev));
	guests_adopt(&toy.dev, &echo, &served);
	CHECK(served.halted && toy.dev.life == 7);
	guests_forget(&toy.dev);
}

static void one_that_never_stops_talking_is_heard_in_its_turn(void **state)
{
	struct toy bad = toy_of(BAD), good = toy_of(GOOD);
	uint64_t begun_ns = loop_now_ns();
	unsigned int heard, nr_seconds;
	struct message message;

	(void)state;
	start(&bad);
	start(&good);
	message = about(MESSAGE_SIZE, BAD, bad.dev.life);
	for (unsigned int i = 0; i < 5000; i++) {
		says(BAD, &message);
		if (i % 10 == 0)
			turn_for(loop, 0);
	}
	heard = bad.nr_answers;
	nr_seconds = (unsigned int)((loop_now_ns() - begun_ns) / 1000000000) + 2;
	CHECK(heard && heard <= nr_seconds * 128);
	message = about(MESSAGE_STARTED, GOOD, good.dev.life);
	CHECK(says(GOOD, &message));
	turn(loop, TURNS);
	CHECK(good.nr_answers == 1);
	message = about(MESSAGE_SIZE, BAD, bad.dev.life);
	while (says(BAD, &message)) /* more than control reads at once */
		;
	heard = bad.nr_answers;
	while (bad.nr_answers == heard) /* the rest is read later */
		turn_for(loop, 100000000);
	CHECK(!fake_processes[BAD].killed);
	fake_process_die(BAD); /* the process dies while its other messages wait */
	turn(loop, TURNS);
	CHECK(bad.nr_lost == 1);
	guests_forget(&good.dev);
}

static void one_that_does_not_read_holds_few_descriptors(void **state)
{
	struct toy bad = toy_of(BAD);
	struct message message = { .type = MESSAGE_START_DISK };
	int fds[8];
	unsigned int i;

	(void)state;
	for (i = 0; i < 8; i++)
		fds[i] = dup(0);
	start(&bad);
	for (i = 0; i < 1000 && !fake_processes[BAD].killed; i++) {
		guests_send(&bad.dev, &message, fds, 8);
		turn_for(loop, 0);
	}
	CHECK(fake_processes[BAD].killed);
	for (i = 0; i < 8; i++)
		close(fds[i]);
	fake_process_die(BAD);
	CHECK(bad.nr_lost == 1);
}

/* A process that was told to end, or ends for lack of a control, accepts no START. */
static void one_that_ends_is_waited_for_and_asked_for_nothing(void **state)
{
	struct message message = { .type = MESSAGE_HELLO }, device = about(MESSAGE_DEVICE, BAD, 7);
	struct toy toy = toy_of(BAD);
	bool asked = false;

	(void)state;
	find_left(BAD);
	message.hello.protocol = MESSAGE_PROTOCOL;
	message.hello.nr_devices = 1;
	message.hello.ending = true;
	CHECK(says(BAD, &message));
	tells_of(BAD, device);
	turn(loop, TURNS);
	CHECK(all_greeted && !guests_left(&toy.dev) && !guests_may_start(&toy.dev));
	guests_looked(guests);
	turn(loop, TURNS);
	while (recv(fake_processes[BAD].fd, &message, sizeof(message), MSG_DONTWAIT) > 0)
		asked |= message.type == MESSAGE_STOP || message.type == MESSAGE_END;
	CHECK(!asked);
	device.type = MESSAGE_STOPPED;
	CHECK(says(BAD, &device));
	turn(loop, TURNS);
	CHECK(!guests_may_start(&toy.dev));
	fake_process_die(BAD);
	CHECK(toy.nr_ready && guests_may_start(&toy.dev));
}

/* Read what control has sent to it since the last call; true if END was among that. */
static bool is_told_to_end(uint32_t domid)
{
	struct message message;
	bool told = false;

	while (recv(fake_processes[domid].fd, &message, sizeof(message), MSG_DONTWAIT) > 0)
		told |= message.type == MESSAGE_END;
	return told;
}

static void greets_as_another(uint32_t domid, uint32_t protocol, const char *version)
{
	struct message message = { .type = MESSAGE_HELLO };

	message.hello.protocol = protocol;
	message.hello.nr_devices = 1;
	snprintf(message.hello.version, sizeof(message.hello.version), "%s", version);
	CHECK(says(domid, &message));
}

/* The first process has another protocol. The second has another version; control adopts it until its turn to be replaced. */
static void those_of_another_version_are_replaced_one_after_the_other(void **state)
{
	struct toy bad = toy_of(BAD), good = toy_of(GOOD);
	struct message_served served;
	struct message message;

	(void)state;
	fake_process_leave(GOOD);
	find_left(BAD);
	greets_as_another(BAD, MESSAGE_PROTOCOL + 1, PACKAGE_VERSION);
	message = about(MESSAGE_NR_TYPES, BAD, 1); /* which control does not even read */
	send(fake_processes[BAD].fd, &message, sizeof(message), MSG_DONTWAIT);
	greets_as_another(GOOD, MESSAGE_PROTOCOL, "0");
	tells_of(GOOD, about(MESSAGE_DEVICE, GOOD, 7));
	turn(loop, TURNS);
	CHECK(all_greeted && guests_left(&good.dev) && !fake_processes[BAD].killed);
	guests_adopt(&good.dev, &message, &served);
	CHECK(!guests_may_start(&bad.dev) && !is_told_to_end(BAD) && !is_told_to_end(GOOD));
	guests_looked(guests);
	CHECK(is_told_to_end(BAD) && !is_told_to_end(GOOD));
	fake_process_die(BAD);
	CHECK(bad.nr_ready == 1);
	start(&bad);
	CHECK(!is_told_to_end(GOOD));
	guests_returned(&bad.dev);
	CHECK(is_told_to_end(GOOD) && good.dev.served_by);
	message = about(MESSAGE_STOPPED, GOOD, 7);
	CHECK(says(GOOD, &message));
	turn(loop, TURNS);
	CHECK(good.nr_answers == 0 && good.nr_lost == 0);
	fake_process_die(GOOD);
	CHECK(good.nr_lost == 1 && guests_may_start(&good.dev));
	guests_forget(&bad.dev);
}

/* The frontend may reuse its pages as soon as control writes 6. */
static void one_whose_device_is_to_end_does_not_wait_for_its_turn(void **state)
{
	struct toy bad = toy_of(BAD), good = toy_of(GOOD);

	(void)state;
	fake_process_leave(GOOD);
	find_left(BAD);
	greets_as_another(BAD, MESSAGE_PROTOCOL + 1, PACKAGE_VERSION);
	greets_as_another(GOOD, MESSAGE_PROTOCOL + 1, PACKAGE_VERSION);
	turn(loop, TURNS);
	guests_looked(guests);
	CHECK(is_told_to_end(BAD) && !guests_may_start(&bad.dev));
	CHECK(!guests_release(&good.dev) && is_told_to_end(GOOD));
	fake_process_die(GOOD);
	CHECK(good.nr_ready == 1 && guests_release(&good.dev));
	CHECK(!guests_release(&bad.dev) && !is_told_to_end(BAD)); /* not twice */
	while (!bad.nr_ready) /* the process takes long to end */
		turn_for(loop, 100000000);
	CHECK(guests_release(&bad.dev) && !guests_may_start(&bad.dev));
	fake_process_die(BAD);
	CHECK(guests_may_start(&bad.dev));
}

/* A process has started its disk, and shows the disk's counters. */
static void figures_are_there_while_the_device_is_served(void **state)
{
	struct toy toy = toy_of(BAD);
	struct message message;
	struct stats_block block;

	(void)state;
	CHECK(stats_block_open(&block, &vbd_stat_list, 2) == 0);
	start(&toy);
	message = about(MESSAGE_STARTED, BAD, toy.dev.life);
	says_with(BAD, &message, block.fd, 1);
	turn(loop, TURNS);
	CHECK(toy.nr_answers == 1 && toy.dev.figures.nr_queues == 2);
	stat_add(&((struct vbd_stats *)stats_block_queue(&block, 1))->read, 5);
	CHECK(stat_get(stats_view_find(&toy.dev.figures, 1, "read", STAT_COUNTER)) == 5);
	fake_process_die(BAD);
	turn(loop, TURNS);
	CHECK(toy.nr_lost == 1 && !toy.dev.figures.mem);
	stats_block_close(&block);
}

/* Returns how often control asks the process in so many seconds. The process answers each time, or never. */
static unsigned int asked_in(uint32_t domid, unsigned int seconds, bool answers)
{
	const struct message pong = { .type = MESSAGE_PONG };
	struct message message;
	unsigned int nr = 0;

	while (seconds--) {
		guests_look_after(guests);
		while (recv(fake_processes[domid].fd, &message, sizeof(message), MSG_DONTWAIT) > 0)
			nr += message.type == MESSAGE_PING && (!answers || says(domid, &pong));
		turn(loop, TURNS);
	}
	return nr;
}

/* The process sleeps, and a question would wake it. */
static void one_that_rests_is_asked_rarely_and_soon_when_it_does_not(void **state)
{
	struct toy toy = toy_of(BAD);
	struct vbd_stats *stats;
	struct message message;
	struct stats_block block;

	(void)state;
	CHECK(stats_block_open(&block, &vbd_stat_list, 1) == 0);
	stats = stats_block_queue(&block, 0);
	start(&toy);
	message = about(MESSAGE_STARTED, BAD, toy.dev.life);
	says_with(BAD, &message, block.fd, 1);
	turn(loop, TURNS);
	loop_tick_remove(&second); /* the test's own are to be counted */
	asked_in(BAD, 10, true);
	CHECK(asked_in(BAD, 120, true) == 2);
	stat_add(&stats->read, 1);
	CHECK(asked_in(BAD, 5, true) == 1);
	guests_send(&toy.dev, &(struct message){ .type = MESSAGE_CAPTURE }, NULL, 0);
	CHECK(asked_in(BAD, 5, true) == 1);
	stat_set(&stats->oldest, 1);
	CHECK(asked_in(BAD, 20, true) == 4);
	CHECK(asked_in(BAD, 30, false) == 1 && !fake_processes[BAD].killed);
	CHECK(asked_in(BAD, 5, false) == 0 && fake_processes[BAD].killed);
	fake_process_die(BAD);
	stats_block_close(&block);
}

/* It has many devices to start, and the question comes after them. */
static void one_that_starts_its_devices_lives(void **state)
{
	struct toy toy = toy_of(BAD);
	struct message message;

	(void)state;
	loop_tick_remove(&second);
	start(&toy);
	message = about(MESSAGE_STARTED, BAD, toy.dev.life);
	asked_in(BAD, 20, false);
	CHECK(says(BAD, &message));
	asked_in(BAD, 20, false);
	CHECK(!fake_processes[BAD].killed);
	asked_in(BAD, 20, false);
	CHECK(fake_processes[BAD].killed);
	fake_process_die(BAD);
}

static void an_abandoned_device_is_not_waited_for(void **state)
{
	struct toy toy = toy_of(BAD);

	(void)state;
	loop_tick_remove(&second);
	start(&toy);
	turn(loop, TURNS);
	asked_in(BAD, 10, true);
	guests_abandon(&toy.dev);
	asked_in(BAD, 2, false);
	CHECK(toy.nr_lost == 0);
	asked_in(BAD, 2, false);
	CHECK(toy.nr_lost == 1 && !toy.dev.served_by);
	asked_in(BAD, 20,
		 false); /* it lives, to unmap the guest's pages when it gets the processor */
	CHECK(!fake_processes[BAD].killed);
	asked_in(BAD, 20, false);
	CHECK(fake_processes[BAD].killed);
	fake_process_die(BAD);
}

static void a_new_control_is_shown_them_too(void **state)
{
	struct message device = about(MESSAGE_DEVICE, BAD, 7), echo;
	struct message_served served;
	struct toy toy = toy_of(BAD);
	struct stats_block block;

	(void)state;
	CHECK(stats_block_open(&block, &vbd_stat_list, 1) == 0);
	find_left(BAD);
	greets(BAD, 1);
	says_with(BAD, &device, block.fd, 1);
	device.type = MESSAGE_START_DISK;
	memset(&device.disk, 0, sizeof(device.disk));
	CHECK(says(BAD, &device));
	turn(loop, TURNS);
	CHECK(guests_left(&toy.dev));
	guests_adopt(&toy.dev, &echo, &served);
	CHECK(stats_view_find(&toy.dev.figures, 0, "read", STAT_COUNTER));
	guests_forget(&toy.dev);
	CHECK(!toy.dev.figures.mem);
	stats_block_close(&block);
}

/* If the process shows something else than counters, the device is served without counters. */
static void one_that_shows_what_is_no_figures_has_none(void **state)
{
	int fds[4], nr = 0;
	struct message message;
	struct toy toy;

	(void)state;
	CHECK(pipe(fds) == 0);
	fds[2] = memfd_create("empty", MFD_CLOEXEC);
	fds[3] = fake_processes[GOOD].fd; /* none at all */
	for (; nr < 4; nr++) {
		toy = toy_of(BAD);
		start(&toy);
		message = about(MESSAGE_STARTED, BAD, toy.dev.life);
		says_with(BAD, &message, fds[nr], nr < 3);
		turn(loop, TURNS);
		CHECK(toy.nr_answers == 1 && !toy.dev.figures.mem && !fake_processes[BAD].killed);
		guests_forget(&toy.dev);
	}
	toy = toy_of(BAD);
	start(&toy);
	message = about(MESSAGE_STARTED, BAD, toy.dev.life);
	says_with(BAD, &message, fds[0], 2);
	turn(loop, TURNS);
	CHECK(toy.nr_answers == 0 && fake_processes[BAD].killed);
	fake_process_die(BAD);
	for (nr = 0; nr < 3; nr++)
		close(fds[nr]);
}

static void one_that_dies_again_and_again_is_seen_while_it_waits(void **state)
{
	struct toy toy = toy_of(BAD);
	char why[128];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		while (!guests_may_start(&toy.dev))
			turn_for(loop, 10000000);
		CHECK(!guests_awaited(guests, BAD, why, sizeof(why)));
		start(&toy);
		fake_process_die(BAD);
	}
	CHECK(!guests_may_start(&toy.dev) && guests_restart(guests, BAD) == -ENOENT);
	CHECK(guests_awaited(guests, BAD, why, sizeof(why)));
	CHECK(strstr(why, "guest 1 has died 3 times in a row; the next one starts in 0."));
	look_at_all();
	CHECK(nr_seen == 1 && seen.domid == BAD && seen.pid == 0 && seen.restarts == 3);
	assert_string_equal(seen.state, "waits");
	while (!guests_may_start(&toy.dev))
		turn_for(loop, 10000000);
	start(&toy);
	look_at_all();
	CHECK(nr_seen == 1 && seen.pid && seen.restarts == 3);
	guests_forget(&toy.dev);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_that_has_told_of_a_device_and_then_talks_nonsense_harms_itself_alone),
		CASE(one_that_was_just_started_has_nothing_to_be_adopted),
		CASE(one_that_was_just_started_is_of_our_version_whatever_it_says),
		CASE(nobody_tells_of_more_devices_than_there_can_be),
		CASE(another_guests_device_is_not_to_be_had),
		CASE(what_it_says_of_others_or_of_an_earlier_life_is_passed_over),
		CASE(a_flag_is_whatever_byte_it_is),
		CASE(one_that_never_stops_talking_is_heard_in_its_turn),
		CASE(one_that_does_not_read_holds_few_descriptors),
		CASE(one_that_ends_is_waited_for_and_asked_for_nothing),
		CASE(those_of_another_version_are_replaced_one_after_the_other),
		CASE(one_whose_device_is_to_end_does_not_wait_for_its_turn),
		CASE(figures_are_there_while_the_device_is_served),
		CASE(one_that_rests_is_asked_rarely_and_soon_when_it_does_not),
		CASE(one_that_starts_its_devices_lives),
		CASE(an_abandoned_device_is_not_waited_for),
		CASE(a_new_control_is_shown_them_too),
		CASE(one_that_shows_what_is_no_figures_has_none),
		CASE(one_that_dies_again_and_again_is_seen_while_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
