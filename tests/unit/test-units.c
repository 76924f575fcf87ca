// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Amounts: what is read, what is refused and why, and that what is written can
 * be read back.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "basic/units.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define UNTOUCHED 0x5a5a5a5a5a5a5a5aULL

/* why: a part of the reason; NULL = accepted with value. */
struct row {
	const char *text;
	uint64_t value;
	const char *why;
};

static void check(const struct row *row, int r, uint64_t value, const char *why)
{
	if (!row->why) {
		if (r != 0 || value != row->value)
			fail_msg("\"%s\": %d, %" PRIu64 " (%s)", row->text, r, value, why);
		return;
	}
	if (r != -EINVAL || !strstr(why, row->why) || value != UNTOUCHED)
		fail_msg("\"%s\": %d, %" PRIu64 ", reason \"%s\", expected \"%s\"", row->text, r,
			 value, why, row->why);
}

static void sizes(void **state)
{
	static const struct row rows[] = {
		{"0", 0, NULL},
		{"0M", 0, NULL},
		{"1B", 1, NULL},
		{"64KiB", 64 * KIB, NULL},
		{"64k", 64 * KIB, NULL},
		{"512M", 512 * MIB, NULL},
		{"512mib", 512 * MIB, NULL},
		{"2GiB", 2 * GIB, NULL},
		{"1.5G", 3 * GIB / 2, NULL},
		{"1.5 GiB", 3 * GIB / 2, NULL},
		{"0.1G", GIB / 10, NULL},
		{"1T", 1024 * GIB, NULL},
		/* 8 TiB less one part in 8e9 of it, rounded down. */
		{"7.999999999T", 8796093021108, NULL},
		{"8388607T", 8388607ULL << 40, NULL},
		{"10%", 800, NULL},
		{"12.5%", 1000, NULL},
		{"100%", 8000, NULL},
		{"0%", 0, NULL},
		{"", UNTOUCHED, "is empty"},
		{"512", UNTOUCHED, "needs a unit"},
		{"1.0", UNTOUCHED, "needs a unit"},
		{"-1M", UNTOUCHED, "negative"},
		{"+1M", UNTOUCHED, "digit"},
		{" 1M", UNTOUCHED, "digit"},
		{"M", UNTOUCHED, "digit"},
		{".5G", UNTOUCHED, "digit"},
		{"1.G", UNTOUCHED, "after the point"},
		{"1.0000000001G", UNTOUCHED, "more than 9 digits"},
		{"1,5G", UNTOUCHED, "unknown unit"},
		{"0x10M", UNTOUCHED, "unknown unit"},
		{"1e3M", UNTOUCHED, "unknown unit"},
		{"2GB", UNTOUCHED, "unknown unit"},
		{"1M ", UNTOUCHED, "unknown unit"},
		{"1MM", UNTOUCHED, "unknown unit"},
		{"1M2", UNTOUCHED, "unknown unit"},
		{"10P", UNTOUCHED, "unknown unit"},
		{"8388608T", UNTOUCHED, "too large"},
		{"18446744073709551616B", UNTOUCHED, "too large"},
		{"18446744073709551615B", UNTOUCHED, "too large"},
		{"101%", UNTOUCHED, "more than 100%"},
		{"100.1%", UNTOUCHED, "more than 100%"},
		{"10%%", UNTOUCHED, "behind the percent sign"},
		{"10%M", UNTOUCHED, "behind the percent sign"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t value = UNTOUCHED;
		const char *why = "none";
		int r = units_parse_size(rows[i].text, 8000, &value, &why);

		check(&rows[i], r, value, why);
	}
}

static void percentages_only_where_they_mean_something(void **state)
{
	const char *why = NULL;
	uint64_t value;

	(void)state;
	assert_int_equal(units_parse_size("10%", 0, &value, &why), -EINVAL);
	assert_non_null(strstr(why, "must not be a percentage"));
	/* The reason is optional. */
	assert_int_equal(units_parse_size("10%", 0, &value, NULL), -EINVAL);
	/* 100 % of everything does not overflow on the way. */
	assert_int_equal(units_parse_size("99.9%", INT64_MAX, &value, &why), 0);
	assert_true(value < INT64_MAX && value > INT64_MAX / 100 * 99);
}

static void times(void **state)
{
	static const struct row rows[] = {
		{"0", 0, NULL},
		{"100us", 100, NULL},
		{"70ms", 70000, NULL},
		{"30s", 30000000, NULL},
		{"1.5s", 1500000, NULL},
		{"10min", 600000000, NULL},
		{"1h", 3600000000, NULL},
		{"7d", 604800000000, NULL},
		{"30", UNTOUCHED, "needs a unit"},
		{"10m", UNTOUCHED, "unknown unit"},
		{"10S", UNTOUCHED, "unknown unit"},
		{"10 s x", UNTOUCHED, "unknown unit"},
		{"-1s", UNTOUCHED, "negative"},
		{"", UNTOUCHED, "empty"},
		{"99999999999999d", UNTOUCHED, "too large"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t value = UNTOUCHED;
		const char *why = "none";
		int r = units_parse_time(rows[i].text, &value, &why);

		check(&rows[i], r, value, why);
	}
}

static void rates(void **state)
{
	static const struct row rows[] = {
		{"0", 0, NULL},
		{"0/s", 0, NULL},
		{"500MiB/s", 500 * MIB, NULL},
		{"1.5 G/s", 3 * GIB / 2, NULL},
		{"500M", UNTOUCHED, "is not a rate"},
		{"500/s", UNTOUCHED, "needs a unit"},
		{"500MiB/min", UNTOUCHED, "is not a rate"},
		{"/s", UNTOUCHED, "digit"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t value = UNTOUCHED;
		const char *why = "none";
		int r = units_parse_rate(rows[i].text, &value, &why);

		check(&rows[i], r, value, why);
	}
}

static void shares(void **state)
{
	static const struct row rows[] = {
		{"0", 0, NULL},
		{"1%", 10, NULL},
		{"0.1%", 1, NULL},
		{"7.50%", 75, NULL},
		{"100%", 1000, NULL},
		{"0.05%", UNTOUCHED, "finer"},
		{"100.1%", UNTOUCHED, "more than 100%"},
		{"5", UNTOUCHED, "is not a share"},
		{"5M", UNTOUCHED, "is not a share"},
		{"1%%", UNTOUCHED, "behind"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = "none";
		uint32_t permille = 0;
		int r = units_parse_permille(rows[i].text, &permille, &why);

		check(&rows[i], r, r < 0 ? UNTOUCHED : permille, why);
	}
}

static void written(void **state)
{
	static const struct {
		uint64_t value;
		const char *size;
		const char *time;
	} rows[] = {
		{0, "0", "0"},
		{1, "1 B", "1us"},
		{1023, "1023 B", "1ms"},
		{1024, "1 KiB", "1ms"},
		{70000, "68.3 KiB", "70ms"},
		{1048576, "1 MiB", "1s"},
		{1500000, "1.4 MiB", "1.5s"},
		{60000000, "57.2 MiB", "1min"},
		{90000000, "85.8 MiB", "90s"},
		{600000000, "572 MiB", "10min"},
		{1610612736, "1.5 GiB", "26.8min"},
		{3600000000, "3.3 GiB", "1h"},
		{86400000000, "80.4 GiB", "24h"},
		{1ULL << 40, "1 TiB", "305.4h"},
		{UINT64_MAX, "16777215 TiB", "5124095576h"},
	};
	char buf[UNITS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		units_format_size(buf, sizeof(buf), rows[i].value);
		assert_string_equal(buf, rows[i].size);
		units_format_time(buf, sizeof(buf), rows[i].value);
		assert_string_equal(buf, rows[i].time);
	}
}

/* What is written is read back as the same value, but for the digits that are cut. */
static void read_back(void **state)
{
	char buf[UNITS_MAX];
	uint64_t back;

	(void)state;
	for (unsigned shift = 0; shift < 63; shift++) {
		uint64_t v = (1ULL << shift) + ((1ULL << shift) >> 1);

		units_format_size(buf, sizeof(buf), v);
		assert_int_equal(units_parse_size(buf, 0, &back, NULL), 0);
		assert_true(back <= v && back >= v - v / 8);
		units_format_time(buf, sizeof(buf), v);
		assert_int_equal(units_parse_time(buf, &back, NULL), 0);
		assert_true(back <= v && back >= v - v / 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(percentages_only_where_they_mean_something),
		cmocka_unit_test(times),
		cmocka_unit_test(rates),
		cmocka_unit_test(shares),
		cmocka_unit_test(written),
		cmocka_unit_test(read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
