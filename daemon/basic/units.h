/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * units.h - amounts as people write them
 *
 * The only parser of sizes, times, shares and rates in the userspace part. A bare number is
 * refused: over-shrinking a machine by a wrong unit is the classic ballooning
 * accident. Only "0", which is the same in every unit, stands alone.
 *
 * All parsers: 0 and *ret, or -EINVAL and *ret_why, a static sentence fragment
 * that fits behind "KEY: ". Nothing is written to the other output. ret_why
 * may be NULL. No sign, no leading blank, nothing behind the unit; one or more blanks
 * may stand between number and unit, so that what units_format_*() writes can
 * be read back.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Long enough for any text that the units_format_*() functions write. */
#define UNITS_MAX 32

/*
 * "512M", "2GiB", "1.5 G", "64KiB", "100B": powers of 1024, upper or lower
 * case. "10%" and "12.5%" of percent_of; percent_of 0 refuses percentages.
 * At most INT64_MAX, so that a size is also a valid step.
 */
int units_parse_size(const char *text, uint64_t percent_of, uint64_t *ret, const char **ret_why);

/* "100us", "500ms", "30s", "10min", "1.5h", "2d". */
int units_parse_time(const char *text, uint64_t *ret_us, const char **ret_why);

/* A size per second: "500MiB/s". "0" is 0. */
int units_parse_rate(const char *text, uint64_t *ret, const char **ret_why);

/* A share in steps of 0.1 %: "1%", "0.1%"; 100% at most. */
int units_parse_permille(const char *text, uint32_t *ret_permille, const char **ret_why);

/* "1.5 GiB", "488 MiB", "0": three significant digits at least. Returns buf. */
const char *units_format_size(char *buf, size_t n, uint64_t bytes);
/* "30s", "1.5s", "10min", "70ms", "0". Returns buf. */
const char *units_format_time(char *buf, size_t n, uint64_t us);
