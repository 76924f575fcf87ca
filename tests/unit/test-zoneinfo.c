// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/zoneinfo: the sum of the high watermarks. */
#include <string.h>

#include "fixture.h"
#include "sense/zoneinfo.h"

static void test_real_kernels(void **state)
{
	static const struct {
		const char *file;
		uint64_t high_pages;
	} rows[] = {
		{"proc-6.1/zoneinfo", 691},
		{"proc-6.12/zoneinfo", 717},
		{"proc-6.18/zoneinfo", 25371},
	};
	struct fixture_text t;
	uint64_t pages;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fixture_load(rows[i].file, &t);
		assert_true(zoneinfo_parse(t.data, t.len, &pages));
		assert_int_equal(pages, rows[i].high_pages);
	}
}

static bool parse(const char *text, uint64_t *ret)
{
	return zoneinfo_parse(text, strlen(text), ret);
}

static void test_nothing_there(void **state)
{
	uint64_t pages = 42;

	(void)state;
	assert_false(parse("", &pages));
	assert_false(parse("Node 0, zone DMA\n  pages free 1\n        low 2\n", &pages));
	/* The per-CPU lists have one with a colon. */
	assert_false(parse("              high:  535\n              high_max: 3\n", &pages));
	assert_int_equal(pages, 42);
}

static void test_malformed_is_nothing(void **state)
{
	uint64_t pages = 42;

	(void)state;
	assert_false(parse("high\n", &pages));
	assert_false(parse("high 10\nhigh x\n", &pages));
	assert_false(parse("high 18446744073709551615\nhigh 1\n", &pages));
	assert_int_equal(pages, 42);
	assert_true(parse("high 10\nhigh 7\nhigh 9", &pages));
	assert_int_equal(pages, 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_kernels),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_malformed_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
