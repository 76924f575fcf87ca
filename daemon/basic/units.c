// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * units.c - amounts as people write them
 *
 * Everything is integer arithmetic on a decimal of whole + frac / scale, so
 * that "0.1G" is the same number of bytes on every machine and an overflow is
 * found and not rounded away. The locale is never asked.
 *
 * Leaves out: powers of 1000 ("GB" is refused and not guessed at, since half of
 * the world means 1024 by it), negative amounts, and sums such as "1h 30min".
 */
#include "basic/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Digits behind the point that are kept; ten to this power fits easily. */
#define FRACTION_DIGITS 9

struct decimal {
	uint64_t whole;
	uint64_t frac;
	uint64_t scale;
};

static int refuse(const char **ret_why, const char *why)
{
	if (ret_why)
		*ret_why = why;
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Parse the number at the start of text; *ret_rest is what follows it and any blanks. */
static int parse_decimal(const char *text, struct decimal *ret, const char **ret_rest,
			 const char **ret_why)
{
	struct decimal d = {.scale = 1};
	const char *p = text;
	unsigned digits = 0;

	if (*p == '\0')
		return refuse(ret_why, "is empty");
	if (*p == '-')
		return refuse(ret_why, "must not be negative");
	if (*p == '+' || !is_digit(*p))
		return refuse(ret_why, "does not start with a digit");

	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(d.whole, 10, &d.whole) ||
		    __builtin_add_overflow(d.whole, (uint64_t)(*p - '0'), &d.whole))
			return refuse(ret_why, "is too large");

	if (*p == '.') {
		p++;
		if (!is_digit(*p))
			return refuse(ret_why, "has no digit after the point");
		for (; is_digit(*p); p++) {
			if (++digits > FRACTION_DIGITS)
				return refuse(ret_why, "has more than 9 digits after the point");
			d.frac = d.frac * 10 + (uint64_t)(*p - '0');
			d.scale *= 10;
		}
	}

	while (*p == ' ' || *p == '\t')
		p++;
	*ret = d;
	*ret_rest = p;
	return 0;
}

static bool is_zero(const struct decimal *d)
{
	return d->whole == 0 && d->frac == 0;
}

/* d * num / den, rounded down; false if it is over INT64_MAX. */
static bool scale_decimal(const struct decimal *d, uint64_t num, uint64_t den, uint64_t *ret)
{
	unsigned __int128 v;

	/* whole < 2^64, num < 2^64: exact in 128 bits; the fraction is less than one whole. */
	v = (unsigned __int128)d->whole * num;
	v += (unsigned __int128)d->frac * num / d->scale;
	v /= den;
	if (v > INT64_MAX)
		return false;
	*ret = (uint64_t)v;
	return true;
}

/* The parser of "%"; the caller found that rest starts with it. */
static int parse_percent(const struct decimal *d, const char *rest, uint64_t of, uint64_t *ret,
			 const char **ret_why)
{
	if (rest[1] != '\0')
		return refuse(ret_why, "has something behind the percent sign");
	if (d->whole > 100 || (d->whole == 100 && d->frac > 0))
		return refuse(ret_why, "is more than 100%");
	if (!scale_decimal(d, of, 100, ret))
		return refuse(ret_why, "is too large");
	return 0;
}

static const struct {
	const char *name;
	uint64_t bytes;
} size_units[] = {
	{"B", 1},
	{"K", 1ULL << 10}, {"KiB", 1ULL << 10},
	{"M", 1ULL << 20}, {"MiB", 1ULL << 20},
	{"G", 1ULL << 30}, {"GiB", 1ULL << 30},
	{"T", 1ULL << 40}, {"TiB", 1ULL << 40},
};

/* unit is the text behind the number, unit_len long. */
static int parse_size_unit(const struct decimal *d, const char *unit, size_t unit_len,
			   uint64_t *ret, const char **ret_why)
{
	if (unit_len == 0) {
		if (!is_zero(d))
			return refuse(ret_why, "needs a unit, e.g. 512M or 2GiB");
		*ret = 0;
		return 0;
	}

	for (size_t i = 0; i < sizeof(size_units) / sizeof(size_units[0]); i++) {
		if (strlen(size_units[i].name) != unit_len ||
		    strncasecmp(size_units[i].name, unit, unit_len) != 0)
			continue;
		if (!scale_decimal(d, size_units[i].bytes, 1, ret))
			return refuse(ret_why, "is too large");
		return 0;
	}
	return refuse(ret_why, "has an unknown unit; use K, M, G, T or KiB, MiB, GiB, TiB "
			       "(powers of 1024)");
}

int units_parse_size(const char *text, uint64_t percent_of, uint64_t *ret, const char **ret_why)
{
	const char *rest;
	struct decimal d;
	int r;

	r = parse_decimal(text, &d, &rest, ret_why);
	if (r < 0)
		return r;
	if (*rest == '%') {
		if (percent_of == 0)
			return refuse(ret_why, "must not be a percentage here; use a size such as 512M");
		return parse_percent(&d, rest, percent_of, ret, ret_why);
	}
	return parse_size_unit(&d, rest, strlen(rest), ret, ret_why);
}

