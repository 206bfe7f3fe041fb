/* SPDX-License-Identifier: MIT */
/* What a vif keeps for a later daemon: the file, and the list of groups in it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "netback/vif_kept.h"
#include "netback/vif_state.h"

static char dir[] = "/tmp/test-vif-kept.XXXXXX";
static char path[64];
static int nr_reasons;
static struct device_env env = { .runtime_dir = dir };
static struct device dev = { .env = &env, .domid = 7, .devid = 2 };
static struct message_start_nic start;
static struct vif_state state_of_it;

void device_reason(struct device *of, int err, const char *fmt, ...)
{
	(void)of;
	(void)err;
	(void)fmt;
	nr_reasons++;
}

void device_log(struct device *of, enum log_level level, const char *fmt, ...)
{
	(void)of;
	(void)level;
	(void)fmt;
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/vif-7-2.state", dir);
	start = (struct message_start_nic){ .nr_queues = 2, .ctrl = true };
	dev.devid = 2;
	nr_reasons = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vif_state_remove(&dev);
	assert_int_equal(rmdir(dir), 0);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return 0;
}

static const uint8_t *group(unsigned int last)
{
	static uint8_t address[6] = { 0x33, 0x33, 0, 0, 0, 0 };

	address[5] = (uint8_t)last;
	return address;
}

static bool file_exists(void)
{
	return access(path, F_OK) == 0;
}

static void overwrite(off_t at, const char *text)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
	close(fd);
}

static void list_takes_64_groups_and_each_once(void **state)
{
	struct mcast list = { 0 };

	(void)state;
	for (unsigned int i = 0; i < MCAST_MAX; i++) {
		assert_false(mcast_has(&list, group(i)));
		assert_int_equal(mcast_add(&list, group(i)), 0);
		assert_int_equal(mcast_add(&list, group(i)), 0);
		assert_true(mcast_has(&list, group(i)));
	}
	assert_int_equal(mcast_add(&list, group(100)), -ENOSPC);
	assert_int_equal(mcast_remove(&list, group(100)), 0);
	assert_int_equal(mcast_remove(&list, group(3)), 0);
	assert_false(mcast_has(&list, group(3)));
	assert_int_equal(mcast_add(&list, group(100)), 0);
	assert_true(mcast_has(&list, group(100)));
}

static void only_group_addresses_are_taken(void **state)
{
	struct mcast list = { 0 };
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t one[6] = { 0, 0x16, 0x3e, 1, 2, 3 }, none[6] = { 0 };

	(void)state;
	assert_int_equal(mcast_add(&list, one), -EINVAL);
	assert_int_equal(mcast_add(&list, none), -EINVAL);
	assert_int_equal(mcast_remove(&list, none), -EINVAL);
	assert_true(mcast_is_group(group(1)));
	assert_false(mcast_is_group(everybody));
	assert_false(mcast_is_group(one));
}

/* As the process that serves the rings gets it: the last descriptor. */
static struct vif_kept *open_state(bool resume)
{
	struct vif_kept *kept;

	start.resume = resume;
	assert_int_equal(vif_state_open(&state_of_it, &dev, &start), 0);
	assert_int_equal(state_of_it.nr_fds, 4);
	assert_int_equal(vif_kept_map(state_of_it.fds[3], &kept), 0);
	vif_state_close(&state_of_it);
	return kept;
}

static void expect_lost(int err)
{
	struct vif_kept *kept = open_state(true);

	assert_int_equal(state_of_it.left_err, err);
	assert_false(mcast_has(&kept->mcast, group(9)));
	assert_int_equal(state_of_it.hash.algorithm, 0);
	mcast_add(&kept->mcast, group(9));
	vif_kept_unmap(kept);
}

static void what_is_kept_is_found_again(void **state)
{
	struct vif_kept *kept = open_state(false);

	(void)state;
	mcast_add(&kept->mcast, group(9));
	kept->hash.algorithm = HASH_TOEPLITZ;
	vif_kept_unmap(kept);
	kept = open_state(true);
	assert_int_equal(state_of_it.left_err, 0);
	assert_int_equal(state_of_it.hash.algorithm, HASH_TOEPLITZ);
	assert_true(mcast_has(&kept->mcast, group(9)));
	vif_kept_unmap(kept);
	vif_state_remove(&dev);
	assert_false(file_exists());
	expect_lost(-ENOENT);
}

static void a_new_connection_begins_empty(void **state)
{
	struct vif_kept *kept = open_state(false);

	(void)state;
	mcast_add(&kept->mcast, group(9));
	vif_kept_unmap(kept);
	kept = open_state(false);
	assert_false(mcast_has(&kept->mcast, group(9)));
	vif_kept_unmap(kept);
}

static void what_is_not_ours_is_not_read(void **state)
{
	struct message_hash hash;
	struct vif_kept *kept = open_state(false);
	char other_path[64];

	(void)state;
	mcast_add(&kept->mcast, group(9));
	snprintf(other_path, sizeof(other_path), "%s/vif-7-3.state", dir);
	assert_int_equal(rename(path, other_path), 0);
	dev.devid = 3;
	expect_lost(-EBADMSG);
	vif_state_remove(&dev);
	dev.devid = 2;
	expect_lost(-ENOENT);
	overwrite(8, "X"); /* the version */
	expect_lost(-EBADMSG);
	vif_kept_unmap(kept);
	kept = open_state(true);
	kept->hash.mapping_size = 1; /* a guest may have written this */
	kept->hash.mapping[0] = 2;
	vif_state_read_hash(&dev, 2, &hash);
	assert_int_equal(hash.mapping_size, 0);
	vif_kept_unmap(kept);
	expect_lost(-EBADMSG);
	assert_int_equal(truncate(path, 100), 0);
	expect_lost(-EBADMSG);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	expect_lost(-EPERM);
}

static void damaged_undo_is_a_ring_that_cannot_be_taken_up(void **state)
{
	char undo[64];

	(void)state;
	snprintf(undo, sizeof(undo), "%s/vif-7-2-8.ring", dir); /* the control ring's */
	vif_kept_unmap(open_state(false));
	assert_int_equal(truncate(undo, 10), 0);
	start.resume = true;
	assert_int_equal(vif_state_open(&state_of_it, &dev, &start), -EBADMSG);
	assert_int_equal(state_of_it.nr_fds, 0);
	assert_int_equal(nr_reasons, 1);
	vif_kept_unmap(open_state(false));
}

static void without_a_folder_it_is_in_memory(void **state)
{
	(void)state;
	env.runtime_dir = "/nonexistent";
	start = (struct message_start_nic){ .nr_queues = 2, .ctrl = true };
	expect_lost(-ENOENT);
	env.runtime_dir = dir;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_takes_64_groups_and_each_once),
		cmocka_unit_test(only_group_addresses_are_taken),
		cmocka_unit_test_setup_teardown(what_is_kept_is_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_connection_begins_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_ours_is_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_undo_is_a_ring_that_cannot_be_taken_up,
						setup, teardown),
		cmocka_unit_test(without_a_folder_it_is_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
