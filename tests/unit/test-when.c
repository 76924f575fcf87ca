// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Moments as people write them: what each form means at a given time and in a
 * given zone, clocks that are put forward and back, and what is refused and why.
 *
 * The zones are rules, not names: they need no data of the machine's.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "basic/when.h"

#define SEC 1000000ULL
#define HOUR (3600 * SEC)
#define UNTOUCHED 0x5a5a5a5a5a5a5a5aULL

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
/* Summer time begins and ends at midnight. */
#define SAO_PAULO "BRT3BRST,M10.3.0/0,M2.3.0/0"
/* Its summer is the standard time, and its winter what others call summer time. */
#define DUBLIN "IST-1GMT0,M10.5.0,M3.5.0/1"

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

/* A moment in UTC, as it would be written. */
static uint64_t utc(int year, int month, int day, int hour, int minute)
{
	struct tm tm = {
		.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day,
		.tm_hour = hour,	.tm_min = minute,
	};

	return (uint64_t)timegm(&tm) * SEC;
}

static void means(const char *text, uint64_t now_us, uint64_t want_us)
{
	uint64_t got_us = UNTOUCHED;
	const char *why = "";

	if (when_parse(text, now_us, &got_us, &why) != 0)
		fail_msg("\"%s\" is refused: %s", text, why);
	if (got_us != want_us)
		fail_msg("\"%s\" in %s: %" PRIu64 " us, expected %" PRIu64, text, getenv("TZ"),
			 got_us, want_us);
}

static void refused(const char *text, const char *part)
{
	uint64_t got_us = UNTOUCHED;
	const char *why = "";
	int r = when_parse(text, utc(2026, 11, 28, 12, 0), &got_us, &why);

	if (r != -EINVAL || got_us != UNTOUCHED)
		fail_msg("\"%s\" is %" PRIu64, text, got_us);
	if (!strstr(why, part))
		fail_msg("\"%s\" is refused since it \"%s\", expected \"%s\"", text, why, part);
}

static void relative(void **state)
{
	uint64_t now = utc(2026, 11, 28, 12, 0) + 345678;

	(void)state;
	set_zone(BERLIN);
	means("now", now, now);
	means("0", now, now);
	means("-2h", now, now - 2 * HOUR);
	means("2h ago", now, now - 2 * HOUR);
	means("2 hours ago", now, now - 2 * HOUR);
	means("2h", now, now - 2 * HOUR);
	means("+2h", now, now + 2 * HOUR);
	means("-1h 30min", now, now - 3 * HOUR / 2);
	means("1h30min ago", now, now - 3 * HOUR / 2);
	means("1.5h ago", now, now - 3 * HOUR / 2);
	means("1 day 1 second ago", now, now - 24 * HOUR - SEC);
	means("-1w", now, now - 7 * 24 * HOUR);
	means("90 seconds ago", now, now - 90 * SEC);
	means("-5m", now, now - 300 * SEC);
	/* Longer than there was time. */
	means("-100000d", now, 0);
	means("@1700000000", now, 1700000000 * SEC);
	means("@1700000000.5", now, 1700000000 * SEC + SEC / 2);
	means("@0", now, 0);
}

