// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The time of the local week.
 *
 * Of the broken-down time and not of a difference to some Monday: a day on which the clock changes
 * has 23 or 25 hours, and a job at 03:00 runs at 03:00.
 *
 * Leaves out: a time zone that changes while the daemon runs; it counts from the next start on.
 */
#include "sense/week.h"

/* 2020-01-01. A machine that says earlier has no clock that was ever set. */
#define SET_SINCE 1577836800

bool week_second(time_t real_s, uint32_t *ret)
{
	struct tm tm;

	if (real_s < SET_SINCE || !localtime_r(&real_s, &tm))
		return false;
	/* The week of struct tm begins on Sunday, and its minute may have 61 seconds. */
	*ret = (uint32_t)(((tm.tm_wday + 6) % 7 * 24 + tm.tm_hour) * 3600 + tm.tm_min * 60 +
			  (tm.tm_sec < 60 ? tm.tm_sec : 59));
	return true;
}
