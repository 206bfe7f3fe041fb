/* SPDX-License-Identifier: MIT */
/* Files that outlive the process: they appear complete, and the file of another user or program is never accepted. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/statefile.h"

#define NAME  "toy-7"
#define BYTES 100u

static char dir[] = "/tmp/test-statefile.XXXXXX";
static char path[64], unfinished[64], other[64];

static int setup(void **state)
{
	(void)state;
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/" NAME, dir);
	snprintf(unfinished, sizeof(unfinished), "%s/" NAME STATEFILE_NEW, dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	statefile_remove(dir, NAME);
	unlink(other);
	CHECK(rmdir(dir) == 0); /* no unfinished file is left */
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return 0;
}

static void make(void)
{
	int fd;

	CHECK(statefile_create(dir, NAME, BYTES, &fd) == 0);
	CHECK(pwrite(fd, "x", 1, 7) == 1);
	statefile_close(&fd);
}

static int look(size_t least, size_t most)
{
	char was = 0;
	int fd, err = statefile_open(dir, NAME, least, most, &fd, NULL);

	if (err)
		return err;
	CHECK(pread(fd, &was, 1, 7) == 1);
	statefile_close(&fd);
	CHECK(fd == -1);
	return was;
}

static void what_is_stored_is_found_again(void **state)
{
	size_t bytes = 0;
	void *addr;
	int fd;

	(void)state;
	CHECK(!statefile_exists(dir, NAME) && look(BYTES, BYTES) == -ENOENT);
	CHECK(statefile_create(dir, NAME, BYTES, &fd) == 0);
	CHECK(statefile_map(fd, BYTES, &addr) == 0);
	statefile_close(&fd);
	for (unsigned int i = 0; i < BYTES; i++)
		CHECK(((char *)addr)[i] == 0);
	((char *)addr)[7] = 'y';
	statefile_unmap(addr, BYTES);
	CHECK(statefile_exists(dir, NAME) && look(BYTES, BYTES) == 'y');
	CHECK(statefile_open(dir, NAME, 1, 4096, &fd, &bytes) == 0 && bytes == BYTES);
	CHECK(statefile_map_all(fd, BYTES, &addr, &bytes) == 0 && bytes == BYTES);
	statefile_unmap(addr, bytes);
	statefile_close(&fd);
	statefile_remove(dir, NAME);
	CHECK(!statefile_exists(dir, NAME));
	statefile_remove(dir, NAME);
	statefile_unmap(NULL, BYTES);
}

static void a_new_one_begins_with_zeros_whatever_was_there(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	make();
	fd = open(unfinished, O_CREAT | O_WRONLY, 0666); /* left by a death meanwhile */
	CHECK(fd >= 0);
	close(fd);
	CHECK(look(BYTES, BYTES) == 'x');
	CHECK(statefile_create(dir, NAME, BYTES, &fd) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == BYTES && st.st_blocks > 0 &&
	      (st.st_mode & 0777) == 0600);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	statefile_close(&fd);
	CHECK(look(BYTES, BYTES) == 0);
	CHECK(access(unfinished, F_OK) < 0);
}

static void one_that_cannot_be_made_leaves_what_was_there(void **state)
{
	char deep[300];
	int fd;

	(void)state;
	make();
	CHECK(statefile_create(dir, NAME, (size_t)-1 >> 1, &fd) < 0); /* more than a disk has */
	CHECK(look(BYTES, BYTES) == 'x');
	CHECK(statefile_create("/nonexistent", NAME, BYTES, &fd) == -ENOENT);
	memset(deep, 'n', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	CHECK(statefile_create(dir, deep, BYTES, &fd) == -ENAMETOOLONG);
	CHECK(statefile_open(dir, deep, 1, BYTES, &fd, NULL) == -ENAMETOOLONG);
	statefile_remove(dir, NAME);
	CHECK(mkdir(path, 0700) == 0); /* no file can replace it */
	CHECK(statefile_create(dir, NAME, BYTES, &fd) == -EISDIR);
	CHECK(look(1, BYTES) == -EPERM);
	CHECK(rmdir(path) == 0);
}

static void one_of_another_size_is_refused(void **state)
{
	size_t bytes;
	void *addr;
	int fd;

	(void)state;
	make();
	CHECK(look(BYTES + 1, BYTES + 1) == -EBADMSG && look(1, BYTES - 1) == -EBADMSG);
	CHECK(look(1, BYTES + 1) == 'x');
	CHECK(statefile_open(dir, NAME, BYTES, BYTES, &fd, NULL) == 0);
	CHECK(statefile_map(fd, BYTES + 1, &addr) == -EBADMSG);
	CHECK(statefile_map_all(fd, BYTES - 1, &addr, &bytes) == -EBADMSG);
	CHECK(ftruncate(fd, BYTES - 1) == 0); /* by another process that has the descriptor */
	CHECK(statefile_map(fd, BYTES, &addr) == -EBADMSG);
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(statefile_map_all(fd, BYTES, &addr, &bytes) == -EBADMSG);
	statefile_close(&fd);
	CHECK(look(1, BYTES) == -EBADMSG);
}

static void a_planted_link_is_not_followed(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	fd = open(other, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK(symlink(other, path) == 0 && symlink(other, unfinished) == 0);
	CHECK(look(0, BYTES) == -EPERM);
	make(); /* replaces the links */
	CHECK(look(BYTES, BYTES) == 'x');
	CHECK(stat(other, &st) == 0 && st.st_size == 0);
	statefile_remove(dir, NAME);
	CHECK(mkfifo(path, 0600) == 0);
	CHECK(look(0, BYTES) == -EPERM);
}

static void what_others_may_write_is_not_believed(void **state)
{
	(void)state;
	make();
	CHECK(chmod(path, 0620) == 0);
	CHECK(look(BYTES, BYTES) == -EPERM);
	CHECK(chmod(path, 0602) == 0);
	CHECK(look(BYTES, BYTES) == -EPERM);
	CHECK(chmod(path, 0600) == 0);
	CHECK(link(path, other) == 0);
	CHECK(look(BYTES, BYTES) == -EPERM);
	CHECK(unlink(other) == 0);
	if (geteuid() == 0) {
		CHECK(chown(path, 1, 0) == 0);
		CHECK(look(BYTES, BYTES) == -EPERM);
		CHECK(chown(path, 0, 0) == 0);
	}
	CHECK(look(BYTES, BYTES) == 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_stored_is_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_one_begins_with_zeros_whatever_was_there,
						setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_cannot_be_made_leaves_what_was_there,
						setup, teardown),
		cmocka_unit_test_setup_teardown(one_of_another_size_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_planted_link_is_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_others_may_write_is_not_believed, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