static void dates(void **state)
{
	uint64_t now = utc(2026, 11, 28, 12, 0) + 345678;

	(void)state;
	set_zone("UTC0");
	means("today", now, utc(2026, 11, 28, 0, 0));
	means("yesterday", now, utc(2026, 11, 27, 0, 0));
	means("tomorrow", now, utc(2026, 11, 29, 0, 0));
	means("2026-11-01", now, utc(2026, 11, 1, 0, 0));
	means("2026-11-01 13:14", now, utc(2026, 11, 1, 13, 14));
	means("2026-11-01 13:14:15", now, utc(2026, 11, 1, 13, 14) + 15 * SEC);
	means("2026-11-01 13:14:15.25", now, utc(2026, 11, 1, 13, 14) + 15 * SEC + SEC / 4);
	means("2026-11-01T13:14:15", now, utc(2026, 11, 1, 13, 14) + 15 * SEC);
	means("13:14", now, utc(2026, 11, 28, 13, 14));
	means("03:04:05", now, utc(2026, 11, 28, 3, 4) + 5 * SEC);
	means("2028-02-29", now, utc(2028, 2, 29, 0, 0));
	means("yesterday", utc(2026, 1, 1, 0, 0), utc(2025, 12, 31, 0, 0));
	means("1970-01-01", now, 0);

	/* Where it is another day already, or still. */
	set_zone("EAST-14");
	means("today", now, utc(2026, 11, 28, 10, 0));
	means("13:14", now, utc(2026, 11, 28, 23, 14));
	set_zone("WEST12");
	means("today", now, utc(2026, 11, 28, 12, 0));
	means("today", now - HOUR, utc(2026, 11, 27, 12, 0));
	means("2026-11-01 13:14 UTC", now, utc(2026, 11, 1, 13, 14));
	/* As history --csv writes them. */
	means("2026-11-01T13:14:15.250Z", now, utc(2026, 11, 1, 13, 14) + 15 * SEC + SEC / 4);
}

static void summer_time(void **state)
{
	(void)state;
	set_zone(BERLIN);
	/* March 29th, 2026: 02:00 is 03:00. */
	means("2026-03-29 01:59", 0, utc(2026, 3, 29, 0, 59));
	means("2026-03-29 02:00", 0, utc(2026, 3, 29, 1, 0));
	means("2026-03-29 02:30:15", 0, utc(2026, 3, 29, 1, 0));
	means("2026-03-29 03:00", 0, utc(2026, 3, 29, 1, 0));
	means("2026-03-29", 0, utc(2026, 3, 28, 23, 0));
	means("2026-03-30", 0, utc(2026, 3, 29, 22, 0));
	means("yesterday", utc(2026, 3, 30, 12, 0), utc(2026, 3, 28, 23, 0));
	/* A day is one of the calendar, 1d is 24 hours. */
	means("-1d", utc(2026, 3, 29, 12, 0), utc(2026, 3, 28, 12, 0));
	means("tomorrow", utc(2026, 3, 28, 12, 0), utc(2026, 3, 28, 23, 0));
	/* October 25th: 03:00 is 02:00, and all between them comes twice. */
	means("2026-10-25 01:59", 0, utc(2026, 10, 24, 23, 59));
	means("2026-10-25 02:30", 0, utc(2026, 10, 25, 0, 30));
	means("2026-10-25 03:00", 0, utc(2026, 10, 25, 2, 0));
	means("today", utc(2026, 10, 25, 12, 0), utc(2026, 10, 24, 22, 0));
	means("today", utc(2026, 10, 25, 0, 30), utc(2026, 10, 24, 22, 0));
	means("02:30", utc(2026, 10, 25, 12, 0), utc(2026, 10, 25, 0, 30));

	set_zone(DUBLIN);
	means("2026-10-25 01:30", 0, utc(2026, 10, 25, 0, 30));
	means("2026-03-29 01:30", 0, utc(2026, 3, 29, 1, 0));

	set_zone(SAO_PAULO);
	/* October 18th, 2026 begins at 01:00. */
	means("2026-10-18", 0, utc(2026, 10, 18, 3, 0));
	means("today", utc(2026, 10, 18, 12, 0), utc(2026, 10, 18, 3, 0));
	means("yesterday", utc(2026, 10, 19, 12, 0), utc(2026, 10, 18, 3, 0));
	/* February 14th, 2026 ends with an hour that comes twice. */
	means("2026-02-14 23:30", 0, utc(2026, 2, 15, 1, 30));
	means("2026-02-15", 0, utc(2026, 2, 15, 3, 0));
}

/* A number of a zone's file, most significant byte first. */
static void put_be32(FILE *f, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		putc((int)(v >> shift & 0xff), f);
}

/*
 * A zone (tzfile(5), version 1) that left out a day, as Samoa did on December 30th, 2011: ten hours
 * behind UTC, then fourteen ahead of it, both by summer time. No rule can say that, and no clock is found by mktime()
 * for a moment so far from all that are there.
 */
