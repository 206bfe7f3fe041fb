/* SPDX-License-Identifier: MIT */
/* The socket between control and the process that serves the rings, and the format of its messages. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/link.h"

/* --- messages --- */

static struct message about(uint32_t type, uint32_t kind)
{
	return (struct message){
		.type = type, .kind = kind, .domid = kind ? 7 : 0, .life = kind ? 1 : 0
	};
}

static uint32_t kind_for(uint32_t type)
{
	switch (type) {
	case MESSAGE_HELLO:
	case MESSAGE_DUMP:
	case MESSAGE_LOG_LEVEL:
	case MESSAGE_TRACE:
	case MESSAGE_PING:
	case MESSAGE_END:
	case MESSAGE_PONG:
		return MESSAGE_NO_KIND;
	case MESSAGE_START_NIC:
	case MESSAGE_TUNE_NIC:
	case MESSAGE_CAPTURE:
	case MESSAGE_CARRIER:
	case MESSAGE_HASH:
	case MESSAGE_CAPTURED:
		return MESSAGE_VIF;
	default:
		return MESSAGE_VBD;
	}
}

static bool passes(struct message *message, size_t size, enum message_from from)
{
	return message_check(message, size, 0, from) == 0;
}

static void each_type_passes_with_its_size_and_no_other(void **state)
{
	(void)state;
	for (uint32_t type = 1; type < MESSAGE_NR_TYPES; type++) {
		struct message message = about(type, kind_for(type));
		size_t size = message_bytes(type);

		CHECK(size >= offsetof(struct message, hello) && size <= sizeof(message));
		CHECK(passes(&message, size, MESSAGE_FROM_CONTROL) ||
		      passes(&message, size, MESSAGE_FROM_GUEST));
		for (enum message_from from = 0; from <= MESSAGE_FROM_GUEST; from++) {
			CHECK(!passes(&message, size - 1, from));
			CHECK(!passes(&message, size + 1, from));
			CHECK(!passes(&message, 3, from));
		}
	}
}

static void types_that_there_are_not_are_refused(void **state)
{
	const uint32_t types[] = { 0, MESSAGE_NR_TYPES, 1u << 31, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message message = about(types[i], MESSAGE_VBD);

		CHECK(message_bytes(types[i]) == 0);
		for (size_t size = 0; size <= sizeof(message); size += 8)
			CHECK(!passes(&message, size, MESSAGE_FROM_GUEST));
	}
}

static void a_guest_cannot_say_what_is_controls(void **state)
{
	static const uint32_t types[] = { MESSAGE_STOP,      MESSAGE_HALT,
					  MESSAGE_TUNE_DISK, MESSAGE_TUNE_NIC,
					  MESSAGE_CAPTURE,   MESSAGE_NBD_CONNECTED,
					  MESSAGE_DUMP,      MESSAGE_LOG_LEVEL,
					  MESSAGE_PING,      MESSAGE_END };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message message = about(types[i], kind_for(types[i]));

		CHECK(passes(&message, message_bytes(types[i]), MESSAGE_FROM_CONTROL));
		CHECK(!passes(&message, message_bytes(types[i]), MESSAGE_FROM_GUEST));
	}
}

static void a_message_is_about_a_device_of_its_kind(void **state)
{
	struct message message = about(MESSAGE_START_DISK, MESSAGE_VIF);
	size_t size = message_bytes(MESSAGE_START_DISK);

	(void)state;
	CHECK(!passes(&message, size, MESSAGE_FROM_CONTROL));
	message.kind = MESSAGE_NO_KIND;
	CHECK(!passes(&message, size, MESSAGE_FROM_CONTROL));
	message.kind = MESSAGE_NR_KINDS;
	CHECK(!passes(&message, size, MESSAGE_FROM_CONTROL));
	message.kind = MESSAGE_VBD3;
	CHECK(passes(&message, size, MESSAGE_FROM_CONTROL));
	message.domid = 0x7ff0;
	CHECK(!passes(&message, size, MESSAGE_FROM_CONTROL));
	message = about(MESSAGE_PONG, MESSAGE_VBD);
	CHECK(!passes(&message, message_bytes(MESSAGE_PONG), MESSAGE_FROM_GUEST));
}

