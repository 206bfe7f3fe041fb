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

#include "core/statefile.h"
#include "netback/vif_file.h"
#include "netback/vif_kept.h"

static char dir[] = "/tmp/test-vif-kept.XXXXXX";
static char path[64];
static struct vif_id id;

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/vif-7-2.state", dir);
	id = (struct vif_id){ dir, 7, 2 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(dir);
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

static struct vif_kept *begin(void)
{
	struct vif_kept *kept;
	int fd;

	assert_int_equal(vif_file_new_state(&id, &fd), 0);
	assert_int_equal(vif_kept_map(fd, &kept), 0);
	statefile_close(&fd);
	assert_int_equal(vif_kept_check(kept, 7, 2, 1), -ENOENT);
	vif_kept_begin(kept, 7, 2);
	return kept;
}

/* By whatever is behind the name now. */
static int look(uint32_t devid, uint32_t nr_queues, struct vif_kept **ret)
{
	int fd, err = vif_file_left_state(&id, &fd);

	if (err)
		return err;
	assert_int_equal(vif_kept_map(fd, ret), 0);
	statefile_close(&fd);
	err = vif_kept_check(*ret, 7, devid, nr_queues);
	if (err)
		vif_kept_unmap(*ret);
	return err;
}

static void what_is_kept_is_found_again(void **state)
{
	struct vif_kept *kept = begin();

	(void)state;
	mcast_add(&kept->mcast, group(9));
	vif_kept_unmap(kept);
	assert_int_equal(look(2, 1, &kept), 0);
	assert_true(mcast_has(&kept->mcast, group(9)));
	vif_kept_begin(kept, 7, 2);
	assert_false(mcast_has(&kept->mcast, group(9)));
	vif_kept_unmap(kept);
	vif_kept_unmap(NULL);
	vif_file_forget_state(&id);
	assert_false(file_exists());
	assert_int_equal(look(2, 1, &kept), -ENOENT);
}

static void a_new_connection_begins_empty(void **state)
{
	struct vif_kept *kept = begin();

	(void)state;
	mcast_add(&kept->mcast, group(9));
	vif_kept_unmap(kept);
	kept = begin();
	assert_false(mcast_has(&kept->mcast, group(9)));
	vif_kept_unmap(kept);
}

static void what_is_not_ours_is_not_read(void **state)
{
	struct vif_kept *kept = begin(), *other;

	(void)state;
	assert_int_equal(look(3, 1, &other), -EBADMSG);
	kept->hash.mapping_size = 1;
	kept->hash.mapping[0] = 5; /* a queue that there is not */
	assert_int_equal(look(2, 1, &other), -EBADMSG);
	vif_kept_unmap(kept);
	vif_kept_unmap(begin());
	overwrite(8, "X"); /* the version */
	assert_int_equal(look(2, 1, &kept), -EBADMSG);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(look(2, 1, &kept), -EBADMSG);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(look(2, 1, &kept), -EPERM);
}

static void folder_that_is_not_there_is_an_error(void **state)
{
	struct vif_id nowhere = { "/nonexistent", 7, 2 };
	int fd;

	(void)state;
	assert_int_equal(vif_file_new_state(&nowhere, &fd), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_takes_64_groups_and_each_once),
		cmocka_unit_test(only_group_addresses_are_taken),
		cmocka_unit_test_setup_teardown(what_is_kept_is_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_connection_begins_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_ours_is_not_read, setup, teardown),
		cmocka_unit_test(folder_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
