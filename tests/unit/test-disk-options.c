/* SPDX-License-Identifier: MIT */
/* A disk's options: which values are accepted, and which change nothing. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "blkback/disk_options.h"

static int set(struct disk_options *o, const char *name, const char *value)
{
	return keys_set(disk_keys, o, name, value);
}

static void values_are_taken(void **state)
{
	struct disk_options o = disk_options_default;

	(void)state;
	CHECK(o.persistent_grants == DISK_PERSISTENT_AUTO && o.max_persistent_grants == 1056);
	CHECK(disk_offers_persistent(&o) && disk_copies_kept(&o, true) &&
	      disk_copies_kept(&o, false));
	CHECK(set(&o, "persistent-grants", "yes") == 0 && disk_offers_persistent(&o));
	CHECK(disk_copies_kept(&o, true) && !disk_copies_kept(&o, false));
	CHECK(set(&o, "persistent-grants", "0") == 0 && !disk_offers_persistent(&o));
	CHECK(set(&o, "persistent-grants", "1") == 0 && disk_offers_persistent(&o));
	CHECK(set(&o, "persistent-grants", "no") == 0 && !disk_offers_persistent(&o));
	CHECK(set(&o, "persistent-grants", "auto") == 0);
	CHECK(o.persistent_grants == DISK_PERSISTENT_AUTO);
	CHECK(set(&o, "max-persistent-grants", "65536") == 0 && o.max_persistent_grants == 65536);
	CHECK(set(&o, "max-persistent-grants", "0") == 0 && o.max_persistent_grants == 0);
	CHECK(set(&o, "iops", "500") == 0 && set(&o, "iops-burst", "7") == 0);
	CHECK(o.iops == 500 && o.iops_burst == 7);
	CHECK(set(&o, "bps", "1099511627776") == 0 && set(&o, "bps-burst", "0") == 0);
	CHECK(o.bps == (uint64_t)1 << 40 && o.bps_burst == 0);
	CHECK(set(&o, "bps", "20M") == 0 && o.bps == 20000000);
	CHECK(set(&o, "nbd-timeout", "5") == 0 && o.nbd_timeout_s == 5);
	CHECK(set(&o, "cache-mode", "writeback") == 0 && o.cache == DISK_CACHE_WRITEBACK);
	CHECK(set(&o, "cache-mode", "writethrough") == 0 && o.cache == DISK_CACHE_WRITETHROUGH);
	CHECK(set(&o, "cache-mode", "none") == 0 && o.cache == DISK_CACHE_NONE);
	CHECK(set(&o, "poll-time", "50") == 0 && o.poll_us == 50);
	CHECK(set(&o, "error-policy", "stall") == 0 && o.errors == DISK_ERRORS_STALL);
	CHECK(set(&o, "error-policy", "report") == 0 && o.errors == DISK_ERRORS_REPORT);
}

/* The arguments for rate_set() for so much in a second. */
static void a_rate_is(uint64_t per_second, uint64_t burst, uint32_t amount, uint32_t usecs)
{
	uint32_t a, u;

	disk_rate(per_second, burst, &a, &u);
	assert_int_equal(a, amount);
	assert_int_equal(u, usecs);
}

static void rates_have_their_burst(void **state)
{
	(void)state;
	a_rate_is(0, 0, 0, 0);
	a_rate_is(0, 100, 0, 0);
	a_rate_is(1000, 0, 100, 100000);
	a_rate_is(1000, 5000, 5000, 5000000);
	a_rate_is(5, 0, 1, 200000); /* one at least */
	a_rate_is(1000000, 1, 1000, 1000);
	a_rate_is(1, 1000000000, 4294, 4294000000u);
	a_rate_is((uint64_t)1 << 40, 0, UINT32_MAX, 3906); /* a terabyte a second */
	a_rate_is(100 << 20, 0, 10 << 20, 100000);
}

