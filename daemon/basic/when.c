// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * when.c - moments as people write them
 *
 * Amounts of time are those of units.c, here with the words that people use for
 * them, and sums. Dates are of the calendar that localtime() has: where a clock
 * shows a time twice, the earlier moment is meant; one that it never shows, since
 * it was put forward, means the moment at which it was. So each day has a first
 * moment, also where clocks change at midnight.
 *
 * The time is an argument, never read here; the time zone is the process's.
 *
 * Leaves out: names of weekdays and months, time zones but UTC, and zones that
 * had the same time twice without summer time (either moment may come out).
 */
#include "basic/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "basic/units.h"

#define SEC 1000000ULL
/* A longer number is none that could be meant. */
#define PIECE_MAX 64
/* More than any clock was ever put forward: Samoa left out a day. */
#define GAP_MINUTES_MAX (25 * 60)

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* --- amounts of time --- */

/* The unit of units.c that a word of @n letters means; NULL if none. */
static const char *unit_of(const char *word, size_t n, unsigned int *ret_times)
{
	static const struct {
		const char *word;
		const char *unit;
		unsigned int times;
	} words[] = {
		{ "us", "us", 1 }, { "usec", "us", 1 }, { "ms", "ms", 1 }, { "msec", "ms", 1 },
		{ "s", "s", 1 }, { "sec", "s", 1 }, { "second", "s", 1 }, { "seconds", "s", 1 },
		{ "m", "min", 1 }, { "min", "min", 1 }, { "minute", "min", 1 },
		{ "minutes", "min", 1 },
		{ "h", "h", 1 }, { "hr", "h", 1 }, { "hour", "h", 1 }, { "hours", "h", 1 },
		{ "d", "d", 1 }, { "day", "d", 1 }, { "days", "d", 1 },
		{ "w", "d", 7 }, { "week", "d", 7 }, { "weeks", "d", 7 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i].word) != n || strncmp(words[i].word, word, n) != 0)
			continue;
		*ret_times = words[i].times;
		return words[i].unit;
	}
	return NULL;
}

/* "2h" or "2 hours" at the start of *p, which is moved behind it and any blanks. */
static int parse_piece(const char **p, uint64_t *ret_us, const char **ret_why)
{
	size_t digits = strspn(*p, "0123456789."), blanks = strspn(*p + digits, " ");
	const char *word = *p + digits + blanks, *unit;
	size_t letters = strcspn(word, " 0123456789.");
	unsigned int times = 1;
	char piece[PIECE_MAX];
	int r;

	unit = unit_of(word, letters, &times);
	if (!unit && letters > 0)
		return refuse(ret_why, digits == 0 ? "is no time; it may be " WHEN_FORMS :
			      "has an unknown unit; use s, min, h, d or w");
	if (digits + strlen(unit ?: "") >= sizeof(piece))
		return refuse(ret_why, "is too large");
	snprintf(piece, sizeof(piece), "%.*s%s", (int)digits, *p, unit ?: "");
	r = units_parse_time(piece, ret_us, ret_why);
	if (r < 0)
		return r;
	*p = word + letters;
	*p += strspn(*p, " ");
	if (__builtin_mul_overflow(*ret_us, times, ret_us))
		return refuse(ret_why, "is too large");
	return 0;
}

/* "-2h", "+2h", "2h", "1h 30min ago". */
static int parse_relative(const char *text, uint64_t now_us, uint64_t *ret_us, const char **ret_why)
{
	bool behind = *text == '+', sign = behind || *text == '-';
	uint64_t sum = 0, piece, later;
	const char *p = text + sign;
	int r;

	do {
		r = parse_piece(&p, &piece, ret_why);
		if (r < 0)
			return r;
		if (__builtin_add_overflow(sum, piece, &sum))
			return refuse(ret_why, "is too large");
		if (!sign && strcmp(p, "ago") == 0)
			break;
	} while (*p);
	if (__builtin_add_overflow(now_us, sum, &later) || later > INT64_MAX)
		return refuse(ret_why, "is too large");
	*ret_us = behind ? later : sum < now_us ? now_us - sum : 0;
	return 0;
}

static int parse_seconds(const char *text, uint64_t *ret_us, const char **ret_why)
{
	char piece[PIECE_MAX];
	size_t n = strlen(text);

	if (n == 0 || strspn(text, "0123456789.") != n)
		return refuse(ret_why, "has no number of seconds behind the @");
	if (n + 1 >= sizeof(piece))
		return refuse(ret_why, "is too large");
	snprintf(piece, sizeof(piece), "%ss", text);
	return units_parse_time(piece, ret_us, ret_why);
}

/* --- the calendar --- */

