/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * when.h - moments as people write them
 */
#pragma once

#include <stdint.h>

/* The forms, for a message, and in two lines of a help. */
#define WHEN_FORMS "yesterday, today, now, -2h, 2h ago, YYYY-MM-DD [HH:MM[:SS]], HH:MM or @SECONDS"
#define WHEN_HELP "now, today, yesterday, -2h or \"2h ago\", a date and a time as\n" \
		  "\"YYYY-MM-DD HH:MM:SS\", a part of that, or @SECONDS since 1970"

/*
 * Microseconds of CLOCK_REALTIME. now_us: the moment that @text is relative to, of the same clock.
 *
 *   now                              now_us
 *   -2h, 2h ago, 2h; +30min          before, or behind that; also 1h 30min, 2 hours
 *   yesterday, today, tomorrow       the day's first moment
 *   2026-11-28 [14:30[:15[.5]]]      by the clock of TZ; "T" may stand between the two,
 *                                    "UTC" or "Z" behind them
 *   14:30[:15[.5]]                   of today
 *   @1700000000[.5]                  seconds since 1970
 *
 * 0 and *ret_us, or -EINVAL and *ret_why, a sentence fragment that fits behind
 * "'TEXT': ". What lies before 1970 is 1970 if it is relative, and refused if it
 * is a date.
 */
int when_parse(const char *text, uint64_t now_us, uint64_t *ret_us, const char **ret_why);