static void a_guests_process_has_figures_to_show_and_no_other_descriptor(void **state)
{
	struct message message = about(MESSAGE_START_DISK, MESSAGE_VBD);
	size_t size = message_bytes(MESSAGE_START_DISK);

	(void)state;
	CHECK(message_check(&message, size, 4, MESSAGE_FROM_CONTROL) == 0);
	CHECK(message_check(&message, size, MESSAGE_MAX_FDS + 1, MESSAGE_FROM_CONTROL) == -EPROTO);
	CHECK(message_check(&message, size, 1, MESSAGE_FROM_GUEST) == -EPROTO);
	for (uint32_t type = 1; type < MESSAGE_NR_TYPES; type++) {
		unsigned int most = type == MESSAGE_STARTED || type == MESSAGE_DEVICE;

		message = about(type, kind_for(type));
		size = message_bytes(type);
		if (!passes(&message, size, MESSAGE_FROM_GUEST))
			continue;
		CHECK(message_check(&message, size, most, MESSAGE_FROM_GUEST) == 0);
		CHECK(message_check(&message, size, most + 1, MESSAGE_FROM_GUEST) == -EPROTO);
	}
}

static void a_text_ends_inside_its_message(void **state)
{
	struct message message = about(MESSAGE_STARTED, MESSAGE_VBD);

	(void)state;
	memset(message.started.why, 'x', sizeof(message.started.why));
	CHECK(passes(&message, message_bytes(MESSAGE_STARTED), MESSAGE_FROM_GUEST));
	CHECK(strlen(message.started.why) == sizeof(message.started.why) - 1);
	strcpy(message.started.why, "two\nlines\x1b[2J");
	CHECK(message_check(&message, message_bytes(MESSAGE_STARTED), 0, MESSAGE_FROM_GUEST) == 0);
	CHECK(!strcmp(message.started.why, "two?lines?[2J"));
}

static void a_kind_has_one_name(void **state)
{
	(void)state;
	for (uint32_t kind = 1; kind < MESSAGE_NR_KINDS; kind++)
		CHECK(message_kind_of(message_kind_name(kind)) == kind);
	CHECK(message_kind_of("tap") == MESSAGE_NO_KIND);
	CHECK(!message_kind_name(MESSAGE_NR_KINDS) && !message_kind_name(0));
}

/* --- links --- */

struct end {
	struct loop *loop;
	struct link *link;
	uint32_t nr, last;
	int fd; /* that came */
	int ended;
	uint32_t wanted; /* then the loop ends */
	bool free_it;
};

static void end_received(void *user, const struct message *message, int *fds, unsigned int nr_fds)
{
	struct end *end = user;

	CHECK(message->devid == end->nr);
	end->nr++;
	if (nr_fds) {
		end->fd = fds[0];
		fds[0] = -1;
	}
	if (end->free_it)
		end->link = link_free(end->link);
	if (end->nr == end->wanted)
		loop_quit(end->loop);
}

static void end_ended(void *user, int err)
{
	struct end *end = user;

	end->ended = err;
	loop_quit(end->loop);
}

static void open_end(struct end *end, struct loop *loop, int fd, enum message_from other)
{
	struct link_setup setup = { .loop = loop,
				    .fd = fd,
				    .other = other,
				    .received = end_received,
				    .ended = end_ended,
				    .user = end };

	*end = (struct end){ .loop = loop, .fd = -1 };
	end->link = link_new(&setup);
	CHECK(end->link);
}

static void stopped_number(struct message *message, uint32_t nr)
{
	*message = about(MESSAGE_STOPPED, MESSAGE_VBD);
	message->devid = nr;
}

static void more_than_the_socket_takes_comes_all_the_same_and_in_order(void **state)
{
	struct loop *loop = loop_new();
	struct end control, guest;
	struct message message;
	int pair[2];

	(void)state;
	CHECK(link_pair(pair) == 0);
	open_end(&control, loop, pair[0], MESSAGE_FROM_GUEST);
	open_end(&guest, loop, pair[1], MESSAGE_FROM_CONTROL);
	for (uint32_t i = 0; i < 3000; i++) {
		stopped_number(&message, i);
		link_send(guest.link, &message, NULL, 0);
	}
	control.wanted = 3000;
	CHECK(loop_run(loop) == 0);
	CHECK(control.nr == 3000 && !control.ended && !guest.ended);
	link_free(guest.link);
	link_free(control.link);
	loop_free(loop);
}

static void an_end_that_does_not_read_is_given_up(void **state)
{
	struct loop *loop = loop_new();
	struct message message;
	struct end guest;
	int pair[2];

	(void)state;
	CHECK(link_pair(pair) == 0);
	open_end(&guest, loop, pair[1], MESSAGE_FROM_CONTROL);
	stopped_number(&message, 0);
	for (uint32_t i = 0; i < 100000 && !guest.ended; i++)
		link_send(guest.link, &message, NULL, 0);
	CHECK(loop_run(loop) == 0);
	CHECK(guest.ended == -ENOBUFS);
	link_send(guest.link, &message, NULL, 0); /* goes nowhere */
	link_free(guest.link);
	close(pair[0]);
	loop_free(loop);
}

