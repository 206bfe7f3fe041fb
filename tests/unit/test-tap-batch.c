/* SPDX-License-Identifier: MIT */
/* Several frames in one call: each arrives once and in order, whatever the kernel returns for the others. */
#include <errno.h>
#include <libaio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netback/tap_batch.h"
#include "unit.h"

/* --- the kernel --- */

static int setup_error, submit_error, nr_submits;
static long submit_most;

int __real_io_setup(int max, io_context_t *ret);
int __wrap_io_setup(int max, io_context_t *ret);
int __real_io_submit(io_context_t ctx, long nr, struct iocb **list);
int __wrap_io_submit(io_context_t ctx, long nr, struct iocb **list);

int __wrap_io_setup(int max, io_context_t *ret)
{
	return setup_error ? -setup_error : __real_io_setup(max, ret);
}

int __wrap_io_submit(io_context_t ctx, long nr, struct iocb **list)
{
	nr_submits++;
	if (submit_error)
		return -submit_error;
	return __real_io_submit(ctx, nr < submit_most ? nr : submit_most, list);
}

/* --- a tap: a frame that is written in one piece is read in one piece --- */

static int tap[2];
static struct tap_batch *batch;
static char texts[TAP_BATCH_MAX][24];

static int begin(void **state)
{
	(void)state;
	setup_error = submit_error = nr_submits = 0;
	submit_most = TAP_BATCH_MAX;
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, tap));
	batch = tap_batch_new();
	CHECK(batch);
	return 0;
}

static int end(void **state)
{
	(void)state;
	tap_batch_free(batch);
	close(tap[0]);
	close(tap[1]);
	return 0;
}

static void add(unsigned int number)
{
	struct tap_frame *frame = tap_batch_next(batch);

	snprintf(texts[number], sizeof(texts[number]), "frame %u", number);
	memset(&frame->hdr, (int)number, sizeof(frame->hdr));
	frame->iov[0] = (struct iovec){ &frame->hdr, sizeof(frame->hdr) };
	frame->iov[1] = (struct iovec){ texts[number], strlen(texts[number]) };
	frame->nr_iov = 2;
	frame->user = texts[number];
	frame->err = -1;
	tap_batch_add(batch);
}

static void expect_frame(unsigned int number)
{
	char got[64] = "";
	ssize_t n = recv(tap[1], got, sizeof(got), 0);

	CHECK(n == (ssize_t)(sizeof(struct virtio_net_hdr) + strlen(texts[number])));
	CHECK(got[0] == (char)number);
	assert_string_equal(got + sizeof(struct virtio_net_hdr), texts[number]);
}

static void expect_no_frame(void)
{
	char got[64];

	CHECK(recv(tap[1], got, sizeof(got), 0) < 0 && errno == EAGAIN);
}

static void write_all(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		add(i);
	CHECK(tap_batch_write(batch, tap[0]) == nr);
}

static void expect_all(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		CHECK(tap_batch_get(batch, i)->err == 0);
		CHECK(tap_batch_get(batch, i)->user == texts[i]);
		expect_frame(i);
	}
	expect_no_frame();
}

/* --- */

static void all_go_in_one_call(void **state)
{
	(void)state;
	write_all(TAP_BATCH_MAX);
	expect_all(TAP_BATCH_MAX);
	CHECK(nr_submits == 1);
}

static void a_single_one_goes_by_the_plain_call(void **state)
{
	(void)state;
	write_all(1);
	expect_all(1);
	CHECK(nr_submits == 0);
}

static void none_is_none(void **state)
{
	(void)state;
	CHECK(tap_batch_write(batch, tap[0]) == 0);
	expect_no_frame();
}

static void a_batch_can_be_used_again(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 200; round++) {
		write_all(1 + round % 7);
		expect_all(1 + round % 7);
		tap_batch_reset(batch);
	}
}

static void one_that_fails_fails_alone(void **state)
{
	(void)state;
	add(0);
	add(1);
	tap_batch_next(batch)[-1].iov[1].iov_base = (void *)16; /* an invalid address */
	add(2);
	CHECK(tap_batch_write(batch, tap[0]) == 3);
	CHECK(tap_batch_get(batch, 0)->err == 0);
	CHECK(tap_batch_get(batch, 1)->err == EFAULT);
	CHECK(tap_batch_get(batch, 2)->err == 0);
	expect_frame(0);
	expect_frame(2);
	expect_no_frame();
}

static void what_is_not_taken_goes_by_the_plain_call(void **state)
{
	(void)state;
	submit_most = 3;
	write_all(8);
	expect_all(8);
}

static void nothing_is_taken(void **state)
{
	(void)state;
	submit_error = EAGAIN;
	write_all(8);
	expect_all(8);
}

static void a_full_tap_is_an_error_of_its_frames(void **state)
{
	unsigned int nr_sent = 0;

	(void)state;
	for (unsigned int round = 0; round < 100; round++) {
		write_all(TAP_BATCH_MAX);
		for (unsigned int i = 0; i < TAP_BATCH_MAX; i++) {
			int err = tap_batch_get(batch, i)->err;

			CHECK(err == 0 || err == EAGAIN);
			nr_sent += err == 0;
		}
		tap_batch_reset(batch);
	}
	CHECK(nr_sent > 0 && nr_sent < 100 * TAP_BATCH_MAX);
	for (unsigned int i = 0; i < nr_sent; i++)
		CHECK(recv(tap[1], texts[0], sizeof(texts[0]), 0) > 0);
	expect_no_frame();
}

static void it_works_without_aio(void **state)
{
	(void)state;
	tap_batch_free(batch);
	setup_error = EAGAIN;
	batch = tap_batch_new();
	CHECK(batch);
	write_all(8);
	expect_all(8);
	CHECK(nr_submits == 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(all_go_in_one_call),
		TEST(a_single_one_goes_by_the_plain_call),
		TEST(none_is_none),
		TEST(a_batch_can_be_used_again),
		TEST(one_that_fails_fails_alone),
		TEST(what_is_not_taken_goes_by_the_plain_call),
		TEST(nothing_is_taken),
		TEST(a_full_tap_is_an_error_of_its_frames),
		TEST(it_works_without_aio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