static void nonsense_changes_nothing(void **state)
{
	static const char *const wrong[][2] = {
		{ "iops", "-1" },
		{ "iops", "many" },
		{ "bps", "1e6" },
		{ "bps", "1099511627777" },
		{ "iops-burst", "" },
		{ "bps-burst", "10MB" },
		{ "cache-mode", "unsafe" },
		{ "poll-time", "100001" },
		{ "error-policy", "ignore" },
		{ "error-policy", "" },
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
		CHECK(set(&o, wrong[i][0], wrong[i][1]) < 0);
	CHECK(set(&o, "no-such-option", "1") == -ENOENT);
	CHECK(set(&o, "", "1") == -ENOENT);
	CHECK(!memcmp(&o, &disk_options_default, sizeof(o)));
}

static void every_option_says_what_it_takes(void **state)
{
	struct disk_options o = disk_options_default;
	char allowed[200];

	(void)state;
	for (const struct key *key = disk_keys; key->name; key++) {
		CHECK(set(&o, key->name, "no such value") == -EINVAL);
		key_allowed(key, allowed, sizeof(allowed));
		CHECK(*allowed);
	}
	key_allowed(keys_find(disk_keys, "cache-mode"), allowed, sizeof(allowed));
	CHECK(!strcmp(allowed, "none, writeback or writethrough"));
	assert_string_equal(key_meaning(keys_find(disk_keys, "iops-burst"), &disk_options_default),
			    "a tenth of iops");
	assert_null(key_meaning(keys_find(disk_keys, "nbd-timeout"), &disk_options_default));
	key_allowed(keys_find(disk_keys, "poll-time"), allowed, sizeof(allowed));
	CHECK(!strcmp(allowed, "a number from 0 to 100000"));
}

static bool means(const char *name, const char *meant)
{
	const struct key *key = keys_meant(disk_keys, name);

	return meant ? key && !strcmp(key->name, meant) : !key;
}

static void a_slip_of_the_finger_is_understood(void **state)
{
	/* Keys that toolstacks and the daemon write beside the options. */
	static const char *const others[] = { "frontend",
					      "frontend-id",
					      "online",
					      "state",
					      "params",
					      "type",
					      "mode",
					      "dev",
					      "removable",
					      "bootable",
					      "device-type",
					      "discard-enable",
					      "script",
					      "info",
					      "hotplug-status",
					      "hotplug-error",
					      "physical-device",
					      "physical-device-path",
					      "sectors",
					      "sector-size",
					      "physical-sector-size",
					      "feature-persistent",
					      "feature-barrier",
					      "feature-discard",
					      "stalled",
					      "retry",
					      "max-ring-page-order",
					      "max-ring-pages",
					      "trusted",
					      "multi-queue-max-queues",
					      "kthread-pid",
					      "handle",
					      "direct-io-safe",
					      "trace",
					      "iops",
					      "bps" };

	(void)state;
	CHECK(means("iop", "iops") && means("iopss", "iops") && means("ipos", "iops"));
	CHECK(means("bsp", "bps") && means("BPS", "bps") && means("iops_burst", "iops-burst"));
	CHECK(means("cache", "cache-mode") && means("eror-polcy", "error-policy"));
	CHECK(means("a-name-that-is-much-longer-than-any-option-of-ours", NULL) && means("", NULL));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CHECK(means(others[i], NULL));
}

static void an_option_may_be_copied_alone(void **state)
{
	struct disk_options from = disk_options_default, to = { .bps = 3 };

	(void)state;
	from.iops = 7;
	from.bps = 9;
	key_copy(keys_find(disk_keys, "iops"), &from, &to);
	CHECK(to.iops == 7 && to.bps == 3);
	CHECK(key_is_same(keys_find(disk_keys, "iops"), &from, &to));
	CHECK(!key_is_same(keys_find(disk_keys, "bps"), &from, &to));
	for (const struct key *key = disk_keys; key->name; key++)
		CHECK(key->size > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(rates_have_their_burst),
		cmocka_unit_test(nonsense_changes_nothing),
		cmocka_unit_test(every_option_says_what_it_takes),
		cmocka_unit_test(a_slip_of_the_finger_is_understood),
		cmocka_unit_test(an_option_may_be_copied_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
