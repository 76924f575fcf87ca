// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The time of the local week: where it begins, on days of 23 and 25 hours, and that a clock that
 * was never set is none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "sense/sense.h"
#include "sense/week.h"

#define HOUR 3600U
#define DAY  (24 * HOUR)

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void expect(time_t t, uint32_t want)
{
	uint32_t got = 0xdead;

	assert_true(week_second(t, &got));
	assert_int_equal(got, want);
}

static void begins_on_monday(void **unused)
{
	(void)unused;
	zone("UTC0");
	expect(1704067200, 0); /* Monday, 2024-01-01 00:00:00 */
	expect(1704067199, 7 * DAY - 1);
	expect(1704067200 + 3 * DAY + 5 * HOUR + 7, 3 * DAY + 5 * HOUR + 7);
	/* The same moment elsewhere. */
	zone("IST-5:30");
	expect(1704067200, 5 * HOUR + 1800);
	zone("PST8");
	expect(1704067200, 7 * DAY - 8 * HOUR);
}

static void summer_time(void **unused)
{
	(void)unused;
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	/* 2024-03-31, 02:00 becomes 03:00. */
	expect(1711846799, 6 * DAY + 2 * HOUR - 1);
	expect(1711846800, 6 * DAY + 3 * HOUR);
	/* 2024-10-27, 03:00 becomes 02:00. */
	expect(1729990799, 6 * DAY + 3 * HOUR - 1);
	expect(1729990800, 6 * DAY + 2 * HOUR);
}

static void never_set(void **unused)
{
	uint32_t got = 42;

	(void)unused;
	zone("UTC0");
	assert_false(week_second(0, &got));
	assert_false(week_second(-1, &got));
	assert_false(week_second(1577836799, &got));
	assert_int_equal(got, 42);
	assert_true(week_second(1577836800, &got));
}

static void is_in_the_sample(void **unused)
{
	struct sense *s = NULL;
	struct sample sample;
	uint32_t before, after;

	(void)unused;
	zone("MSK-3");
	assert_int_equal(sense_open(NULL, NULL, &s), 0);
	assert_true(week_second(time(NULL), &before));
	(void)sense_read(s, &sample);
	assert_true(week_second(time(NULL), &after));
	sense_free(s);
	assert_true(sample.has_week);
	/* But for the second in which a week ends. */
	assert_true(after < before || (sample.week_s >= before && sample.week_s <= after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_on_monday),
		cmocka_unit_test(summer_time),
		cmocka_unit_test(never_set),
		cmocka_unit_test(is_in_the_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
