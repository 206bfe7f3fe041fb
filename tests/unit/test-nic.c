/* SPDX-License-Identifier: MIT */
/* The data side of a NIC: STARTs that make no sense, and messages in a wrong order. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "netback/nic.h"
#include "netback/vif_kept.h"
#include "netback/vif_undo.h"

/* --- the guest's loop: there is no worker, so no queue is ever attached --- */

static int nr_sent;

struct loop *guest_loop(struct guest *guest)
{
	return (struct loop *)(void *)guest; /* nothing is posted to it */
}

struct worker *guest_worker(struct guest *guest, const struct guest_device *device,
			    unsigned int index)
{
	(void)guest;
	(void)device;
	(void)index;
	errno = EAGAIN;
	return NULL;
}

void guest_device_started(struct guest_device *device, int err, const char *why,
			  const struct message_started *facts)
{
	(void)device;
	(void)err;
	(void)why;
	(void)facts;
	fail();
}

void guest_device_stopped(struct guest_device *device)
{
	(void)device;
	fail();
}

void guest_device_broke(struct guest_device *device, int err, const char *why)
{
	(void)device;
	(void)err;
	(void)why;
	fail();
}

struct message guest_message(const struct guest_device *device, uint32_t type)
{
	(void)device;
	return (struct message){ .type = type };
}

void guest_send(struct guest_device *device, const struct message *message)
{
	(void)device;
	(void)message;
	nr_sent++;
}

/* --- the rig --- */

static struct guest_device *nic;
static int fds[MESSAGE_MAX_FDS];
static unsigned int nr_fds;

static void add_fd(size_t bytes)
{
	int fd = memfd_create("test-nic", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	fds[nr_fds++] = fd;
}

/* A correct START: taps (which are not used here), undos, and the kept state. */
static int setup(void **state)
{
	(void)state;
	nic = calloc(1, nic_device_ops.size);
	nic->ops = &nic_device_ops;
	nic->start.type = MESSAGE_START_NIC;
	nic->start.nic = (struct message_start_nic){ .nr_queues = 2, .ctrl = true };
	nr_fds = 0;
	nr_sent = 0;
	add_fd(0);
	add_fd(0);
	for (int i = 0; i < 3; i++)
		add_fd(sizeof(struct vif_undo));
	add_fd(sizeof(struct vif_kept));
	return 0;
}

/* After each test nothing is left, and no descriptor was closed twice. */
static int teardown(void **state)
{
	(void)state;
	nic_device_ops.done(nic);
	for (unsigned int i = 0; i < nr_fds; i++)
		if (fds[i] >= 0)
			assert_int_equal(close(fds[i]), 0);
	free(nic);
	return 0;
}

static void expect_begin(int err)
{
	char why[MESSAGE_WHY_MAX] = "";

	assert_int_equal(nic_device_ops.begin(nic, fds, nr_fds, why), err);
	assert_string_not_equal(why, "");
}

/* --- the tests --- */

static void without_a_worker_nothing_begins(void **state)
{
	(void)state;
	expect_begin(-EAGAIN);
}

static void numbers_of_queues_are_checked(void **state)
{
	static const uint32_t wrong[] = { 0, 1, 3, MESSAGE_NIC_QUEUES + 1, UINT32_MAX, 1u << 31 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		nic->start.nic.nr_queues = wrong[i];
		expect_begin(-EINVAL);
	}
}

static void descriptors_are_counted(void **state)
{
	(void)state;
	nic->start.nic.ctrl = false;
	expect_begin(-EINVAL);
	nic->start.nic.ctrl = true;
	close(fds[--nr_fds]);
	expect_begin(-EINVAL);
}

static void files_that_are_too_short_are_refused(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(fds[nr_fds - 1], 10), 0);
	expect_begin(-EBADMSG);
}

static void an_undo_that_is_too_short_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(fds[2], 10), 0);
	expect_begin(-EBADMSG);
}

static void rules_are_counted(void **state)
{
	(void)state;
	nic->start.nic.tuning.filter.nr_addrs = MESSAGE_ADDRS + 1;
	expect_begin(-EINVAL);
}

/* Control sends none of these, but a bug in control must not end the process. */
static void what_comes_too_early_changes_nothing(void **state)
{
	struct message message = { .type = MESSAGE_TUNE_NIC };
	int none[1] = { -1 };

	(void)state;
	expect_begin(-EAGAIN);
	nic_device_ops.message(nic, &message, NULL, 0);
	message = (struct message){ .type = MESSAGE_CAPTURE };
	message.capture.on = true; /* into no file */
	message.capture.snaplen = 100;
	nic_device_ops.message(nic, &message, NULL, 0);
	nic_device_ops.message(nic, &message, none, 1);
	message.capture.nr_insns = UINT32_MAX;
	none[0] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	nic_device_ops.message(nic, &message, none, 1);
	assert_int_equal(none[0], -1);
	assert_int_equal(nr_sent, 3); /* none of these captures has begun */
	message = (struct message){ .type = MESSAGE_FLOW };
	nic_device_ops.message(nic, &message, NULL, 0);
	assert_int_equal(nr_sent, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_worker_nothing_begins, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_of_queues_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(files_that_are_too_short_are_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_undo_that_is_too_short_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rules_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_too_early_changes_nothing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
