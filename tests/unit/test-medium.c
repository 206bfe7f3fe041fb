/* SPDX-License-Identifier: MIT */
/* The storage below a disk and its users, on a simulated host: a folder with sys/ and proc/. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "hotplug/aside.h"
#include "hotplug/host.h"
#include "hotplug/medium.h"

static char root[] = "/tmp/test-medium-XXXXXX";

/* --- the host --- */

__attribute__((format(printf, 2, 3))) static void put(const char *content, const char *fmt, ...)
{
	char path[600], command[700];
	va_list ap;
	size_t n = (size_t)snprintf(path, sizeof(path), "%s/", root);
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - n, fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "mkdir -p $(dirname %s)", path);
	assert_int_equal(system(command), 0);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(content, f);
	assert_int_equal(fclose(f), 0);
}

/* Make a block device at `where` below sys/devices; with `top` it is also in sys/block. */
static void block(const char *where, unsigned int maj, unsigned int min, bool top)
{
	char number[32], from[300], to[300];
	const char *name = strrchr(where, '/') ? strrchr(where, '/') + 1 : where;

	snprintf(number, sizeof(number), "%u:%u\n", maj, min);
	put(number, "sys/devices/%s/dev", where);
	put("", "sys/dev/block/x");
	put("", "sys/block/.x");
	snprintf(to, sizeof(to), "../../devices/%s", where);
	snprintf(from, sizeof(from), "%s/sys/dev/block/%u:%u", root, maj, min);
	assert_int_equal(symlink(to, from), 0);
	snprintf(to, sizeof(to), "../devices/%s", where);
	snprintf(from, sizeof(from), "%s/sys/block/%s", root, name);
	assert_true(!top || symlink(to, from) == 0);
}

static void partition(const char *disk, const char *name, unsigned int min, const char *start,
		      const char *size)
{
	char where[64];

	snprintf(where, sizeof(where), "%s/%s", disk, name);
	block(where, 8, min, false);
	put("1\n", "sys/devices/%s/partition", where);
	put(start, "sys/devices/%s/start", where);
	put(size, "sys/devices/%s/size", where);
}

static void loop(unsigned int nr, const char *offset, const char *limit)
{
	char name[32];

	snprintf(name, sizeof(name), "loop%u", nr);
	block(name, 7, nr, true);
	put("/somewhere\n", "sys/devices/%s/loop/backing_file", name);
	put(offset, "sys/devices/%s/loop/offset", name);
	put(limit, "sys/devices/%s/loop/sizelimit", name);
}

static void slave(const char *upper, const char *where)
{
	const char *name = strrchr(where, '/') ? strrchr(where, '/') + 1 : where;
	char from[300], to[300];

	put("", "sys/devices/%s/slaves/.x", upper);
	snprintf(from, sizeof(from), "%s/sys/devices/%s/slaves/%s", root, upper, name);
	snprintf(to, sizeof(to), "../../%s", where);
	assert_int_equal(symlink(to, from), 0);
}

/*
 * sda with two partitions; the volume group on sda2 and sdb has two volumes; md0 is made of sdc1 and sdd,
 * and has a volume on it. loop1 is a file, loop2 its second MiB, loop3 lies on sda1.
 */
static int make_host(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	block("sda", 8, 0, true);
	partition("sda", "sda1", 1, "2048\n", "1000\n");
	partition("sda", "sda2", 2, "4096\n", "1000\n");
	block("sdb", 8, 16, true);
	block("sdc", 8, 32, true);
	partition("sdc", "sdc1", 33, "2048\n", "1000\n");
	block("sdd", 8, 48, true);
	block("dm-0", 253, 0, true);
	put("vg-one\n", "sys/devices/dm-0/dm/name");
	slave("dm-0", "sda/sda2");
	block("dm-1", 253, 1, true);
	put("vg-two\n", "sys/devices/dm-1/dm/name");
	slave("dm-1", "sda/sda2");
	slave("dm-1", "sdb");
	block("md0", 9, 0, true);
	slave("md0", "sdc/sdc1");
	slave("md0", "sdd");
	block("dm-2", 253, 2, true);
	slave("dm-2", "md0");
	loop(1, "0\n", "0\n");
	loop(2, "1048576\n", "1048576\n");
	loop(3, "0\n", "0\n");
	put("", "proc/self/mountinfo");
	put("", "proc/swaps");
	return 0;
}