static void a_descriptor_comes_with_its_message_even_when_that_was_kept(void **state)
{
	struct loop *loop = loop_new();
	struct end control, guest;
	struct message message;
	int pair[2], pipe_fds[2], nr = 0;

	(void)state;
	CHECK(link_pair(pair) == 0 && pipe(pipe_fds) == 0);
	open_end(&control, loop, pair[0], MESSAGE_FROM_GUEST);
	open_end(&guest, loop, pair[1], MESSAGE_FROM_CONTROL);
	for (; nr < 2000; nr++) {
		message = about(MESSAGE_START_DISK, MESSAGE_VBD);
		message.devid = (uint32_t)nr;
		link_send(control.link, &message, pipe_fds, nr == 1999);
	}
	close(pipe_fds[0]);
	guest.wanted = 2000;
	CHECK(loop_run(loop) == 0);
	CHECK(guest.fd >= 0 && fcntl(guest.fd, F_GETFD) == FD_CLOEXEC);
	close(pipe_fds[1]);
	close(guest.fd);
	link_free(guest.link);
	link_free(control.link);
	loop_free(loop);
}

static void what_is_no_message_ends_the_link(void **state)
{
	struct loop *loop = loop_new();
	struct end control;
	char nonsense[5000] = { 1 };
	static const size_t sizes[] = { 1, 24, 200, 5000 };
	int pair[2];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CHECK(link_pair(pair) == 0);
		open_end(&control, loop, pair[0], MESSAGE_FROM_GUEST);
		CHECK(send(pair[1], nonsense, sizes[i], 0) == (ssize_t)sizes[i]);
		CHECK(loop_run(loop) == 0);
		CHECK(control.ended == -EPROTO && control.nr == 0);
		link_free(control.link);
		close(pair[1]);
	}
	loop_free(loop);
}

static void the_other_ends_end_is_told_after_what_it_said(void **state)
{
	struct loop *loop = loop_new();
	struct end control, guest;
	struct message message;
	int pair[2];

	(void)state;
	CHECK(link_pair(pair) == 0);
	open_end(&control, loop, pair[0], MESSAGE_FROM_GUEST);
	open_end(&guest, loop, pair[1], MESSAGE_FROM_CONTROL);
	stopped_number(&message, 0);
	link_send(guest.link, &message, NULL, 0);
	link_free(guest.link);
	CHECK(loop_run(loop) == 0);
	CHECK(control.nr == 1 && control.ended == -EPIPE);
	link_free(control.link);
	loop_free(loop);
}

static void quit_now(void *user)
{
	loop_quit(user);
}

static void a_link_may_be_freed_in_its_own_callback(void **state)
{
	struct loop *loop = loop_new();
	struct loop_timer timer = { 0 };
	struct end control, guest;
	struct message message;
	int pair[2];

	(void)state;
	CHECK(link_pair(pair) == 0);
	open_end(&control, loop, pair[0], MESSAGE_FROM_GUEST);
	open_end(&guest, loop, pair[1], MESSAGE_FROM_CONTROL);
	control.free_it = true;
	for (uint32_t i = 0; i < 3; i++) {
		stopped_number(&message, i);
		link_send(guest.link, &message, NULL, 0);
	}
	CHECK(loop_run(loop) == 0); /* the guest's end notices that the other end is closed */
	CHECK(control.nr == 1 && !control.link && guest.ended);
	loop_timer_set(loop, &timer, 0, quit_now, loop);
	CHECK(loop_run(loop) == 0);
	link_free(guest.link);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_passes_with_its_size_and_no_other),
		cmocka_unit_test(types_that_there_are_not_are_refused),
		cmocka_unit_test(a_guest_cannot_say_what_is_controls),
		cmocka_unit_test(a_message_is_about_a_device_of_its_kind),
		cmocka_unit_test(a_guests_process_has_figures_to_show_and_no_other_descriptor),
		cmocka_unit_test(a_text_ends_inside_its_message),
		cmocka_unit_test(a_kind_has_one_name),
		cmocka_unit_test(more_than_the_socket_takes_comes_all_the_same_and_in_order),
		cmocka_unit_test(an_end_that_does_not_read_is_given_up),
		cmocka_unit_test(a_descriptor_comes_with_its_message_even_when_that_was_kept),
		cmocka_unit_test(what_is_no_message_ends_the_link),
		cmocka_unit_test(the_other_ends_end_is_told_after_what_it_said),
		cmocka_unit_test(a_link_may_be_freed_in_its_own_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
