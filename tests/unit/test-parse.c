/* SPDX-License-Identifier: MIT */
/* Numbers in text from outside. */
#include "unit.h"

#include <errno.h>

#include "core/parse.h"

static void only_digits_are_a_number(void **state)
{
	static const char *const bad[] = { "",    " 1", "1 ",  "+1", "-1",  "0x10", "1e3",
					   "1.5", "1k", "1\n", "a",  "\t7", "--1" };
	uint64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(parse_u64(bad[i], 0, UINT64_MAX, &value) == -EINVAL);
	CHECK(value == 77);
	CHECK(parse_u64("0", 0, 9, &value) == 0 && value == 0);
	CHECK(parse_u64("007", 0, 9, &value) == 0 && value == 7);
}

static void the_range_is_held_to_its_last_number(void **state)
{
	uint64_t value = 77;
	uint32_t small = 77;

	(void)state;
	CHECK(parse_u64("18446744073709551615", 0, UINT64_MAX, &value) == 0 && value == UINT64_MAX);
	CHECK(parse_u64("18446744073709551616", 0, UINT64_MAX, &value) == -ERANGE);
	CHECK(parse_u64("99999999999999999999999999", 0, UINT64_MAX, &value) == -ERANGE);
	CHECK(parse_u32("4294967295", 0, UINT32_MAX, &small) == 0 && small == UINT32_MAX);
	CHECK(parse_u32("4294967296", 0, UINT32_MAX, &small) == -ERANGE);
	CHECK(parse_u32("9", 10, 20, &small) == -ERANGE);
	CHECK(parse_u32("10", 10, 20, &small) == 0 && small == 10);
	CHECK(parse_u32("21", 10, 20, &small) == -ERANGE && small == 10);
}

static void an_amount_may_have_a_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "5", 5 },
		{ "20M", 20000000 },
		{ "3k", 3000 },
		{ "2G", 2000000000 },
		{ "1T", 1000000000000 },
		{ "1Ki", 1024 },
		{ "64Mi", 64ull << 20 },
		{ "3Gi", 3ull << 30 },
		{ "2Ti", 2ull << 40 },
	};
	static const char *const bad[] = { "M", "1m", "1K", "1 M", "1MiB", "1kk", "1.5G", "-1M" };
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(parse_amount(good[i].text, 0, UINT64_MAX, &value) == 0 &&
		      value == good[i].value);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(parse_amount(bad[i], 0, UINT64_MAX, &value) == -EINVAL);
	CHECK(parse_amount("18014398509481984Ki", 0, UINT64_MAX, &value) == -ERANGE);
	CHECK(parse_amount("2k", 0, 1999, &value) == -ERANGE);
}

static void digits_are_taken_and_what_follows_stays(void **state)
{
	const char *text = "51712/state", *at = text;
	uint32_t value = 77;

	(void)state;
	CHECK(parse_digits_u32(&at, UINT32_MAX, &value) && value == 51712 && at == text + 5);
	CHECK(!parse_digits_u32(&at, UINT32_MAX, &value) && value == 51712 && at == text + 5);
	at = text;
	CHECK(!parse_digits_u32(&at, 51711, &value) && at == text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_digits_are_a_number),
		cmocka_unit_test(the_range_is_held_to_its_last_number),
		cmocka_unit_test(an_amount_may_have_a_unit),
		cmocka_unit_test(digits_are_taken_and_what_follows_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