static int remove_host(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* --- the answers of the storage --- */

static struct hotplug_book book;

static void know(const char *path, bool in_loop, struct hotplug_identity identity)
{
	struct hotplug_identity none;
	struct hotplug_asked *asked;

	assert_int_equal(hotplug_book_look(&book, path, in_loop, &none), -EINPROGRESS);
	asked = &book.asked[book.nr - 1];
	asked->done = true;
	asked->err = 0;
	asked->identity = identity;
}

static const struct hotplug_identity file = { .dev = 0x803, .ino = 42 };

static int learn(void **state)
{
	(void)state;
	know("/dev/loop1", true, file);
	know("/dev/loop2", true, file);
	know("/dev/loop3", true, (struct hotplug_identity){ true, makedev(8, 1), 0 });
	know("/dev/sda2", false, (struct hotplug_identity){ true, makedev(8, 2), 0 });
	know("/srv/swap", false, file);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	hotplug_book_free(&book);
	put("", "proc/self/mountinfo");
	put("", "proc/swaps");
	return 0;
}

static struct hotplug_medium medium_of(struct hotplug_identity identity)
{
	struct hotplug_medium medium;

	assert_int_equal(hotplug_medium_find(root, &book, &identity, &medium), 0);
	return medium;
}

static struct hotplug_medium block_of(unsigned int maj, unsigned int min)
{
	return medium_of((struct hotplug_identity){ .is_block = true, .dev = makedev(maj, min) });
}

static void check_text(struct hotplug_medium medium, const char *expected)
{
	char text[HOTPLUG_MEDIUM_TEXT];

	hotplug_medium_format(&medium, text);
	assert_string_equal(text, expected);
}

/* True if a use by the host forbids the disk, with the message. */
static bool is_used(struct hotplug_medium medium, enum hotplug_mode mode, const char *words)
{
	struct hotplug_failure failure = { 0 };
	int err = hotplug_host_check_uses(root, &book, "IMAGE", &medium, mode, &failure);

	if (!err)
		return false;
	assert_int_equal(err, -EBUSY);
	assert_true(failure.busy);
	if (!strstr(failure.text, words))
		fail_msg("'%s' is not in '%s'", words, failure.text);
	return true;
}

/* --- tests --- */

static void a_partition_is_a_part_of_its_disk(void **state)
{
	(void)state;
	check_text(block_of(8, 0), "b8:0:0:0-ffffffffffffffff");
	check_text(block_of(8, 1), "b8:0:0:100000-17d000");
	check_text(block_of(99, 1), "b63:1:0:0-ffffffffffffffff");
}

static void a_loop_device_is_a_part_of_its_file(void **state)
{
	(void)state;
	check_text(block_of(7, 1), "f8:3:2a:0-ffffffffffffffff");
	check_text(block_of(7, 2), "f8:3:2a:100000-200000");
	check_text(block_of(7, 3), "b8:0:0:100000-17d000");
}

static void what_is_put_together_stands_on_its_parts_through_all_layers(void **state)
{
	struct hotplug_medium sdc1 = block_of(8, 33), sdc = block_of(8, 32), top = block_of(253, 2);
	struct hotplug_medium one = block_of(253, 0), two = block_of(253, 1);

	(void)state;
	assert_true(hotplug_media_collide(&top, &sdc1));
	assert_true(hotplug_media_collide(&top, &sdc));
	assert_true(hotplug_medium_is_on(&top, &sdc1));
	assert_false(hotplug_medium_is_on(&sdc1, &top));
	assert_false(hotplug_media_collide(&one, &two));
}

static void a_loop_device_is_asked_for_its_file_and_only_then_known(void **state)
{
	const struct hotplug_identity identity = { .is_block = true, .dev = makedev(7, 2) };
	struct hotplug_medium medium;

	(void)state;
	hotplug_book_free(&book);
	assert_int_equal(hotplug_medium_find(root, &book, &identity, &medium), -EINPROGRESS);
	assert_int_equal(hotplug_medium_find(root, &book, &identity, &medium), -EINPROGRESS);
	assert_int_equal(book.nr, 1);
	book.asked[0].done = true; /* without an answer: the target is used as it is named */
	assert_int_equal(hotplug_medium_find(root, &book, &identity, &medium), 0);
	check_text(medium, "b7:2:0:0-ffffffffffffffff");
}

static void a_mount_counts_for_all_that_has_a_part_in_common(void **state)
{
	(void)state;
	put("28 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n", "proc/self/mountinfo");
	assert_true(is_used(block_of(8, 1), HOTPLUG_MODE_WRITE, "/dev/sda1 is mounted on /boot"));
	assert_true(is_used(block_of(8, 0), HOTPLUG_MODE_READ, "/dev/sda1 is mounted on /boot"));
	assert_true(is_used(block_of(7, 3), HOTPLUG_MODE_READ, "/dev/sda1 is mounted on /boot"));
	assert_false(is_used(block_of(8, 2), HOTPLUG_MODE_READ, ""));
	assert_false(is_used(block_of(8, 1), HOTPLUG_MODE_UNCHECKED, ""));
	put("28 1 7:2 / /mnt rw - ext4 /dev/loop2 rw\n", "proc/self/mountinfo");
	assert_true(is_used(medium_of(file), HOTPLUG_MODE_READ, "/dev/loop2 is mounted on /mnt"));
	put("28 1 253:2 / /mnt rw - ext4 /dev/mapper/top rw\n", "proc/self/mountinfo");
	assert_true(is_used(block_of(8, 48), HOTPLUG_MODE_READ, "/dev/mapper/top is mounted"));
	put("28 1 8:0 / /mnt rw - iso9660 /dev/sda rw\n", "proc/self/mountinfo");
	assert_true(is_used(block_of(8, 2), HOTPLUG_MODE_READ, "/dev/sda is mounted on /mnt"));
}

static void a_read_only_mount_leaves_it_to_readers(void **state)
{
	(void)state;
	put("28 1 8:1 / /boot rw - ext4 /dev/sda1 ro\n", "proc/self/mountinfo");
	assert_true(is_used(block_of(8, 0), HOTPLUG_MODE_WRITE, "/dev/sda1 is mounted on /boot"));
	assert_false(is_used(block_of(8, 0), HOTPLUG_MODE_READ, ""));
}

static void a_file_system_with_a_number_of_its_own_counts_by_its_source(void **state)
{
	(void)state;
	put("28 1 0:33 / /data rw - btrfs /dev/sda2 rw\n"
	    "29 1 0:34 / /net rw - nfs4 server:/dev/sda1 rw\n"
	    "30 1 0:35 / /bind rw - fuse.x /srv/never-asked rw\n",
	    "proc/self/mountinfo");
	assert_true(is_used(block_of(8, 0), HOTPLUG_MODE_READ, "/dev/sda2 is mounted on /data"));
	assert_false(is_used(block_of(8, 1), HOTPLUG_MODE_READ, ""));
}

static void swap_is_a_writer(void **state)
{
	(void)state;
	put("Filename Type\n/dev/sda2 partition 1 0 -2\n/srv/swap file 1 0 -3\n", "proc/swaps");
	assert_true(is_used(block_of(8, 0), HOTPLUG_MODE_READ, "/dev/sda2 is swapped to"));
	assert_true(is_used(block_of(8, 2), HOTPLUG_MODE_WRITE, "/dev/sda2 is swapped to"));
	assert_true(is_used(block_of(253, 0), HOTPLUG_MODE_WRITE, "/dev/sda2 is swapped to"));
	assert_true(is_used(medium_of(file), HOTPLUG_MODE_READ, "/srv/swap is swapped to"));
	assert_true(is_used(block_of(7, 1), HOTPLUG_MODE_READ, "/srv/swap is swapped to"));
	assert_false(is_used(block_of(8, 1), HOTPLUG_MODE_WRITE, ""));
}

static void a_part_of_something_is_not_given_to_a_writer(void **state)
{
	(void)state;
	assert_true(is_used(block_of(8, 2), HOTPLUG_MODE_WRITE, "/dev/mapper/vg-"));
	assert_true(is_used(block_of(8, 0), HOTPLUG_MODE_WRITE, "/dev/mapper/vg-"));
	assert_true(is_used(block_of(8, 48), HOTPLUG_MODE_WRITE, " is made of it"));
	assert_true(is_used(block_of(9, 0), HOTPLUG_MODE_WRITE, "/dev/dm-2 is made of it"));
	assert_false(is_used(block_of(8, 2), HOTPLUG_MODE_READ, ""));
	assert_false(is_used(block_of(253, 0), HOTPLUG_MODE_WRITE, ""));
	assert_false(is_used(block_of(8, 1), HOTPLUG_MODE_WRITE, ""));
}

/* --- calls that may wait without end --- */

struct question {
	bool hangs, done;
};

static void answer(void *item)
{
	struct question *q = item;

	while (q->hangs)
		pause();
	q->done = true;
}

static void who_does_not_answer_keeps_nobody(void **state)
{
	struct question *q = hotplug_aside_alloc(sizeof(*q), 100);

	(void)state;
	assert_non_null(q);
	q[0].hangs = true;
	q[98].hangs = true;
	hotplug_aside(answer, q, sizeof(*q), 100, 5); /* all of it, for those that hang */
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(q[i].done, i != 0 && i != 98);
	hotplug_aside_free(q, sizeof(*q), 100);
}

static void a_book_asks_once_for_all(void **state)
{
	struct hotplug_identity identity;
	struct stat st;

	(void)state;
	hotplug_book_free(&book);
	assert_int_equal(hotplug_book_look(&book, root, false, &identity), -EINPROGRESS);
	assert_int_equal(hotplug_book_look(&book, "/proc/self/exe", false, &identity),
			 -EINPROGRESS);
	assert_int_equal(hotplug_book_look(&book, "/nonexistent", false, &identity), -EINPROGRESS);
	hotplug_book_ask(&book);
	assert_int_equal(hotplug_book_look(&book, root, false, &identity), -ENOTBLK);
	assert_int_equal(hotplug_book_look(&book, "/nonexistent", false, &identity), -ENOENT);
	assert_int_equal(hotplug_book_look(&book, "/proc/self/exe", false, &identity), 0);
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_int_equal(identity.ino, st.st_ino);
	assert_int_equal(hotplug_book_look(&book, "/proc/self/exe", true, &identity), -EINPROGRESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, learn, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_partition_is_a_part_of_its_disk),
		TEST(a_loop_device_is_a_part_of_its_file),
		TEST(what_is_put_together_stands_on_its_parts_through_all_layers),
		TEST(a_loop_device_is_asked_for_its_file_and_only_then_known),
		TEST(a_mount_counts_for_all_that_has_a_part_in_common),
		TEST(a_read_only_mount_leaves_it_to_readers),
		TEST(a_file_system_with_a_number_of_its_own_counts_by_its_source),
		TEST(swap_is_a_writer),
		TEST(a_part_of_something_is_not_given_to_a_writer),
		TEST(who_does_not_answer_keeps_nobody),
		TEST(a_book_asks_once_for_all),
	};

	return cmocka_run_group_tests(tests, make_host, remove_host);
}