static void set_zone_that_jumps(char *path)
{
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	char zone[64];

	assert_non_null(f);
	fwrite("TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 1, 20, f);
	put_be32(f, 0);
	put_be32(f, 0);
	put_be32(f, 0);
	put_be32(f, 1);
	put_be32(f, 2);
	put_be32(f, 8);
	put_be32(f, (uint32_t)(utc(2011, 12, 30, 10, 0) / SEC));
	putc(1, f);
	put_be32(f, (uint32_t)-36000);
	fwrite("\1\0", 1, 2, f);
	put_be32(f, 50400);
	fwrite("\1\4", 1, 2, f);
	fwrite("ONE\0TWO\0", 1, 8, f);
	assert_int_equal(fclose(f), 0);
	snprintf(zone, sizeof(zone), ":%s", path);
	set_zone(zone);
}

static void day_left_out(void **state)
{
	char path[] = "/tmp/test-when-XXXXXX";

	(void)state;
	set_zone_that_jumps(path);
	means("2011-12-29 23:59", 0, utc(2011, 12, 30, 9, 59));
	means("2011-12-30", 0, utc(2011, 12, 30, 10, 0));
	means("2011-12-30 15:38:17", 0, utc(2011, 12, 30, 10, 0));
	means("2011-12-30 23:59", 0, utc(2011, 12, 30, 10, 0));
	means("2011-12-31", 0, utc(2011, 12, 30, 10, 0));
	means("2011-12-31 00:01", 0, utc(2011, 12, 30, 10, 1));
	for (int minute = 0; minute < 24 * 60; minute++) {
		char text[32];

		snprintf(text, sizeof(text), "2011-12-30 %02d:%02d:17", minute / 60, minute % 60);
		means(text, 0, utc(2011, 12, 30, 10, 0));
	}
	/* The last second before 1970 is what a failure looks like. */
	set_zone("UTC0");
	refused("1969-12-31 23:59:59", "before 1970");
	means("1970-01-01", 0, 0);
	unlink(path);
}

static void nonsense(void **state)
{
	(void)state;
	set_zone(BERLIN);
	refused("", "is empty");
	refused("frob", "may be yesterday, today, now, -2h");
	refused("Yesterday", "may be yesterday");
	refused("5", "needs a unit");
	refused("-5", "needs a unit");
	refused("5 ago", "unknown unit");
	refused("5h later", "may be yesterday");
	refused("-2h ago", "may be yesterday");
	refused("--2h", "may be yesterday");
	refused("2h ago ", "may be yesterday");
	refused("-", "is empty");
	refused("5parsec", "unknown unit");
	refused("1.h", "no digit after the point");
	refused("99999999999999d", "is too large");
	refused("9000000000000000w", "is too large");
	refused("+106751991d", "is too large");
	refused("@", "number of seconds");
	refused("@1h", "number of seconds");
	refused("@-1", "number of seconds");
	refused("@1.2.3", "unknown unit");
	refused("@99999999999999999999", "is too large");
	refused("2026-02-29", "in no calendar");
	refused("2026-13-01", "in no calendar");
	refused("2026-00-01", "in no calendar");
	refused("2026-11-01 24:00", "on no clock");
	refused("2026-11-01 12:60", "on no clock");
	refused("12:00:60", "on no clock");
	refused("2026-11", "YYYY-MM-DD");
	refused("26-11-01", "YYYY-MM-DD");
	refused("2026-1-1", "YYYY-MM-DD");
	refused("2026-11-01 ", "YYYY-MM-DD");
	refused("2026-11-01 12", "YYYY-MM-DD");
	refused("2026-11-01 12:00 CET", "YYYY-MM-DD");
	refused("2026-11-01 12:00:00.", "YYYY-MM-DD");
	refused("1:30", "YYYY-MM-DD");
	refused("12:00Z", "YYYY-MM-DD");
	refused("1969-12-31", "before 1970");
	refused("0000-01-01", "before 1970");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relative),
		cmocka_unit_test(dates),
		cmocka_unit_test(summer_time),
		cmocka_unit_test(day_left_out),
		cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
