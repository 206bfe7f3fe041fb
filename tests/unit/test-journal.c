/* SPDX-License-Identifier: MIT */
/* The request pool as a file: what is open in it is found again, and nothing else is believed. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/journal.h"

static char dir[] = "/tmp/pvbackd-journal.XXXXXX";
static struct journal_id id = { .dir = dir, .domid = 7, .devid = 51712, .queue = 0 };

static void no_journal_means_nothing_open(void **state)
{
	(void)state;
	CHECK(journal_count_left(&id) == 0);
}

static void an_open_request_is_counted_until_it_is_released(void **state)
{
	struct journal journal;

	(void)state;
	CHECK(journal_create(&journal, &id, 32) == 0);
	CHECK(journal_count_left(&id) == 0);
	journal.entries[3].req.id = 99;
	journal_take(&journal.entries[3]);
	journal_take(&journal.entries[31]);
	CHECK(journal_count_left(&id) == 2);
	journal_release(&journal.entries[3]);
	CHECK(journal_count_left(&id) == 1);
	journal_close(&journal, false); /* the process dies */
	CHECK(journal_count_left(&id) == 1);
}

static void a_new_ring_begins_with_an_empty_journal(void **state)
{
	struct journal journal;

	(void)state;
	CHECK(journal_create(&journal, &id, 32) == 0);
	journal_take(&journal.entries[0]);
	journal_close(&journal, false);
	CHECK(journal_create(&journal, &id, 32) == 0);
	CHECK(journal_count_left(&id) == 0);
	journal_close(&journal, true);
	CHECK(access(journal.path[0] ? journal.path : dir, F_OK) == 0); /* the folder stays */
	CHECK(journal_count_left(&id) == 0);
}

static void damage(off_t offset, const void *bytes, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal", dir);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	if (bytes)
		CHECK(pwrite(fd, bytes, size, offset) == (ssize_t)size);
	else
		CHECK(ftruncate(fd, offset) == 0);
	close(fd);
}

static void fresh_file(void)
{
	struct journal journal;

	CHECK(journal_create(&journal, &id, 32) == 0);
	journal_close(&journal, false);
}

static void a_damaged_journal_is_not_believed(void **state)
{
	uint32_t wrong = 77;

	(void)state;
	for (off_t field = 0; field < (off_t)sizeof(struct journal_header); field += 4) {
		fresh_file();
		damage(field, &wrong, sizeof(wrong));
		CHECK(journal_count_left(&id) == -EBADMSG);
	}
	for (off_t size = 0; size < 300; size += 7) {
		fresh_file();
		damage(size, NULL, 0);
		CHECK(journal_count_left(&id) == -EBADMSG);
	}
}

static void a_planted_link_is_not_followed(void **state)
{
	struct journal journal;
	char path[128], victim[128];
	struct stat st;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal", dir);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	fd = open(victim, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	close(fd);
	unlink(path);
	CHECK(symlink(victim, path) == 0);
	CHECK(journal_count_left(&id) < 0);
	CHECK(journal_create(&journal, &id, 32) == 0);
	CHECK(stat(victim, &st) == 0 && st.st_size == 0);
	journal_close(&journal, true);
	unlink(victim);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/vbd-7-51712-0.journal", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_journal_means_nothing_open),
		cmocka_unit_test(an_open_request_is_counted_until_it_is_released),
		cmocka_unit_test(a_new_ring_begins_with_an_empty_journal),
		cmocka_unit_test(a_damaged_journal_is_not_believed),
		cmocka_unit_test(a_planted_link_is_not_followed),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
