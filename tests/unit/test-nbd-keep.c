/* SPDX-License-Identifier: MIT */
/* Unflushed writes: kept in order, bounded, dropped by flushes, and still there after the process has died. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/nbd_keep.h"
#include "blkback/vbd_file.h"
#include "core/statefile.h"

#define KIB   1024u
#define LARGE ((size_t)1 << 20)

static char dir[] = "/tmp/pvbackd-keep-XXXXXX";
static const struct vbd_id disk = { .dir = dir, .domid = 7, .devid = 51712 };
static uint8_t data[NBD_KEEP_LARGEST + 1], back[NBD_KEEP_LARGEST];

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	vbd_file_forget(&disk);
	return rmdir(dir);
}

static int open_keep(struct nbd_keep *keep, const char *name, bool resume)
{
	bool gone, unreadable;
	int fd;

	CHECK(vbd_file_unflushed(&disk, resume, &fd, &gone) == 0);
	CHECK(nbd_keep_open(keep, fd, name, &unreadable) == 0);
	return gone || unreadable ? -EBADMSG : 0;
}

static void append(struct nbd_keep *keep, uint64_t offset, uint8_t fill, size_t bytes)
{
	memset(data, fill, bytes);
	CHECK(nbd_keep_append(keep, offset, data, bytes) == 0);
}

/* The next record is this one. */
static bool next_is(struct nbd_keep *keep, uint64_t *pos, uint64_t offset, uint8_t fill,
		    size_t bytes)
{
	struct nbd_keep_record record;

	return nbd_keep_next(keep, pos, &record, back, sizeof(back)) == 0 &&
	       record.offset == offset && record.bytes == bytes && back[0] == fill &&
	       back[bytes - 1] == fill;
}

static bool ends(struct nbd_keep *keep, uint64_t *pos)
{
	struct nbd_keep_record record;

	return nbd_keep_next(keep, pos, &record, back, sizeof(back)) == -ENOENT;
}

static void records_come_back_in_order(void **state)
{
	struct nbd_keep keep;
	uint64_t pos;

	(void)state;
	CHECK(open_keep(&keep, "image", false) == 0);
	CHECK(nbd_keep_is_empty(&keep));
	append(&keep, 512, 'a', 512);
	append(&keep, 512, 'b', 4096);
	pos = nbd_keep_first(&keep);
	CHECK(next_is(&keep, &pos, 512, 'a', 512));
	CHECK(next_is(&keep, &pos, 512, 'b', 4096));
	CHECK(ends(&keep, &pos));
	nbd_keep_close(&keep);
}

static void a_flush_drops_what_came_before_it_only(void **state)
{
	struct nbd_keep keep;
	uint64_t early, late, pos;

	(void)state;
	CHECK(open_keep(&keep, "image", false) == 0);
	append(&keep, 0, 'a', 512);
	early = nbd_keep_mark(&keep);
	append(&keep, 512, 'b', 512);
	late = nbd_keep_mark(&keep);
	append(&keep, 1024, 'c', 512);
	nbd_keep_drop(&keep, late);
	nbd_keep_drop(&keep, early); /* answered in the other order: nothing may come back */
	pos = nbd_keep_first(&keep);
	CHECK(next_is(&keep, &pos, 1024, 'c', 512) && ends(&keep, &pos));
	nbd_keep_close(&keep);
}

static void it_is_bounded_and_goes_round(void **state)
{
	struct nbd_keep keep;
	uint64_t pos;

	(void)state;
	CHECK(open_keep(&keep, "image", false) == 0);
	for (unsigned int round = 0; round < 9; round++) {
		append(&keep, round, (uint8_t)round, LARGE);
		append(&keep, round, (uint8_t)(round + 1), 700 * KIB);
		append(&keep, round, (uint8_t)(round + 2), LARGE);
		CHECK(nbd_keep_append(&keep, 0, data, LARGE) == 0);
		CHECK(nbd_keep_append(&keep, 0, data, LARGE) == -ENOSPC);
		pos = nbd_keep_first(&keep);
		CHECK(next_is(&keep, &pos, round, (uint8_t)round, LARGE));
		CHECK(next_is(&keep, &pos, round, (uint8_t)(round + 1), 700 * KIB));
		CHECK(next_is(&keep, &pos, round, (uint8_t)(round + 2), LARGE));
		nbd_keep_drop(&keep, nbd_keep_mark(&keep));
		CHECK(nbd_keep_is_empty(&keep));
	}
	nbd_keep_close(&keep);
}

