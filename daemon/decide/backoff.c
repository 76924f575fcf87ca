// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hold-offs that double.
 *
 * Inflating right after an emergency is how others came to oscillate: the
 * demand that caused it is mostly still there or about to return. So each
 * inflation that has to be taken back makes the next wait longer, and one that
 * holds starts afresh.
 *
 * Trips while the hold-off runs extend it without making it longer: they are
 * the same emergency.
 */
#include "basic/arith.h"
#include "decide/backoff.h"

/* Doublings; far beyond any configurable maximum. */
#define LEVEL_MAX 20

void backoff_trip(struct backoff *b, uint64_t now_us, uint64_t base_us, uint64_t max_us)
{
	if (b->length_us && b->inflated_us && b->level < LEVEL_MAX)
		b->level++;
	b->length_us = min_u64(scale(base_us, 1ULL << b->level, 1), max_u64(base_us, max_us));
	b->inflated_us = 0;
	backoff_extend(b, now_us, b->length_us);
}

void backoff_extend(struct backoff *b, uint64_t now_us, uint64_t length_us)
{
	b->until_us = max_u64(b->until_us, add_sat(now_us, length_us));
}

void backoff_inflated(struct backoff *b, uint64_t now_us)
{
	if (b->length_us && !b->inflated_us)
		b->inflated_us = now_us;
}

void backoff_prove(struct backoff *b, uint64_t now_us)
{
	if (!b->inflated_us || now_us - b->inflated_us < b->length_us)
		return;
	b->level = 0;
	b->length_us = 0;
	b->inflated_us = 0;
}
