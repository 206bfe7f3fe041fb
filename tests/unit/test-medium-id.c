/* SPDX-License-Identifier: MIT */
/* The identity of a medium: it differs from other media with the same name, and stays the same when the medium grows. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "control/medium_id.h"

static char dir[] = "/tmp/pvbackd-medium-id.XXXXXX";
static char path[64];

static struct medium_id look(void)
{
	struct medium_id medium = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && medium_id_of(fd, &medium) == 0);
	close(fd);
	return medium;
}

static void new_file(off_t bytes)
{
	int fd;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, bytes) == 0);
	close(fd);
}

static void a_file_that_grew_or_shrank_is_the_same(void **state)
{
	struct medium_id then, now;

	(void)state;
	new_file(1 << 20);
	then = look();
	CHECK(!then.device && then.bytes == 1 << 20);
	CHECK(truncate(path, 2 << 20) == 0);
	now = look();
	CHECK(medium_id_same(&then, &now) && now.bytes == 2 << 20);
	CHECK(truncate(path, 1 << 19) == 0);
	now = look();
	CHECK(medium_id_same(&then, &now) || !then.life);
}

/* The clock of file time stamps. */
static void wait_for_a_tick(void)
{
	struct timespec then, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &then);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (now.tv_sec == then.tv_sec && now.tv_nsec == then.tv_nsec);
}

/* A new file with the same inode, as file systems often give it. It is smaller where the file system has no time of birth. */
static void a_new_file_under_the_same_name_is_another(void **state)
{
	struct medium_id then, now;

	(void)state;
	new_file(1 << 20);
	then = look();
	wait_for_a_tick();
	new_file(1 << 19);
	now = look();
	CHECK(!medium_id_same(&then, &now));
}

static const struct medium_id stick = {
	.device = true, .dev = 0x800010, .number = 2048, .life = 17, .bytes = 1 << 20
};

static void each_part_of_it_counts(void **state)
{
	struct medium_id other = stick;

	(void)state;
	CHECK(medium_id_same(&stick, &other));
	other.device = false;
	CHECK(!medium_id_same(&stick, &other));
	other = stick;
	other.dev++;
	CHECK(!medium_id_same(&stick, &other));
	other = stick;
	other.number++;
	CHECK(!medium_id_same(&stick, &other));
	other = stick;
	other.life++;
	CHECK(!medium_id_same(&stick, &other));
	other = stick;
	other.bytes--;
	CHECK(medium_id_same(&stick, &other));
	other.life = 0; /* a kernel that has no such number */
	CHECK(!medium_id_same(&stick, &other));
	other.bytes = stick.bytes + 1;
	CHECK(medium_id_same(&stick, &other));
}

static void it_comes_back_from_its_text(void **state)
{
	char text[MEDIUM_ID_TEXT_MAX];
	struct medium_id medium = { 0 };

	(void)state;
	medium_id_format(&stick, text, sizeof(text));
	CHECK(medium_id_parse(text, &medium) == 0);
	CHECK(medium.bytes == stick.bytes && medium_id_same(&stick, &medium));
	medium_id_format(&(struct medium_id){ .dev = makedev(UINT32_MAX, UINT32_MAX),
					      .number = UINT64_MAX,
					      .life = UINT64_MAX,
					      .bytes = UINT64_MAX },
			 text, sizeof(text));
	CHECK(medium_id_parse(text, &medium) == 0 && medium.bytes == UINT64_MAX);
}

static void a_text_of_any_other_form_is_refused(void **state)
{
	static const char *const texts[] = { "",
					     "file",
					     "file ",
					     "files 1:2 3 4 5",
					     "file 1:2 3 4",
					     "file 1:2 3 4 5 ",
					     "file 1:2 3 4 5x",
					     "file -1:2 3 4 5",
					     "file 1:4294967296 3 4 5",
					     "device 1 2 3 4 5",
					     "device 1:2 3 4 18446744073709551616" };
	struct medium_id medium = stick;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CHECK(medium_id_parse(texts[i], &medium) == -EINVAL);
	CHECK(medium_id_same(&stick, &medium));
}

static void what_is_neither_file_nor_device_is_none(void **state)
{
	struct medium_id medium;
	int fd = open(dir, O_RDONLY | O_CLOEXEC);

	(void)state;
	CHECK(fd >= 0 && medium_id_of(fd, &medium) == -ENOTBLK);
	close(fd);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/image", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_grew_or_shrank_is_the_same),
		cmocka_unit_test(a_new_file_under_the_same_name_is_another),
		cmocka_unit_test(each_part_of_it_counts),
		cmocka_unit_test(it_comes_back_from_its_text),
		cmocka_unit_test(a_text_of_any_other_form_is_refused),
		cmocka_unit_test(what_is_neither_file_nor_device_is_none),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
