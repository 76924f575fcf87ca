/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arith.h - sums of sizes and times that do not wrap
 *
 * Pure, so that decide/ may use it, too. Leaves out: everything that can fail;
 * text is the matter of units.h.
 */
#pragma once

#include <stdint.h>

static inline uint64_t sub_sat(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t clamp_u64(uint64_t v, uint64_t lo, uint64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* a + b, without wrapping. */
static inline uint64_t add_sat(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/* v * num / den without overflow for any v; num and den below 2^32, den not 0. */
static inline uint64_t scale(uint64_t v, uint64_t num, uint64_t den)
{
	uint64_t q = v / den;

	if (num && q > UINT64_MAX / num)
		return UINT64_MAX;
	return add_sat(q * num, v % den * num / den);
}
