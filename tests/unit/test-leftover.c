/* SPDX-License-Identifier: MIT */
/* A start removes the files of devices that are gone from the runtime directory, and no other files. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/vbd.h"
#include "control/leftover.h"
#include "netback/vif_file.h"
#include "unit.h"

static char dir[] = "/tmp/test-leftover.XXXXXX";
static const char *living[4]; /* their states */
static struct store store;
static unsigned int nr_questions;
static bool file_was_there; /* when its remove() ran */

/* libxenstore's: each device is one node, its state. */
void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	(void)h;
	(void)t;
	nr_questions++;
	for (unsigned int i = 0; i < 4; i++)
		if (living[i] && !strcmp(living[i], path)) {
			*len = 1;
			return strdup("4");
		}
	errno = ENOENT;
	return NULL;
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static bool is_there(const char *name)
{
	return access(path_of(name), F_OK) == 0;
}

static void note(const char *where, uint32_t domid, uint32_t devid)
{
	CHECK(!strcmp(where, dir) && domid == 7 && devid == 3);
	file_was_there = is_there("toy-7-3");
}

static const struct leftover toys[] = { { "toy-%u-%u%n", { "toy" }, note }, { 0 } };
static const struct leftover *const lists[] = { vbd_leftovers, vif_leftovers, toys, NULL };

static void make(const char *name)
{
	int fd = open(path_of(name), O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0);
	close(fd);
}

static const char *const of_disk[] = { "vbd-7-51712-0.journal", "vbd-7-51712-15.journal",
				       "vbd-7-51712-0.journal.new", "vbd-7-51712.unflushed" };
static const char *const of_nic[] = { "vif-7-0.state", "vif-7-0-3.ring", "vif-7-0.tap",
				      "vif-7-0.state.new" };
static const char *const of_nobody[] = {
	"lock",
	"ctl",
	"vbd-7-51712-0.journal.bak",
	"vbd-7-51712.journal",
	"vif-7-0.state.x",
	"vif-7-0.pcapng",
	"vif-7.tap",
};

#define FOR_EACH(name, list)                                                                       \
	for (const char *const *name = list; name < list + sizeof(list) / sizeof(list[0]); name++)

static int setup(void **state)
{
	(void)state;
	memset(living, 0, sizeof(living));
	nr_questions = 0;
	CHECK(mkdtemp(dir));
	FOR_EACH(name, of_disk)
	make(*name);
	FOR_EACH(name, of_nic)
	make(*name);
	FOR_EACH(name, of_nobody)
	make(*name);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	FOR_EACH(name, of_disk)
	unlink(path_of(*name));
	FOR_EACH(name, of_nic)
	unlink(path_of(*name));
	FOR_EACH(name, of_nobody)
	unlink(path_of(*name));
	CHECK(rmdir(dir) == 0); /* the rest are mistakes */
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return 0;
}

static void files_of_the_gone_are_removed(void **state)
{
	(void)state;
	leftover_sweep(&store, dir, lists);
	FOR_EACH(name, of_disk)
	CHECK(!is_there(*name));
	FOR_EACH(name, of_nic)
	CHECK(!is_there(*name));
	FOR_EACH(name, of_nobody)
	CHECK(is_there(*name));
}

static void files_of_the_living_stay(void **state)
{
	(void)state;
	living[0] = "backend/vbd3/7/51712/state"; /* either kind of disk */
	living[1] = "backend/vif/7/0/state";
	leftover_sweep(&store, dir, lists);
	FOR_EACH(name, of_disk)
	CHECK(is_there(*name));
	FOR_EACH(name, of_nic)
	CHECK(is_there(*name));
}

static void one_question_is_asked_for_each_device(void **state)
{
	(void)state;
	living[0] = "backend/vbd/7/51712/state";
	leftover_sweep(&store, dir, lists);
	CHECK(nr_questions == 2);
}

static void what_goes_with_a_file_goes_first(void **state)
{
	(void)state;
	make("toy-7-3");
	leftover_sweep(&store, dir, lists);
	CHECK(file_was_there && !is_there("toy-7-3"));
}

static void no_folder_is_no_matter(void **state)
{
	(void)state;
	leftover_sweep(&store, "/nonexistent", lists);
	CHECK(nr_questions == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_of_the_gone_are_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(files_of_the_living_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(one_question_is_asked_for_each_device, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_goes_with_a_file_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(no_folder_is_no_matter, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
