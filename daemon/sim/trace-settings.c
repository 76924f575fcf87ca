// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace-settings.c - what a trace says about the machine, and what a number is
 *
 * A table says which setting is which field, in which unit and range. A number
 * is decimal digits with an optional fraction: no sign, no exponent, nothing
 * behind it.
 *
 * Leaves out: which of options and file goes first (trace-read.c), and what
 * holds if neither says anything (guest.c).
 */
#include <stddef.h>
#include <string.h>

#include "basic/arith.h"
#include "sim/trace-parse.h"

#define KIB 1024ULL
#define SECOND_US 1000000ULL

/* No machine has more, and sums of a few such amounts stay far from overflow. */
#define AMOUNT_MAX (1ULL << 50)
/* Any origin of time, the year 1970 as well as a start of the machine. */
#define TIME_MAX_US (INT64_MAX / 4)

static const struct setting {
	const char *name;
	size_t field;		/* of struct trace */
	uint64_t unit;
	uint64_t least, most;
} settings[] = {
	{ "ram_kib", offsetof(struct trace, ram), KIB, 0, AMOUNT_MAX },
	{ "swap_kib", offsetof(struct trace, swap), KIB, 0, AMOUNT_MAX },
	{ "disk_kib_s", offsetof(struct trace, speed.disk_rate), KIB,
	  GUEST_RATE_MIN, GUEST_RATE_MAX },
	{ "iops", offsetof(struct trace, speed.iops), 1, 1, GUEST_IOPS_MAX },
	{ "hot_period_s", offsetof(struct trace, speed.hot_period_us), SECOND_US,
	  GUEST_PERIOD_MIN_US, GUEST_PERIOD_MAX_US },
	{ "touch_kib_s", offsetof(struct trace, speed.touch_rate), KIB,
	  GUEST_RATE_MIN, GUEST_RATE_MAX },
	{ "reclaim_kib_s", offsetof(struct trace, speed.reclaim_rate), KIB,
	  GUEST_RATE_MIN, GUEST_RATE_MAX },
};
#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Digits with an optional fraction, times unit, rounded down. NULL, or what is wrong with it. */
const char *trace_number(const char *s, uint64_t unit, uint64_t *ret)
{
	uint64_t whole = 0, part = 0, weight = 1, max = unit == KIB ? AMOUNT_MAX : TIME_MAX_US;

	if (*s < '0' || *s > '9')
		return *s == '-' ? "is negative" : *s ? "is not a number" : "is empty";
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *s - '0', &whole))
			return "is too large";
	if (*s == '.') {
		s++;
		if (*s < '0' || *s > '9')
			return "has no digit behind its point";
		for (; *s >= '0' && *s <= '9'; s++) {
			if (weight >= 1000000000)
				continue;
			part = part * 10 + (*s - '0');
			weight *= 10;
		}
	}
	if (*s)
		return "has trailing garbage";
	if (__builtin_mul_overflow(whole, unit, &whole) ||
	    __builtin_add_overflow(whole, part * unit / weight, &whole) ||
	    whole > max)
		return "is too large";
	*ret = whole;
	return NULL;
}

void trace_trim(const char *begin, char *end)
{
	for (; end > begin && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = '\0';
}

static const char *set_between(struct trace *t, const char *value)
{
	if (!strcmp(value, "steps"))
		t->between = TRACE_STEPS;
	else if (!strcmp(value, "linear"))
		t->between = TRACE_LINEAR;
	else
		return "is neither linear nor steps";
	return NULL;
}

static const char *set_number(struct trace *t, const struct setting *s, const char *value)
{
	uint64_t v;
	const char *why = trace_number(value, s->unit, &v);

	if (why)
		return why;
	if (v < s->least || v > s->most)
		return v < s->least ? "is too small" : "is too large";
	*(uint64_t *)((char *)t + s->field) = v;
	if (&t->swap == (uint64_t *)((char *)t + s->field))
		t->swap_known = true;
	return NULL;
}

const char *trace_setting(struct trace *t, char *line, bool late, const char **ret_key)
{
	char *key = line + 1, *value;
	const struct setting *s = settings;
	bool between;

	key += strspn(key, " \t");
	value = key + strcspn(key, ":=");
	if (!*value)
		return NULL;
	*value++ = '\0';
	value += strspn(value, " \t");
	trace_trim(value, value + strlen(value));
	key[strcspn(key, " \t")] = '\0';
	between = !strcmp(key, "interpolation");
	while (s < settings + N_SETTINGS && strcmp(key, s->name))
		s++;
	if (!between && s == settings + N_SETTINGS)
		return NULL;
	*ret_key = key;
	if (late)
		return "stands behind the column names; put it before them";
	return between ? set_between(t, value) : set_number(t, s, value);
}