/* The largest request of a ring, extended to the largest blocks at both ends. */
static void the_largest_write_can_be_read_back_and_no_larger_one_is_kept(void **state)
{
	const size_t widest = 256 * 4096 + IMAGE_BLOCK_MAX;
	struct nbd_keep keep;
	uint64_t pos;

	(void)state;
	CHECK(open_keep(&keep, "image", false) == 0);
	append(&keep, 0, 'a', widest);
	CHECK(nbd_keep_append(&keep, 0, data, NBD_KEEP_LARGEST + 1) == -E2BIG);
	append(&keep, 512, 'b', 512);
	pos = nbd_keep_first(&keep);
	CHECK(next_is(&keep, &pos, 0, 'a', widest));
	CHECK(next_is(&keep, &pos, 512, 'b', 512) && ends(&keep, &pos));
	nbd_keep_close(&keep);
}

static void the_next_life_finds_it(void **state)
{
	struct nbd_keep keep;
	uint64_t pos;

	(void)state;
	vbd_file_forget(&disk);
	CHECK(open_keep(&keep, "image", true) == 0); /* none there: an empty one */
	append(&keep, 4096, 'x', 512);
	nbd_keep_close(&keep);
	CHECK(open_keep(&keep, "image", true) == 0);
	pos = nbd_keep_first(&keep);
	CHECK(next_is(&keep, &pos, 4096, 'x', 512) && ends(&keep, &pos));
	nbd_keep_close(&keep);
	CHECK(open_keep(&keep, "image", false) == 0); /* a new frontend: nothing is kept */
	CHECK(nbd_keep_is_empty(&keep));
	nbd_keep_close(&keep);
}

static void another_image_or_damage_is_never_written(void **state)
{
	struct nbd_keep keep;

	(void)state;
	CHECK(open_keep(&keep, "image", false) == 0);
	append(&keep, 4096, 'x', 512);
	nbd_keep_close(&keep);
	CHECK(open_keep(&keep, "other", true) == -EBADMSG);
	CHECK(nbd_keep_is_empty(&keep)); /* and it can be used */
	append(&keep, 4096, 'x', 512);
	keep.header->start = keep.header->end + 1;
	nbd_keep_close(&keep);
	CHECK(open_keep(&keep, "other", true) == -EBADMSG);
	nbd_keep_close(&keep);
}

static void damage_that_control_sees_is_told_and_replaced(void **state)
{
	struct nbd_keep keep;
	char path[64];

	(void)state;
	CHECK(open_keep(&keep, "image", false) == 0);
	append(&keep, 4096, 'x', 512);
	nbd_keep_close(&keep);
	snprintf(path, sizeof(path), "%s/vbd-7-51712.unflushed", dir);
	CHECK(chmod(path, 0666) == 0); /* any user may have written to it */
	CHECK(open_keep(&keep, "image", true) == -EBADMSG && nbd_keep_is_empty(&keep));
	nbd_keep_close(&keep);
	CHECK(truncate(path, 100) == 0);
	CHECK(open_keep(&keep, "image", true) == -EBADMSG && nbd_keep_is_empty(&keep));
	nbd_keep_close(&keep);
}

static void what_cannot_be_used_stays_the_callers(void **state)
{
	struct nbd_keep keep;
	bool lost;
	int fd;

	(void)state;
	CHECK(vbd_file_unflushed(&disk, false, &fd, &lost) == 0 && !lost);
	CHECK(ftruncate(fd, 100) == 0);
	CHECK(nbd_keep_open(&keep, fd, "image", &lost) == -EBADMSG && !keep.header &&
	      keep.fd == -1);
	CHECK(fcntl(fd, F_GETFD) >= 0);
	statefile_close(&fd);
}

static void a_record_that_claims_too_much_is_refused(void **state)
{
	struct nbd_keep_record record = { .offset = 0, .bytes = 1 << 30 };
	struct nbd_keep keep;
	uint64_t pos;

	(void)state;
	CHECK(open_keep(&keep, "image", false) == 0);
	append(&keep, 4096, 'x', 512);
	CHECK(pwrite(keep.fd, &record, sizeof(record), 4096) == (ssize_t)sizeof(record));
	pos = nbd_keep_first(&keep);
	CHECK(nbd_keep_next(&keep, &pos, &record, back, sizeof(back)) == -EBADMSG);
	nbd_keep_close(&keep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_back_in_order),
		cmocka_unit_test(a_flush_drops_what_came_before_it_only),
		cmocka_unit_test(it_is_bounded_and_goes_round),
		cmocka_unit_test(the_largest_write_can_be_read_back_and_no_larger_one_is_kept),
		cmocka_unit_test(the_next_life_finds_it),
		cmocka_unit_test(another_image_or_damage_is_never_written),
		cmocka_unit_test(damage_that_control_sees_is_told_and_replaced),
		cmocka_unit_test(what_cannot_be_used_stays_the_callers),
		cmocka_unit_test(a_record_that_claims_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
