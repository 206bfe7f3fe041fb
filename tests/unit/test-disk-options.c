/* SPDX-License-Identifier: MIT */
/* A disk's options: what is taken, and what changes nothing. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "blkback/disk_options.h"

static int set(struct disk_options *o, const char *name, const char *value)
{
	return disk_options_set(o, name, value);
}

static void values_are_taken(void **state)
{
	struct disk_options o = disk_options_default;

	(void)state;
	CHECK(!o.persistent_grants && o.max_persistent_grants == 1056);
	CHECK(set(&o, "persistent-grants", "yes") == 0 && o.persistent_grants);
	CHECK(set(&o, "persistent-grants", "0") == 0 && !o.persistent_grants);
	CHECK(set(&o, "persistent-grants", "1") == 0 && o.persistent_grants);
	CHECK(set(&o, "persistent-grants", "no") == 0 && !o.persistent_grants);
	CHECK(set(&o, "max-persistent-grants", "65536") == 0 && o.max_persistent_grants == 65536);
	CHECK(set(&o, "max-persistent-grants", "0") == 0 && o.max_persistent_grants == 0);
}

static void nonsense_changes_nothing(void **state)
{
	static const char *const wrong[][2] = {
		{ "persistent-grants", "" },
		{ "persistent-grants", "yess" },
		{ "persistent-grants", "2" },
		{ "max-persistent-grants", "" },
		{ "max-persistent-grants", "65537" },
		{ "max-persistent-grants", "-1" },
		{ "max-persistent-grants", "7x" },
		{ "max-persistent-grants", " 7" },
		{ "max-persistent-grants", "99999999999999999999999" },
	};
	struct disk_options o = disk_options_default;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(set(&o, wrong[i][0], wrong[i][1]) == -EINVAL);
	CHECK(set(&o, "no-such-option", "1") == -ENOENT);
	CHECK(set(&o, "", "1") == -ENOENT);
	CHECK(!memcmp(&o, &disk_options_default, sizeof(o)));
}

static void every_name_can_be_set(void **state)
{
	struct disk_options o = disk_options_default;
	unsigned int nr = 0;

	(void)state;
	for (const char *name; (name = disk_options_name(nr)); nr++)
		CHECK(set(&o, name, "no such value") == -EINVAL);
	CHECK(nr >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(nonsense_changes_nothing),
		cmocka_unit_test(every_name_can_be_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