static bool same_clock(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
	       a->tm_hour == b->tm_hour && a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/* Whether clocks ever show @want, and the first time that they do. */
static bool shown_at(const struct tm *want, time_t *ret)
{
	bool found = false;

	for (int summer = 0; summer <= 1; summer++) {
		struct tm tm = *want;
		time_t t;

		tm.tm_isdst = summer;
		/* Only mktime() sets it; -1 may be a moment, and a failure leaves all as it was. */
		tm.tm_wday = -1;
		t = mktime(&tm);
		if (tm.tm_wday < 0 || !same_clock(&tm, want) || (found && *ret <= t))
			continue;
		*ret = t;
		found = true;
	}
	return found;
}

/* By the local clock; see the head of this file. @want is normal. */
static int moment(const struct tm *want, bool utc, uint64_t *ret_us, const char **ret_why)
{
	struct tm tm = *want;
	time_t t = -1;

	if (utc)
		t = timegm(&tm);
	for (int i = 0; !utc && !shown_at(&tm, &t); i++) {
		if (i == GAP_MINUTES_MAX)
			return refuse(ret_why, "is no time of the clock here");
		tm.tm_min++;
		tm.tm_sec = 0;
		timegm(&tm);
	}
	if (t < 0)
		return refuse(ret_why, "is before 1970");
	*ret_us = (uint64_t)t * SEC;
	return 0;
}

/* The first moment of a day, @days from that of @now_us. */
static int parse_day(int days, uint64_t now_us, uint64_t *ret_us, const char **ret_why)
{
	time_t now = (time_t)(now_us / SEC);
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return refuse(ret_why, "cannot be told by this clock");
	tm.tm_mday += days;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	timegm(&tm);
	return moment(&tm, false, ret_us, ret_why);
}

/* As many digits at *p, which is moved behind them and behind @end, if that stands there. */
static bool take(const char **p, int digits, char end, int *ret)
{
	int v = 0;

	for (int i = 0; i < digits; i++) {
		if (!is_digit((*p)[i]))
			return false;
		v = v * 10 + ((*p)[i] - '0');
	}
	*p += digits;
	if (end && **p != end)
		return false;
	*p += end != '\0';
	*ret = v;
	return true;
}

/* "14:30[:15[.5]]" */
static bool take_clock(const char **p, struct tm *tm, uint64_t *ret_us)
{
	uint64_t unit = SEC;

	if (!take(p, 2, ':', &tm->tm_hour) || !take(p, 2, '\0', &tm->tm_min))
		return false;
	if (**p != ':')
		return true;
	(*p)++;
	if (!take(p, 2, '\0', &tm->tm_sec))
		return false;
	if (**p != '.')
		return true;
	for ((*p)++; is_digit(**p) && unit > 1; (*p)++) {
		unit /= 10;
		*ret_us += (uint64_t)(**p - '0') * unit;
	}
	return unit < SEC;
}

static bool take_date(const char **p, struct tm *tm)
{
	if (!take(p, 4, '-', &tm->tm_year) || !take(p, 2, '-', &tm->tm_mon) ||
	    !take(p, 2, '\0', &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return true;
}

/* 2026-02-30 is no date, and 24:00 no time. */
static bool is_normal(const struct tm *tm)
{
	struct tm normal = *tm;

	timegm(&normal);
	return same_clock(tm, &normal);
}

/* A date, a time of today, or both. */
static int parse_calendar(const char *text, bool dated, uint64_t now_us, uint64_t *ret_us,
			  const char **ret_why)
{
	time_t now = (time_t)(now_us / SEC);
	uint64_t fraction = 0;
	const char *p = text;
	struct tm tm = {};
	bool utc, ok;
	int r;

	if (dated) {
		ok = take_date(&p, &tm);
		if (ok && (*p == 'T' || (*p == ' ' && is_digit(p[1])))) {
			p++;
			ok = take_clock(&p, &tm, &fraction);
		}
	} else {
		ok = localtime_r(&now, &tm);
		tm.tm_sec = 0;
		ok = ok && take_clock(&p, &tm, &fraction);
	}
	utc = dated && (strcmp(p, "Z") == 0 || strcmp(p, " UTC") == 0);
	if (!ok || (*p && !utc))
		return refuse(ret_why, "is written as YYYY-MM-DD HH:MM:SS, or a part of that");
	if (!is_normal(&tm))
		return refuse(ret_why, "is in no calendar, or on no clock");
	r = moment(&tm, utc, ret_us, ret_why);
	if (r == 0)
		*ret_us += fraction;
	return r;
}

int when_parse(const char *text, uint64_t now_us, uint64_t *ret_us, const char **ret_why)
{
	static const char *const days[] = { "yesterday", "today", "tomorrow" };
	size_t digits = strspn(text, "0123456789");

	if (strcmp(text, "now") == 0) {
		*ret_us = now_us;
		return 0;
	}
	for (int i = 0; i < 3; i++)
		if (strcmp(text, days[i]) == 0)
			return parse_day(i - 1, now_us, ret_us, ret_why);
	if (*text == '@')
		return parse_seconds(text + 1, ret_us, ret_why);
	if (digits > 0 && (text[digits] == '-' || text[digits] == ':'))
		return parse_calendar(text, text[digits] == '-', now_us, ret_us, ret_why);
	return parse_relative(text, now_us, ret_us, ret_why);
}