int units_parse_rate(const char *text, uint64_t *ret, const char **ret_why)
{
	const char *rest;
	struct decimal d;
	size_t len;
	int r;

	r = parse_decimal(text, &d, &rest, ret_why);
	if (r < 0)
		return r;
	len = strlen(rest);
	if (len >= 2 && strcmp(rest + len - 2, "/s") == 0) {
		if (len == 2 && !is_zero(&d))
			return refuse(ret_why, "needs a unit, e.g. 500MiB/s");
		return parse_size_unit(&d, rest, len - 2, ret, ret_why);
	}
	if (len > 0 || !is_zero(&d))
		return refuse(ret_why, "is not a rate; write e.g. 500MiB/s");
	*ret = 0;
	return 0;
}

int units_parse_time(const char *text, uint64_t *ret_us, const char **ret_why)
{
	static const struct {
		const char *name;
		uint64_t us;
	} time_units[] = {
		{"us", 1},
		{"ms", 1000},
		{"s", 1000000},
		{"min", 60 * 1000000ULL},
		{"h", 3600 * 1000000ULL},
		{"d", 86400 * 1000000ULL},
	};
	const char *rest;
	struct decimal d;
	int r;

	r = parse_decimal(text, &d, &rest, ret_why);
	if (r < 0)
		return r;
	if (*rest == '\0') {
		if (!is_zero(&d))
			return refuse(ret_why, "needs a unit, e.g. 500ms, 30s or 10min");
		*ret_us = 0;
		return 0;
	}
	for (size_t i = 0; i < sizeof(time_units) / sizeof(time_units[0]); i++) {
		if (strcmp(time_units[i].name, rest) != 0)
			continue;
		if (!scale_decimal(&d, time_units[i].us, 1, ret_us))
			return refuse(ret_why, "is too large");
		return 0;
	}
	return refuse(ret_why, "has an unknown unit; use us, ms, s, min, h or d");
}

int units_parse_permille(const char *text, uint32_t *ret_permille, const char **ret_why)
{
	const char *rest;
	struct decimal d;
	uint64_t v;
	int r;

	r = parse_decimal(text, &d, &rest, ret_why);
	if (r < 0)
		return r;
	if (*rest == '\0' && is_zero(&d)) {
		*ret_permille = 0;
		return 0;
	}
	if (*rest != '%')
		return refuse(ret_why, "is not a share; write e.g. 1% or 0.1%");
	/* Finer than 0.1 % would silently become something else. */
	if (d.scale > 1 && d.frac % (d.scale / 10) != 0)
		return refuse(ret_why, "is finer than steps of 0.1%");
	r = parse_percent(&d, rest, 1000, &v, ret_why);
	if (r < 0)
		return r;
	*ret_permille = (uint32_t)v;
	return 0;
}

const char *units_format_size(char *buf, size_t n, uint64_t bytes)
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};
	uint64_t unit = 1024, whole, tenths;
	unsigned i = 0;

	if (bytes == 0) {
		snprintf(buf, n, "0");
		return buf;
	}
	if (bytes < 1024) {
		snprintf(buf, n, "%" PRIu64 " B", bytes);
		return buf;
	}
	while (i + 1 < sizeof(names) / sizeof(names[0]) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}

	whole = bytes / unit;
	/* Rounded down: a balloon is never said to be larger than it is. */
	tenths = (bytes % unit) * 10 / unit;
	if (whole >= 100 || tenths == 0)
		snprintf(buf, n, "%" PRIu64 " %s", whole, names[i]);
	else
		snprintf(buf, n, "%" PRIu64 ".%u %s", whole, (unsigned)tenths, names[i]);
	return buf;
}

/* us as a multiple of unit with one digit behind the point where it has one. */
static const char *format_in(char *buf, size_t n, uint64_t us, uint64_t unit, const char *name)
{
	unsigned tenths = (unsigned)((us % unit) * 10 / unit);

	if (tenths == 0)
		snprintf(buf, n, "%" PRIu64 "%s", us / unit, name);
	else
		snprintf(buf, n, "%" PRIu64 ".%u%s", us / unit, tenths, name);
	return buf;
}

const char *units_format_time(char *buf, size_t n, uint64_t us)
{
	const uint64_t ms = 1000, s = 1000 * ms, min = 60 * s, h = 60 * min;

	if (us == 0) {
		snprintf(buf, n, "0");
		return buf;
	}
	if (us < ms)
		return format_in(buf, n, us, 1, "us");
	if (us < s)
		return format_in(buf, n, us, ms, "ms");
	/* 90 s reads better than 1.5min, and so does 90min than 1.5h. */
	if (us < 2 * min && us != min)
		return format_in(buf, n, us, s, "s");
	if (us < 2 * h && us != h)
		return format_in(buf, n, us, min, "min");
	return format_in(buf, n, us, h, "h");
}
